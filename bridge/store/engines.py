"""Engines: how the store is reached, a SQLite file or a PostgreSQL, and how its transactions begin."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from bridge.errors import StoreError
from bridge.store.failures import failure
from bridge.store.postgres import BEGIN_TO_READ, BEGIN_TO_WRITE, without_nul

_PRAGMAS = (
    "journal_mode=WAL",
    # A commit is on the disk before it is answered.
    "synchronous=FULL",
    "busy_timeout=10000",
    "cache_size=-16000",
    # What is deleted is overwritten, so that a person who is forgotten is gone from the file.
    "secure_delete=ON",
)
_COPY_BACK = "wal_autocheckpoint=4000"
"""Whoever serves copies changes back to the file at the latest when their log has 16 MB; see checkpoint.py."""
_COPY_NOTHING_BACK = "wal_autocheckpoint=0"
"""Nobody else does, until the last connection to the file is closed. SQLite before 3.51.3 can lose what was committed
where one connection copies back while another begins the log anew: https://sqlite.org/wal.html, "The WAL-reset bug"."""
_BEGIN = {
    # A reader takes a snapshot and hinders nobody; a writer takes its turn at once, not in the middle.
    ("sqlite", True): "BEGIN",
    ("sqlite", False): "BEGIN IMMEDIATE",
    ("postgresql", True): BEGIN_TO_READ,
    ("postgresql", False): BEGIN_TO_WRITE,
}
_POSTGRESQL: Mapping[str, object] = {
    "autocommit": True,
    "application_name": "replybridge",
    # A PostgreSQL that is gone without a word is noticed within seconds.
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_NEEDED = 'a store on PostgreSQL needs its driver: in the folder of the project, pip install -e ".[postgresql]"'


def parse(url: str) -> URL:
    """The address of a store. Raises StoreError, which never shows it, because a password may stand in it."""
    try:
        address = make_url(url)
        kind = address.get_backend_name()
    except (ArgumentError, ValueError):
        kind = ""
    if kind == "postgresql":
        return address.set(drivername="postgresql+psycopg")
    if kind != "sqlite" or address.database in (None, "", ":memory:"):
        raise StoreError('store.url: must be "sqlite:///data/bridge.db" or "postgresql://user@host/db"')
    return address


def said(address: URL) -> str:
    """An address for a log or an error: without a password, and without whatever follows a `?`."""
    return address.set(drivername=address.get_backend_name(), query={}).render_as_string()


def engine_for(address: URL, *, connections: int = 3, serves: bool = False) -> Engine:
    """An engine of which at most `connections` are kept open; those that only look have the option `reads`.

    A SQLite file has one engine that `serves` at a time; others are those of commands.

    Nothing is connected yet. Raises StoreError where a driver is missing.
    """
    # The drivers would begin transactions late and by themselves; here each begins when we say so.
    options: dict[str, Any] = {"connect_args": {"isolation_level": None}}
    if address.get_backend_name() == "postgresql":
        options = {"connect_args": _postgresql(address), "use_native_hstore": False}
    try:
        engine = create_engine(address, pool_size=connections, hide_parameters=True, **options)
    except ImportError:
        raise StoreError(f"{said(address)}: {_NEEDED}") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_prepare_sqlite, _COPY_BACK if serves else _COPY_NOTHING_BACK))
    else:
        event.listen(engine, "before_cursor_execute", _clean, retval=True)
    event.listen(engine, "begin", _begin_unless_by_hand)
    return engine


def connect_to_write(engine: Engine) -> Connection:
    """A connection whose transactions begin and end with `begin`, `commit` and `roll_back` alone.

    What SQLAlchemy does around a transaction costs several times what the database needs to begin one. It takes all
    that the connection does for one transaction: so a connection that is lost in the middle of one is not made again
    unasked, which would have the rest of it written without what came before.
    """
    connection = engine.execution_options(by_hand=True).connect()
    connection.begin()
    return connection


def begin(connection: Connection) -> None:
    """Begin a transaction, as whoever looks does or as whoever writes. Raises StoreError."""
    dialect = connection.dialect
    reads = bool(connection.get_execution_options().get("reads", False))
    driver: Any = connection.connection.dbapi_connection
    try:
        driver.execute(_BEGIN[dialect.name, reads])
    except dialect.loaded_dbapi.Error as error:
        raise failure(connection, "could not begin", error) from None


def commit(connection: Connection) -> None:
    """What was written is on the disk. Raises StoreError; then the transaction is still to be rolled back."""
    try:
        connection.connection.commit()
    except connection.dialect.loaded_dbapi.Error as error:
        raise failure(connection, "could not write", error) from None


def roll_back(connection: Connection) -> None:
    """Nothing was written; where no transaction was begun, this does nothing. Raises StoreError."""
    try:
        connection.connection.rollback()
    except connection.dialect.loaded_dbapi.Error as error:
        raise failure(connection, "could not write", error) from None


def driver_arguments(engine: Engine) -> tuple[Any, dict[str, Any]]:
    """The PostgreSQL driver, and what it takes to connect as the engine does."""
    _, arguments = engine.dialect.create_connect_args(engine.url)
    return engine.dialect.loaded_dbapi, {**arguments, **_postgresql(engine.url)}


def _postgresql(address: URL) -> dict[str, object]:
    """What the address says itself counts more."""
    return {name: value for name, value in _POSTGRESQL.items() if name not in address.query}


def _prepare_sqlite(copying: str, connection: Any, _: object) -> None:
    for pragma in (*_PRAGMAS, copying):
        connection.execute(f"PRAGMA {pragma}")


def _clean(
    connection: Connection, cursor: Any, statement: str, given: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """What SQLAlchemy itself executes; see `Prepared` for the rest."""
    if many:
        return statement, [without_nul(one) for one in given]
    return statement, without_nul(given) if isinstance(given, Mapping) else given


def _begin_unless_by_hand(connection: Connection) -> None:
    if not connection.get_execution_options().get("by_hand", False):
        begin(connection)
