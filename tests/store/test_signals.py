"""Servers of one PostgreSQL tell one another what is to be done; a lost connection is made again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text

from bridge.clock import SystemClock
from bridge.store.engines import engine_for, parse
from bridge.store.signals import CHANNEL, SERVING, Kind, Signal, Signals, say, send_on_commit, take


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    made = engine_for(parse(postgres_url))
    yield made
    made.dispose()


class Server:
    """Hears signals, and keeps them."""

    def __init__(self, engine: Engine) -> None:
        self.signals = Signals(engine, SystemClock())
        self._heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        for kind in ("deliveries", "mail", "runs"):
            self._keep(kind)

    def _keep(self, kind: Kind) -> None:
        self.signals.on(kind, lambda name: self._heard.put_nowait((kind, name)))

    async def hears(self, count: int) -> set[tuple[str, str]]:
        """The next signals, as they come."""
        async with asyncio.timeout(20):
            return {await self._heard.get() for _ in range(count)}

    @property
    def hears_nothing(self) -> bool:
        return self._heard.empty()


ANYTHING = {("deliveries", ""), ("mail", ""), ("runs", "")}


@asynccontextmanager
async def servers(engine: Engine, count: int) -> AsyncIterator[list[Server]]:
    """Servers that hear: each was told that anything may have happened before."""
    made = [Server(engine) for _ in range(count)]
    tasks = [asyncio.create_task(server.signals.run()) for server in made]
    try:
        for server in made:
            assert await server.hears(3) == ANYTHING
        yield made
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def test_what_one_tells_the_others_hear(engine: Engine) -> None:
    async with servers(engine, 3) as (one, other, third):
        one.signals.tell([("mail", "site/a"), ("runs", "")])
        assert await other.hears(2) == {("mail", "site/a"), ("runs", "")}
        assert await third.hears(2) == {("mail", "site/a"), ("runs", "")}
        # The other's comes after its own, which it would have heard by then.
        other.signals.tell([("deliveries", "")])
        assert await one.hears(1) == {("deliveries", "")}


async def test_many_names_come_in_several_messages_and_a_long_one_without_its_name(engine: Engine) -> None:
    names: set[Signal] = {("mail", f'site/{number:05}-ї\n"') for number in range(900)}
    async with servers(engine, 2) as (one, other):
        one.signals.tell([*names, ("mail", "x" * 7_000)])
        assert await other.hears(901) == names | {("mail", "")}


async def test_too_many_names_are_told_as_anything(engine: Engine) -> None:
    async with servers(engine, 2) as (one, other):
        one.signals.tell([("mail", f"site/{number}") for number in range(1_001)])
        assert await other.hears(1) == {("mail", "")}


async def test_lost_connections_are_made_again_and_nothing_is_lost(engine: Engine, postgres_url: str) -> None:
    async with servers(engine, 2) as (one, other):
        one.signals.tell([("runs", "")])
        assert await other.hears(1) == {("runs", "")}
        with psycopg.connect(postgres_url, autocommit=True) as killer:
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid != pg_backend_pid()"
            )
        # Who was away may have missed anything.
        assert await one.hears(3) == ANYTHING
        assert await other.hears(3) == ANYTHING
        one.signals.tell([("mail", "site/b")])
        assert await other.hears(1) == {("mail", "site/b")}


async def test_what_is_no_signal_harms_nobody(engine: Engine, postgres_url: str) -> None:
    async with servers(engine, 1) as (one,):
        with psycopg.connect(postgres_url, autocommit=True) as stranger:
            for message in ("", "?", "7", "null", "[[1]]", '["ab","cd","e"]', '[["other","x"]]', "[" * 5_000):
                stranger.execute("SELECT pg_notify(%s, %s)", [CHANNEL, message])
            stranger.execute("SELECT pg_notify(%s, %s)", [CHANNEL, '[["runs",""]]'])
        assert await one.hears(1) == {("runs", "")}


async def test_a_command_is_heard_when_it_commits_and_not_before(engine: Engine, postgres_url: str) -> None:
    visitor = engine_for(parse(postgres_url))
    send_on_commit(visitor)
    async with servers(engine, 1) as (one,):
        with visitor.connect() as connection:
            for name, end in (("given up", connection.rollback), ("kept", connection.commit)):
                connection.execute(text("SELECT 1"))
                say(connection, "mail", name)
                end()
            assert await one.hears(1) == {("mail", "kept")}
        assert one.hears_nothing
    visitor.dispose()


async def test_a_server_is_known_to_serve(engine: Engine, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as other:
        async with servers(engine, 2):
            assert other.execute("SELECT pg_try_advisory_lock(%s)", [SERVING]).fetchone() == (False,)


def test_what_was_said_is_taken_once(engine: Engine) -> None:
    with engine.begin() as connection:
        say(connection, "mail", "site/a")
        say(connection, "mail", "site/a")
        assert take(connection) == {("mail", "site/a")}
        assert take(connection) == frozenset()


async def test_a_file_has_nobody_to_tell(tmp_path: Path) -> None:
    engine = engine_for(parse(f"sqlite:///{tmp_path}/bridge.db"))
    with engine.begin() as connection:
        say(connection, "runs")
        assert take(connection) == frozenset()
    signals = Signals(engine, SystemClock())
    await signals.run()
    signals.tell([("runs", "")])
    engine.dispose()
