"""Two servers that share a PostgreSQL: they act as one. The clock stands still unless it is turned, so that whatever
one hears of the other without a turn, it has been told by a signal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bridge.clock import SetClock
from bridge.line.duty import HAD_FOR
from bridge.model.broadcast import Asked
from bridge.store import intervene, runs
from bridge.store.intervene import Filter
from bridge.store.store import visit_store
from bridge.store.writer import CALM
from tests.fakes.chat_server import ChatServer, Say
from tests.fakes.inbox import Inbox
from tests.line.test_stream import WEBCHAT, entries, reading, write
from tests.postgres import PostgresServer
from tests.running import ECHO, TOKEN, Site, a_bridge, site, until
from tests.values import NOON

NUDGE = """
rules:
  - name: nudge
    on: message
    do:
      - after: 10m
        do:
          - reply: {text: "Still there?"}
"""
OFFER = """
audiences:
  customers: {file: audiences/customers.csv}
broadcasts:
  - name: offer
    via: shop
    audience: customers
    to: {email: email}
    text: "Hello {{ name }}"
"""


@asynccontextmanager
async def two_servers(
    directory: Path,
    url: str,
    accounts: str,
    rules: str = ECHO,
    *,
    chat_server: str = "https://chat.example.com",
    files: dict[str, str] | None = None,
) -> AsyncIterator[tuple[Site, Site]]:
    clock = SetClock(NOON)
    settings = f'[store]\nurl = "{url}"\n{accounts}'
    async with (
        a_bridge(directory / "1", settings, rules, clock=clock, chat_server=chat_server, files=files, seed=1) as one,
        a_bridge(directory / "2", settings, rules, clock=clock, chat_server=chat_server, files=files, seed=2) as other,
    ):
        one.others.append(other)
        other.others.append(one)
        yield one, other


async def test_a_reply_is_read_at_another_server_than_was_written_to(tmp_path: Path, postgres_url: str) -> None:
    async with two_servers(tmp_path, postgres_url, WEBCHAT) as (one, other), reading(other) as stream:
        for number, text in enumerate(["one", "two"]):
            await write(one, text, number=number)
            assert [said for _, said in await entries(stream, 1)] == [f"you said {text}"]


async def test_a_message_that_comes_to_both_is_answered_once(tmp_path: Path, postgres_url: str) -> None:
    async with (
        ChatServer() as fake,
        two_servers(tmp_path, postgres_url, site(fake), chat_server=fake.url) as (one, other),
    ):
        for number in range(5):
            await one.say(f"message {number}", messageNumber=number + 1)
            await other.say(f"message {number}", messageNumber=number + 1)
        await until(lambda: one.states() == ["sent"] * 5)
        assert [said["message"] for said in fake.received] == [f"you said message {number}" for number in range(5)]


async def test_what_a_command_queues_again_is_sent_at_once(tmp_path: Path, postgres_url: str) -> None:
    async with (
        ChatServer() as fake,
        two_servers(tmp_path, postgres_url, site(fake), chat_server=fake.url) as (one, other),
    ):
        fake.answers.append(Say(status=400))
        await one.say("hello")
        await until(lambda: one.states() == ["dead"])
        with visit_store(postgres_url) as engine, engine.begin() as connection:
            assert len(intervene.replay(connection, Filter(), NOON, lambda _: timedelta(hours=1))) == 1
        await until(lambda: other.states() == ["sent"])
        assert [said["message"] for said in fake.received] == ["you said hello"] * 2


async def test_a_timer_fires_once(tmp_path: Path, postgres_url: str) -> None:
    async with (
        ChatServer() as fake,
        two_servers(tmp_path, postgres_url, site(fake), NUDGE, chat_server=fake.url) as (one, other),
    ):
        await one.say("hello")
        one.clock.advance(600)
        await other.until(lambda: fake.received, tick=1)
        await one.settle()
        until_then = one.clock.now() + timedelta(minutes=1)
        await one.until(lambda: one.clock.now() > until_then, tick=1)
        assert [said["message"] for said in fake.received] == ["Still there?"]
        assert [row.kind for row in one.rows("SELECT kind FROM events ORDER BY id")] == ["message", "timer"]


async def test_who_stops_leaves_what_it_did_to_another_at_once(tmp_path: Path, postgres_url: str) -> None:
    clock, settings = SetClock(NOON), f'[store]\nurl = "{postgres_url}"\n{WEBCHAT}'
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(a_bridge(tmp_path / "1", settings, clock=clock, seed=1))
        await one.until(lambda: len(duties(one)) == 2)
        had = duties(one)
        async with a_bridge(tmp_path / "2", settings, clock=clock, seed=2) as other:
            stopped_at = clock.now()
            await stack.aclose()
            await other.until(lambda: set(duties(other)) == set(had) and not had.items() & duties(other).items())
            assert clock.now() - stopped_at < HAD_FOR / 2


def duties(server: Site) -> dict[str, str]:
    """Who has which."""
    return {row.name: row.worker for row in server.rows("SELECT name, worker FROM duties")}


async def test_a_broadcast_reaches_everybody_once(tmp_path: Path, postgres_url: str) -> None:
    people = "email,name\n" + "".join(f"user{number}@shop.example,User {number}\n" for number in range(300))
    async with (
        Inbox() as inbox,
        two_servers(tmp_path, postgres_url, inbox.account(), OFFER, files={"audiences/customers.csv": people}) as (
            one,
            other,
        ),
    ):
        asked = Asked(broadcast="offer", moment="by hand", at=NOON, asked_by="person")
        number = await one.running.store.write(runs.ask, asked)
        assert number is not None
        assert await other.running.store.write(runs.ask, asked) is None
        await other.until(lambda: one.rows("SELECT 1 FROM runs WHERE state = 'done'"))
        assert set(inbox.got.values()) == {1}
        assert len(inbox.got) == 300


async def test_a_database_that_is_away_is_told_and_come_back_to(tmp_path: Path) -> None:
    with PostgresServer() as postgres:
        url = postgres.url().replace("bridge@", "bridge:hunter2@")
        async with (
            ChatServer() as fake,
            a_bridge(tmp_path, f'[store]\nurl = "{url}"\n{site(fake)}', chat_server=fake.url) as bridge,
        ):
            assert await ready(bridge) == (200, {"ready": True, "rulebook": "current"})
            await bridge.say("one", messageNumber=1)
            await asyncio.to_thread(postgres.stop)
            status, told = await ready(bridge)
            assert (status, told["ready"]) == (503, False)
            assert "hunter2" not in str(told)
            status, told = await bridge.call("notifyUserNewChatMessage", chatAccountToken=TOKEN, message="two")
            assert (status, "hunter2" in str(told)) == (503, False)
            await asyncio.to_thread(postgres.start)
            bridge.clock.advance(CALM + 1)
            assert (await ready(bridge))[0] == 200
            await bridge.say("three", messageNumber=3)
            await bridge.until(lambda: len(fake.received) == 2)
            assert [said["message"] for said in fake.received] == ["you said one", "you said three"]


async def ready(bridge: Site) -> tuple[int, Any]:
    async with bridge.client.get(f"{bridge.running.url}/readyz") as answer:
        return answer.status, await answer.json()
