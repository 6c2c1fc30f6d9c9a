"""Failures: what the databases' errors mean for whoever asked."""

import re
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bridge.errors import StoreError

# Of PostgreSQL: a deadlock, a conflict that only a second try solves, and a lock that was not to be had in time.
_PASSING = frozenset({"40P01", "40001", "55P03"})
# What somebody who sets a PostgreSQL up gets wrong first, and what they do about it.
_STEPS = (
    (re.compile("fe_sendauth: no password"), "set PGPASSWORD, or write the password into ~/.pgpass"),
    (re.compile('database "[^"]*" does not exist'), "make it (createdb), or mend the address"),
)


class PassingError(StoreError):
    """Others were in the way; the same transaction may succeed when it is run again."""


class LostError(StoreError):
    """The connection to the database is gone, and with it the transaction; perhaps another can be had."""


def failure(connection: Connection, what: str, error: Exception) -> StoreError:
    """What an error of the driver on `connection` means; `what` is "could not write", or "could not read"."""
    said = f"the store {what}: {in_words(error)}"
    raw = connection.connection.dbapi_connection
    if connection.dialect.is_disconnect(error, raw, None):  # type: ignore[arg-type]  # any driver's error
        connection.invalidate()
        return LostError(said)
    return PassingError(said) if _passes(error) else StoreError(said)


def explained(what: str, error: SQLAlchemyError) -> StoreError:
    """What an error that SQLAlchemy has raised means."""
    cause: Any = getattr(error, "orig", None) or error
    said = f"the store {what}: {in_words(cause)}"
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return LostError(said)
    return PassingError(said) if _passes(cause) else StoreError(said)


def in_words(error: BaseException) -> str:
    """What a driver's error says, without the values that PostgreSQL tells in its further lines; and what to do."""
    first = getattr(getattr(error, "diag", None), "message_primary", None)
    told = " ".join(str(first or error).split())
    return "; ".join([told, *(step for pattern, step in _STEPS if pattern.search(told))])


def _passes(error: object) -> bool:
    return getattr(error, "sqlstate", None) in _PASSING
