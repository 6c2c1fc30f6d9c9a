"""The store: opened once, written through one group-committing thread, read through a few others."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.store import sqlite
from bridge.store.engines import engine_for, parse, said
from bridge.store.failures import LostError, explained, in_words
from bridge.store.signals import Signals, send_on_commit
from bridge.store.versions import prepare_tables, version_of
from bridge.store.writer import Given, Item, Observer, Prepare, Result, Work, Writer

Read = TypeVar("Read")
_READERS = 2
_CONNECTIONS = _READERS + 1


class Store:
    """The durable state. `write` shares transactions; `read` sees what was committed before it began.

    Where it is `shared`, other servers may write to it at any time; `signals` tells them and hears of them.
    """

    def __init__(self, engine: Engine, writer: Writer, signals: Signals, unlock: Callable[[], None]) -> None:
        self._engine = engine
        self._reading = engine.execution_options(reads=True)
        self._writer = writer
        self._unlock = unlock
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="reader")
        self.signals = signals
        self.shared = engine.dialect.name == "postgresql"

    @property
    def waiting(self) -> int:
        """How many items wait to be written."""
        return self._writer.waiting

    @property
    def busy(self) -> bool:
        """Whether anything is still to be written."""
        return self._writer.busy

    @property
    def writes(self) -> bool:
        """Whether the thread that writes is alive."""
        return self._writer.alive

    @property
    def trouble(self) -> str | None:
        """Why a transaction could not be written lately: the disk is full, say; None where all could."""
        return self._writer.trouble

    async def try_to_write(self) -> None:
        """Write something that changes nothing. Raises StoreError while it does not go well."""
        await self._writer.write(_touch, None)
        if self.trouble is not None:
            raise StoreError(self.trouble)

    def write(self, work: Work[Item, Result], item: Item) -> "asyncio.Future[Result]":
        """Queue `item` for the next shared transaction; the result comes after its commit. May raise StoreError."""
        return self._writer.write(work, item)

    def prepare_and_write(
        self, prepare: Prepare[Given, Item, Result], given: Given, work: Work[Item, Result]
    ) -> "asyncio.Future[Result]":
        """As `write` for the item that `prepare` makes of what is `given`, on the event loop and all of a batch in one
        go. It may find that there is nothing to write, and give the result (`Needless`), or raise what the caller gets.
        """
        return self._writer.prepare_and_write(prepare, given, work)

    async def read(self, look: Callable[[Connection], Read]) -> Read:
        """What `look` finds, in a thread of its own. May raise StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, look)

    def read_now(self, look: Callable[[Connection], Read]) -> Read:
        """`read` for callers that have no event loop."""
        # When a database was gone for a moment, each connection that is kept finds that out for itself, once.
        for _ in range(_CONNECTIONS):
            try:
                return self._read_once(look)
            except LostError:
                continue
        return self._read_once(look)

    def _read_once(self, look: Callable[[Connection], Read]) -> Read:
        try:
            with self._reading.connect() as connection:
                return look(connection)
        except SQLAlchemyError as error:
            raise explained("could not read", error) from None

    def close(self) -> None:
        """Write what still waits, then let go of the files."""
        self._writer.close()
        self._readers.shutdown()
        self._engine.dispose()
        self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url: str, clock: Clock, observer: Observer) -> Store:
    """Open the store for serving, creating or migrating its tables. Only one process may serve a SQLite file.

    Raises StoreError: the address is wrong, the file is in use, not a database, or from a newer version.
    """
    address = parse(url)
    unlock = _no_lock if _is_shared(address) else sqlite.keep_others_off(_file(address))
    try:
        engine = engine_for(address, connections=_CONNECTIONS, serves=True)
        if not _is_shared(address):
            sqlite.look_for_damage(engine, clock)
        prepare_tables(engine)
    except SQLAlchemyError as error:
        unlock()
        why = in_words(getattr(error, "orig", None) or error)
        raise StoreError(f"{said(address)}: {why}{sqlite.TO_MEND if sqlite.tells_damage(why) else ''}") from None
    except StoreError:
        unlock()
        raise
    signals = Signals(engine, clock)
    return Store(
        engine, Writer(engine, monotonic=clock.monotonic, observer=observer, tell=signals.tell), signals, unlock
    )


def _no_lock() -> None:
    pass


def _is_shared(address: URL) -> bool:
    return address.get_backend_name() == "postgresql"


def _file(address: URL) -> Path:
    return Path(address.database or "")


@contextmanager
def visit_store(url: str) -> Iterator[Engine]:
    """The store for a command that looks or changes a few rows while a server may be running."""
    address = parse(url)
    if not _is_shared(address) and not _file(address).exists():
        raise StoreError(f"{said(address)}: {_NONE_YET}")
    engine = engine_for(address)
    send_on_commit(engine)
    try:
        if _is_shared(address):
            with engine.connect() as connection:
                if version_of(connection) is None:
                    raise StoreError(f"{said(address)}: {_NONE_YET}")
        yield engine
    except SQLAlchemyError as error:
        raise StoreError(f"{said(address)}: {in_words(getattr(error, 'orig', None) or error)}") from None
    finally:
        engine.dispose()


_NONE_YET = "there is no store yet; `replybridge serve` makes one"


def _touch(connection: Connection, items: Sequence[None]) -> list[None]:
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    return [None] * len(items)


def healthy(connection: Connection) -> bool:
    """Whether the store answers."""
    return connection.execute(text("SELECT 1")).scalar() == 1
