"""Statements that run for every event, compiled once.

SQLAlchemy words them, for whichever database; executed by itself, each would be looked up, its rows taken apart and its
lists written out anew every time, at several times the cost of the statement.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Connection, Dialect, bindparam, func, select


def among(column: Column[str], name: str) -> ColumnElement[bool]:
    """Whether a text is in a list that is given as one JSON parameter, so that the statement is always the same."""
    return column.in_(select(func.json_each(bindparam(name)).table_valued("value").c.value))


def as_list(values: Iterable[str]) -> str:
    """A list as `among` takes it."""
    return orjson.dumps(list(values)).decode()


class Prepared:
    """`columns` are the values that an insert takes; other statements name their own parameters."""

    def __init__(self, statement: Any, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = None if columns is None else list(columns)
        self._compiled = lru_cache(maxsize=4)(self._compile)

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for all rows; each has a value for every name."""
        sql, names, fixed = self._compiled(connection.dialect)
        if fixed:
            rows = [{**fixed, **row} for row in rows]
        connection.exec_driver_sql(sql, [tuple([row[name] for name in names]) for row in rows])

    def fetch(self, connection: Connection, **values: object) -> Sequence[Any]:
        """The rows that a query finds."""
        sql, names, fixed = self._compiled(connection.dialect)
        values = {**fixed, **values}
        return connection.exec_driver_sql(sql, tuple([values[name] for name in names])).fetchall()

    def _compile(self, dialect: Dialect) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
        """The SQL, the names of its parameters in order, and the values of those that the statement itself gives."""
        compiled = self._statement.compile(
            dialect=dialect, column_keys=self._columns, compile_kwargs={"render_postcompile": True}
        )
        given = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
        return str(compiled), tuple(compiled.positiontup), given
