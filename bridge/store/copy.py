"""Copy: everything in one store into another that is empty, from SQLite to PostgreSQL or the other way.

The whole copy is one transaction, and it is committed only when every table was read again and found the same. So a
copy that is interrupted leaves nothing behind: it is begun again by the same command.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, Table, func, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreError
from bridge.store.engines import engine_for, parse, said
from bridge.store.failures import in_words
from bridge.store.postgres import is_postgres
from bridge.store.signals import SERVING
from bridge.store.sqlite import keep_others_off
from bridge.store.tables import HEAD, NUMBERED, mailbox, metadata
from bridge.store.versions import prepare_tables, version_of

CHUNK = 1_000
"""Rows that are in memory at a time."""
NUL, INSTEAD = "\0", "\ufffd"


def copy_store(source: str, target: str, advance: Callable[[str, int], None]) -> Mapping[str, int]:
    """Copy all tables; gives how many rows each has. `advance` is told of each further number of rows of a table.

    Raises StoreError: a store is served, the source has the tables of another version, the target is not empty or
    cannot take a row, or a row is not the same when it is read again. Then nothing was copied.
    """
    addresses = parse(source), parse(target)
    if addresses[0] == addresses[1]:
        raise StoreError(f"{said(addresses[0])}: a store cannot be copied onto itself")
    _require_file(addresses[0])
    with ExitStack() as stack:
        engine = stack.enter_context(_engine(addresses[0]))
        stack.enter_context(_unserved(engine))
        reading = stack.enter_context(engine.execution_options(reads=True).connect())
        _require_version(reading)
        engine = stack.enter_context(_engine(addresses[1]))
        # It waits for the lock that is taken next, so it comes before.
        prepare_tables(engine)
        stack.enter_context(_unserved(engine))
        writing = stack.enter_context(engine.begin())
        return _copy(reading, writing, advance)


@contextmanager
def _engine(address: URL) -> Iterator[Engine]:
    engine = engine_for(address)
    try:
        with _blaming(address):
            yield engine
    finally:
        engine.dispose()


@contextmanager
def _blaming(address: URL) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"{said(address)}: {in_words(getattr(error, 'orig', None) or error)}") from None


def _require_file(address: URL) -> None:
    """SQLite would make the file, and then find nothing in it."""
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        raise StoreError(f"{said(address)}: there is no store")


@contextmanager
def _unserved(engine: Engine) -> Iterator[None]:
    """While it is open, nobody begins to serve from this store. Raises StoreError where somebody does already."""
    if engine.dialect.name == "sqlite":
        let_go = keep_others_off(Path(engine.url.database or ""))
        try:
            yield
        finally:
            let_go()
        return
    with engine.connect() as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:serving)"), {"serving": SERVING}):
            raise StoreError(f"{said(engine.url)}: a replybridge is serving from this store; stop all of them first")
        connection.rollback()
        yield


def _require_version(connection: Connection) -> None:
    version = version_of(connection)
    if version is None:
        raise StoreError(f"{said(connection.engine.url)}: there is no store")
    if version != HEAD:
        raise StoreError(
            f"{said(connection.engine.url)}: the store has version {version}, and this program {HEAD}: "
            "bring it up with `replybridge migrate` first"
        )


def _copy(source: Connection, target: Connection, advance: Callable[[str, int], None]) -> Mapping[str, int]:
    if is_postgres(target):
        # Reading the other store may take longer than a server may be silent in the middle of a transaction.
        target.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    tables = [table for table in metadata.sorted_tables if table.name != "alembic_version"]
    for table in tables:
        if target.execute(select(table).limit(1)).first() is not None:
            raise StoreError(
                f"{said(target.engine.url)}: its table {table.name} has rows already; copy into a new database"
            )
    counts = {table.name: _copy_table(table, source, target, advance) for table in tables}
    _count_on(source, target)
    return counts


def _copy_table(table: Table, source: Connection, target: Connection, advance: Callable[[str, int], None]) -> int:
    # PostgreSQL's texts cannot hold the character of number 0; the server writes another in its place, and so do we.
    clean = _without_nul if is_postgres(target) else tuple
    copied, before = 0, hashlib.sha256()
    for chunk in _rows(table, source):
        rows = [clean(row) for row in chunk]
        _insert(table, target, rows)
        before.update(orjson.dumps(rows))
        copied += len(rows)
        advance(table.name, len(rows))
    found, after = 0, hashlib.sha256()
    for chunk in _rows(table, target):
        after.update(orjson.dumps(chunk))
        found += len(chunk)
    if (found, after.digest()) != (copied, before.digest()):
        raise StoreError(
            f"{said(target.engine.url)}: of {copied:,} rows of {table.name} {found:,} are there, or they are not the "
            "same; nothing was copied"
        )
    return copied


def _insert(table: Table, target: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    names = table.columns.keys()
    if not is_postgres(target):
        target.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
        return
    # Several times as fast as INSERT.
    cursor: Any = target.connection.cursor()
    try:
        with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as stream:
            for row in rows:
                stream.write_row(row)
    except target.dialect.loaded_dbapi.Error as error:
        raise StoreError(f"{said(target.engine.url)}: {in_words(error)}") from None


def _rows(table: Table, connection: Connection) -> Iterator[list[tuple[Any, ...]]]:
    """All rows in the order of their keys, which is that of bytes in either database."""
    ordered = select(table).order_by(*table.primary_key.columns)
    with (
        _blaming(connection.engine.url),
        closing(connection.execute(ordered, execution_options={"yield_per": CHUNK})) as result,
    ):
        for part in result.partitions():
            yield [tuple(row) for row in part]


def _without_nul(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.replace(NUL, INSTEAD) if isinstance(value, str) else value for value in row)


def _count_on(source: Connection, target: Connection) -> None:
    """New rows get numbers that no row of the other store ever had."""
    last = max(_last_mail(source), target.scalar(select(func.max(mailbox.c.id))) or 0)
    if not is_postgres(target):
        target.execute(text("DELETE FROM sqlite_sequence WHERE name = 'mailbox'"))
        target.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('mailbox', :last)"), {"last": last})
        return
    numbers = {str(NUMBERED[table].name): target.scalar(select(func.max(table.c.id))) or 0 for table in NUMBERED}
    numbers[target.scalar(text("SELECT pg_get_serial_sequence('mailbox', 'id')")) or ""] = last
    for name, number in numbers.items():
        target.execute(
            text("SELECT setval(CAST(:name AS regclass), :number, :used)"),
            {"name": name, "number": max(number, 1), "used": number > 0},
        )


def _last_mail(source: Connection) -> int:
    """A browser remembers the last number it saw, of a row that may be long gone."""
    if is_postgres(source):
        place = source.scalar(text("SELECT pg_get_serial_sequence('mailbox', 'id')"))
        return source.scalar(text("SELECT pg_sequence_last_value(CAST(:place AS regclass))"), {"place": place}) or 0
    if not inspect(source).has_table("sqlite_sequence"):
        return 0
    return source.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'mailbox'")) or 0
