"""A whole bridge in the test's own process: real store, real web server, a real chat server to answer to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import Connection, text

from bridge.app.bridge import Running, bridge
from bridge.app.listening import Patience
from bridge.chance import SeededChance
from bridge.clock import SetClock
from bridge.settings import Settings, load_settings
from bridge.store import history
from bridge.store.history import Listed, Story
from bridge.store.intervene import Filter
from tests.fakes.chat_server import ChatServer
from tests.loop import CountingLoop
from tests.values import NOON

PATIENCE = 60
"""Seconds of real time after which a test has failed. A machine that is busy with other things needs some of them."""

HOPS = 10
"""Passes of the event loop in which a task that something has woken comes to its next call or transaction."""

KEY = "key-of-the-site-account"
TOKEN = "tok1234567890"
SESSION = "session-0123456789"
ECHO = """
rules:
  - name: echo
    on: message
    do: [{reply: {text: "you said {{ text }}"}}]
"""


def settings_in(directory: Path, files: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a directory into which these files are written first."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    listen = {"REPLYBRIDGE_SERVER__LISTEN": "127.0.0.1:0", "REPLYBRIDGE_SERVER__PUBLIC_URL": "https://bridge.example"}
    return load_settings(None, {**listen, **(environ or {})}, working_directory=directory)


def site(fake: ChatServer | str, name: str = "site", **options: object) -> str:
    """The table of an Omnidesk account, whose chat server is `fake`."""
    url = fake if isinstance(fake, str) else fake.url
    written = {"platform": "omnidesk", "api_keys": [KEY], "chat_servers": [url], **options}
    return f"[accounts.{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in written.items())


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition` holds; fails after `PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A bridge that runs, the hands that turn its clock, and whoever calls it; `others` go by the same clock."""

    running: Running
    clock: SetClock
    client: aiohttp.ClientSession
    chat_server: str = "https://chat.example.com"
    headers: Mapping[str, str] = field(default_factory=lambda: {"apiKey": KEY})
    others: list["Site"] = field(default_factory=list)

    async def call(self, operation: str, **fields: object) -> tuple[int, Any]:
        """One call of the Omnidesk chat API; gives status and decoded answer."""
        url = f"{self.running.url}/api/v2/chat/{operation}"
        given = {"chatServer": self.chat_server, "chatSessionID": SESSION, **fields}
        async with self.client.post(url, json=given, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def say(self, message: str, **fields: object) -> None:
        """A customer's message, which must be acknowledged."""
        given = {"chatAccountToken": TOKEN, "message": message, **fields}
        status, answer = await self.call("notifyUserNewChatMessage", **given)
        assert status == 200, answer

    def deliveries(self, *states: Any) -> list[Listed]:
        """The deliveries, in the order they were made."""
        chosen = Filter(states=states)
        return self.running.store.read_now(lambda connection: history.list_deliveries(connection, chosen, 10_000))[::-1]

    def states(self) -> list[str]:
        return [listed.state for listed in self.deliveries()]

    def story(self, number: int) -> Story:
        story = self.running.store.read_now(lambda connection: history.tell(connection, number))
        assert story is not None
        return story

    def rows(self, statement: str) -> Sequence[Any]:
        """What a person with a database tool would see."""

        def look(connection: Connection) -> Sequence[Any]:
            return connection.execute(text(statement)).all()

        return self.running.store.read_now(look)

    def traces(self) -> list[Any]:
        """What was decided about the rules, an event at a time."""
        return [json.loads(row.trace) for row in self.rows("SELECT trace FROM events ORDER BY id")]

    async def until(self, condition: Callable[[], object], tick: float = 0.05, *, hanging: int = 0) -> None:
        """Turn the clock by `tick` seconds again and again until `condition` holds; fails after `PATIENCE`.

        It is turned only when all that was to be done at its last turn is done, so that a slow machine makes nothing
        late. `hanging` calls may stay without an answer meanwhile.
        """
        async with asyncio.timeout(PATIENCE):
            while not condition():
                if self._busy(hanging):
                    await asyncio.sleep(0.001)
                elif await self._stays_calm(hanging):
                    self.clock.advance(tick)
                    await asyncio.sleep(0 if tick else 0.002)

    def _busy(self, hanging: int) -> bool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop), "a test that is not asynchronous itself: use tests.loop.run"
        return bool(loop.handed_out) or any(
            site.running.store.busy or site.running.door.under_way > hanging for site in (self, *self.others)
        )

    async def _stays_calm(self, hanging: int) -> bool:
        """Whether the tasks that are ready now, and those that they wake, begin nothing new."""
        for _ in range(HOPS):
            await asyncio.sleep(0)
            if self._busy(hanging):
                return False
        return True

    async def pass_by(self, seconds: float, tick: float = 0.05) -> None:
        """Turn the clock on by so many seconds, bit by bit, with all that happens meanwhile."""
        end = self.clock.monotonic() + seconds
        await self.until(lambda: self.clock.monotonic() >= end, tick)

    async def settle(self, tick: float = 0.05) -> list[Listed]:
        """Turn the clock until no delivery waits any more; gives all of them."""
        unsettled = "SELECT 1 FROM deliveries WHERE state IN ('queued', 'claimed') LIMIT 1"
        await self.until(lambda: not self.rows(unsettled), tick)
        return self.deliveries()


@asynccontextmanager
async def a_bridge(
    directory: Path,
    settings: str,
    rules: str = ECHO,
    *,
    clock: SetClock | None = None,
    patience: Patience | None = None,
    chat_server: str = "https://chat.example.com",
    files: Mapping[str, str] | None = None,
    seed: int = 1,
) -> AsyncIterator[Site]:
    """A bridge with these settings and rules (and further files, as "templates/x.md.j2") in `directory`.

    Those that share a store must differ in their `seed`: their names are made from it.
    """
    clock = clock or SetClock(NOON)
    written = {"bridge.toml": settings, "rules/rules.yaml": rules, **(files or {})}
    read = settings_in(directory, written)
    async with (
        bridge(read, clock, SeededChance(seed), patience or Patience()) as running,
        aiohttp.ClientSession() as client,
    ):
        yield Site(running=running, clock=clock, client=client, chat_server=chat_server)
        assert not running.failed.done(), running.failed.result()


@asynccontextmanager
async def a_site(
    directory: Path, rules: str = ECHO, *, more: str = "", files: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[tuple[Site, ChatServer]]:
    """A bridge with the account "site" and its chat server; `more` are further settings, `options` the account's."""
    async with (
        ChatServer() as fake,
        a_bridge(directory, site(fake, **options) + more, rules, chat_server=fake.url, files=files) as running,
    ):
        yield running, fake
        assert fake.refused == []
