"""Statements that run for every event, compiled once.

SQLAlchemy words them, for whichever database, and its connection's own cursor executes them; executed by SQLAlchemy,
each would be looked up, its rows taken apart and its lists written out anew every time, at several times the cost of
the statement.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Connection, Dialect, bindparam, func, select

from bridge.errors import StoreError


def among(column: Column[Any], name: str) -> ColumnElement[bool]:
    """Whether a value is in a list that is given as one JSON parameter, so that the statement is always the same."""
    return column.in_(select(func.json_each(bindparam(name)).table_valued("value").c.value))


def as_list(values: Iterable[str | int]) -> str:
    """A list as `among` takes it."""
    return orjson.dumps(list(values)).decode()


class Prepared:
    """`columns` are the values that an insert takes; other statements name their own parameters."""

    def __init__(self, statement: Any, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = None if columns is None else list(columns)
        self._compiled = lru_cache(maxsize=4)(self._compile)

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for all rows; each has a value for every name. Raises StoreError."""
        sql, in_order, fixed = self._compiled(connection.dialect)
        if fixed:
            rows = [{**fixed, **row} for row in rows]
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(sql, [in_order(row) for row in rows])
        except connection.dialect.loaded_dbapi.Error as error:
            raise StoreError(f"the store could not write: {error}") from None
        finally:
            cursor.close()

    def fetch(self, connection: Connection, **values: object) -> Sequence[Any]:
        """The rows that a query finds, as tuples. Raises StoreError."""
        sql, in_order, fixed = self._compiled(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(sql, in_order({**fixed, **values}))
            found: Sequence[Any] = cursor.fetchall()
        except connection.dialect.loaded_dbapi.Error as error:
            raise StoreError(f"the store could not read: {error}") from None
        finally:
            cursor.close()
        return found

    def _compile(self, dialect: Dialect) -> tuple[str, Callable[[Mapping[str, Any]], Any], Mapping[str, Any]]:
        """The SQL, what puts its parameters in order, and the values of those that the statement itself gives."""
        compiled = self._statement.compile(
            dialect=dialect, column_keys=self._columns, compile_kwargs={"render_postcompile": True}
        )
        given = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
        return str(compiled), _in_order(tuple(compiled.positiontup)), given


def _in_order(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Any]:
    """The values of these names as a tuple."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple([values[name] for name in names])
