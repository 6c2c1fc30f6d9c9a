"""The store: opened once, written through one group-committing thread, read through a few others."""

import asyncio
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.observe import log
from bridge.store.tables import HEAD, metadata
from bridge.store.writer import Item, Observer, Result, Work, Writer

Read = TypeVar("Read")
_READERS = 2
_PRAGMAS = (
    "journal_mode=WAL",
    # A commit is on the disk before it is answered.
    "synchronous=FULL",
    "busy_timeout=10000",
    "cache_size=-16000",
    # Pages that change in every commit are copied back once in 40 MB of changes, not once in 4.
    "wal_autocheckpoint=10000",
    # What is deleted is overwritten, so that a person who is forgotten is gone from the file.
    "secure_delete=ON",
)
CHECK_WITHIN = 3.0
"""Seconds that looking for damage may take at start; a large file is looked at in part."""


class Store:
    """The durable state. `write` shares transactions; `read` sees what was committed before it began."""

    def __init__(self, engine: Engine, writer: Writer, unlock: Callable[[], None]) -> None:
        self._engine = engine
        self._reading = engine.execution_options(reads=True)
        self._writer = writer
        self._unlock = unlock
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="reader")

    @property
    def waiting(self) -> int:
        """How many items wait to be written."""
        return self._writer.waiting

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

    async def read(self, look: Callable[[Connection], Read]) -> Read:
        """What `look` finds, in a thread of its own. May raise StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, look)

    def read_now(self, look: Callable[[Connection], Read]) -> Read:
        """`read` for callers that have no event loop."""
        try:
            with self._reading.connect() as connection:
                return look(connection)
        except SQLAlchemyError as error:
            raise StoreError(f"the store could not read: {getattr(error, 'orig', None) or error}") from None

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
    address = _parse(url)
    unlock = _lock(Path(address.database or ""))
    try:
        engine = _engine(address)
        _look_for_damage(engine, clock)
        _prepare_tables(engine, address)
    except SQLAlchemyError as error:
        unlock()
        why = str(getattr(error, "orig", None) or error)
        raise StoreError(f"{url}: {why}{_TO_MEND if _tells_damage(why) else ''}") from None
    except StoreError:
        unlock()
        raise
    return Store(engine, Writer(engine, monotonic=clock.monotonic, observer=observer), unlock)


_TO_MEND = (
    "; the file is damaged: put a backup in its place (README, Operations), or save what can still be read: "
    "sqlite3 bridge.db .recover"
)


def _tells_damage(why: str) -> bool:
    return "malformed" in why or "not a database" in why


def _look_for_damage(engine: Engine, clock: Clock) -> None:
    """Raises SQLAlchemyError or StoreError where the file is damaged; what it finds in `CHECK_WITHIN`, it finds."""
    end = clock.monotonic() + CHECK_WITHIN
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        if driver is None:
            return
        driver.set_progress_handler(lambda: clock.monotonic() > end, 100_000)
        try:
            [(found,)] = connection.connection.cursor().execute("PRAGMA quick_check(1)").fetchall()
        except connection.dialect.loaded_dbapi.OperationalError as error:
            if "interrupted" not in str(error):
                raise StoreError(f"{engine.url.database}: {error}{_TO_MEND}") from None
            log().info("the store is large; only a part of it was looked at for damage", seconds=CHECK_WITHIN)
            found = "ok"
        except connection.dialect.loaded_dbapi.DatabaseError as error:
            raise StoreError(f"{engine.url.database}: {error}{_TO_MEND}") from None
        finally:
            driver.set_progress_handler(None, 0)
    if found != "ok":
        raise StoreError(f"{engine.url.database}: {found}{_TO_MEND}")


@contextmanager
def visit_store(url: str) -> Iterator[Engine]:
    """The store for a command that looks or changes a few rows while a server may be running."""
    address = _parse(url)
    if not Path(address.database or "").exists():
        raise StoreError(f"{url}: there is no store yet; `replybridge serve` makes one")
    engine = _engine(address)
    try:
        yield engine
    except SQLAlchemyError as error:
        raise StoreError(f"{url}: {getattr(error, 'orig', None) or error}") from None
    finally:
        engine.dispose()


def database_of(url: str) -> Path:
    """The file of a store."""
    return Path(_parse(url).database or "")


def _parse(url: str) -> URL:
    address = make_url(url)
    if address.get_backend_name() != "sqlite" or not address.database or address.database == ":memory:":
        raise StoreError(f'store.url: "{url}": this version keeps its store in a file: sqlite:///data/bridge.db')
    return address


def _lock(database: Path) -> Callable[[], None]:
    """Keep a second server off the file; the lock goes with the process, however it ends."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{database}: the store cannot be kept here: {error.strerror or error}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StoreError(f"{database}: another replybridge is serving from this file; stop it first") from None
    return lambda: os.close(handle)


def _engine(address: URL) -> Engine:
    # SQLite's driver would begin transactions late and by itself; here each begins when we say so.
    engine = create_engine(
        address, connect_args={"isolation_level": None}, pool_size=_READERS + 1, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader takes a snapshot and hinders nobody; a writer takes its turn at once, not in the middle.
        reads = connection.get_execution_options().get("reads", False)
        try:
            connection.connection.cursor().execute("BEGIN" if reads else "BEGIN IMMEDIATE")
        except connection.dialect.loaded_dbapi.Error as error:
            raise StoreError(f"the store could not begin: {error}") from None

    return engine


def _prepare_tables(engine: Engine, address: URL) -> None:
    """Make the tables of a new store; bring those of an older version up to this one."""
    with engine.begin() as connection:
        if not inspect(connection).has_table("alembic_version"):
            metadata.create_all(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
            return
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if version != HEAD:
        # Migrating takes a library that serving does not, and its memory; so it has a process of its own.
        command = [sys.executable, "-m", "bridge.store.migrate", address.render_as_string(hide_password=False)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
        if done.returncode:
            why = done.stderr.strip().splitlines() or ["no reason given"]
            raise StoreError(f"the store has version {version} and cannot be brought to {HEAD}: {why[-1]}")


def _touch(connection: Connection, items: Sequence[None]) -> list[None]:
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    return [None] * len(items)


def healthy(connection: Connection) -> bool:
    """Whether the store answers."""
    return connection.execute(text("SELECT 1")).scalar() == 1
