"""Versions: the tables of a new store are made, those of an older version brought up to this one."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreError
from bridge.store.engines import engine_for, parse, said
from bridge.store.failures import in_words
from bridge.store.postgres import is_postgres
from bridge.store.signals import SERVING
from bridge.store.sqlite import keep_others_off
from bridge.store.tables import HEAD, metadata

_ALONE = text("SELECT pg_advisory_xact_lock(7239144104), pg_advisory_xact_lock_shared(:serving)")
_VERSION = text(
    "CREATE TABLE alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def stand_alone(connection: Connection) -> None:
    """Until this transaction ends, nobody else makes, migrates or copies tables here.

    A writing transaction of SQLite is alone by itself. On PostgreSQL servers that start together would make the tables
    twice; the lock goes with the transaction, so it needs no connection of its own and passes through any pooler.
    """
    if is_postgres(connection):
        connection.execute(_ALONE, {"serving": SERVING})


def version_of(connection: Connection) -> str | None:
    """The newest migration that the store has; None where it has no tables yet, "" where not even the first is done."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version")) or ""


def prepare_tables(engine: Engine) -> str | None:
    """Make the tables of a new store, or bring those of an older version up to this one, in one transaction.

    Gives the version it had, as `version_of`. Raises StoreError, and SQLAlchemyError where the database refuses.
    """
    with engine.begin() as connection:
        stand_alone(connection)
        version = version_of(connection)
        if version is None:
            # Where there are tables of the same names already, they are somebody else's: this fails.
            metadata.create_all(connection, checkfirst=False)
            connection.execute(_VERSION)
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
    if version not in (None, HEAD):
        _migrate(engine, version)
    return version


def _migrate(engine: Engine, version: str | None) -> None:
    """Migrating takes a library that serving does not, and its memory; so it has a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge.store.migrate"],
        # Not among its arguments, which every user of the machine can see: a password may be in it.
        input=engine.url.render_as_string(hide_password=False),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        why = done.stderr.strip().splitlines() or ["no reason given"]
        raise StoreError(f"the store has version {version or 0} and cannot be brought to {HEAD}: {why[-1]}")


def bring_up(url: str) -> str | None:
    """`prepare_tables` for a command, while no server has the file. Raises StoreError."""
    address = parse(url)
    on_file = address.get_backend_name() == "sqlite"
    let_go = keep_others_off(Path(address.database or "")) if on_file else None
    engine = engine_for(address)
    try:
        return prepare_tables(engine)
    except SQLAlchemyError as error:
        raise StoreError(f"{said(address)}: {in_words(getattr(error, 'orig', None) or error)}") from None
    finally:
        engine.dispose()
        if let_go is not None:
            let_go()
