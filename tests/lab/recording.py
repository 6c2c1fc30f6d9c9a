"""A record: what a serving bridge would have written, made by the same code with a clock that is turned by hand."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bridge.clock import SetClock, from_ms
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour
from bridge.line.render import Renderer
from bridge.model.event import Event
from bridge.platforms.edna import adapter as edna
from bridge.platforms.edna.account import EdnaAccount
from bridge.platforms.omnidesk import adapter as omnidesk
from bridge.store.ledger import Claim, Ledger, due_conversations
from bridge.store.store import Store, open_store
from bridge.templating import Templates
from tests.conftest import Unwatched
from tests.platforms.omnidesk_calls import an_account
from tests.rulebook.books import rules_of, sound
from tests.values import NOON, an_event


def behaviour_of(*rules: Mapping[str, Any], templates: Templates | None = None, **account: Any) -> Behaviour:
    """Rules for the accounts "site" (Omnidesk; `account` are options of it) and "support" (edna)."""
    support = EdnaAccount.model_validate(
        {"name": "support", "platform": "edna", "base_url": "https://company.example", "login": "i",
         "password": "secret", "hook_secret": "a-long-enough-secret", "agent_login": "bot"}
    )  # fmt: skip
    accounts = Accounts([an_account(**account), support], {"omnidesk": omnidesk, "edna": edna})
    rulebook = rules_of(*rules) if rules else sound(json.dumps({"rules": []}))
    return Behaviour(rulebook=rulebook, renderer=Renderer(templates or Templates(), accounts), accounts=accounts)


class Recorder:
    """Writes a store in `directory`. `wake_late` (seconds) is how long after it is due a timer wakes."""

    def __init__(
        self, directory: Path, behaviour: Behaviour, *, start: datetime = NOON, wake_late: float = 0.1
    ) -> None:
        self.url = f"sqlite:///{directory}/data/bridge.db"
        self.behaviour = behaviour
        self.clock = SetClock(start)
        self._late = wake_late
        self._store: Store | None = None
        self._count = 0

    async def __aenter__(self) -> "Recorder":
        self._store = open_store(self.url, self.clock, Unwatched())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()

    def event(self, text: str | None = "x", **changes: Any) -> Event:
        """The next thing that happens, now."""
        self._count += 1
        return an_event(**{"text": text, "key": str(self._count), "at": self.clock.now(), **changes})

    async def says(self, text: str | None = "x", **changes: Any) -> None:
        await self.take([self.event(text, **changes)])

    async def take(self, events: Iterable[Event]) -> None:
        await self._write(list(events), ())

    async def wait(self, seconds: float) -> None:
        """Let time go on; timers wake when they are due."""
        end = self.clock.monotonic() + seconds
        while (due := await self._first_due()) is not None:
            late = (due - self.clock.now()).total_seconds() + self._late
            if self.clock.monotonic() + late > end:
                break
            self.clock.advance(max(late, 0))
            await self._write((), await self._due())
        self.clock.advance(end - self.clock.monotonic())

    async def _write(self, events: Sequence[Event], keys: Sequence[str]) -> None:
        def work(connection: Connection, items: Sequence[None]) -> list[None]:
            ledger = Ledger(connection, events, self.clock.now(), keys=keys)
            for event in events:
                self.behaviour.decide(ledger, event)
            for key in keys:
                self.behaviour.wake(ledger, key)
            ledger.write(Claim(worker="w", until=self.clock.now()))
            return [None]

        await self.store.write(work, None)

    @property
    def store(self) -> Store:
        assert self._store is not None
        return self._store

    async def _due(self) -> list[str]:
        return await self.store.read(lambda connection: due_conversations(connection, self.clock.now(), 1000))

    async def _first_due(self) -> datetime | None:
        def look(connection: Connection) -> int | None:
            found = connection.exec_driver_sql("SELECT min(wake_at) FROM conversations WHERE wake_at IS NOT NULL")
            return found.scalar()

        due = await self.store.read(look)
        return None if due is None else from_ms(due)
