"""PostgreSQL: how many rows become one statement, and what its texts cannot hold.

A statement for each row would cost a message each; all rows travel as one JSON parameter instead, which the database
takes apart several times as fast as the driver could put rows into messages.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import JSON, Connection, Dialect, Text, bindparam, cast, column, func, select
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import TypeEngine

from bridge.model.event import INSTEAD, NUL

# A transaction that is to look sees one moment.
BEGIN_TO_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# One that writes sees, with each statement, what was committed before it: what it has waited for a lock to see. What it
# may read without a lock decides nothing.
# A server that is stopped in the middle of a transaction must not keep its locks from the others.
# Every statement of the line finds its few rows by an index. A plan that was made while a table was still small would
# read it from end to end ever after.
BEGIN_TO_WRITE = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '5s'; "
    "SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
)

# In JSON: an escape that no other escape precedes.
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def in_bulk(statement: Any, columns: Sequence[str] | None, dialect: Dialect) -> Any:
    """The statement that does for all rows in the JSON parameter "rows" what this one does for the values of one."""
    if isinstance(statement, Insert):
        names = list(columns or ())
        rows = _rows({name: statement.table.c[name].type for name in names})
        return statement.from_select(names, select(*(rows.c[name] for name in names)))
    binds = statement.compile(dialect=dialect).bind_names
    rows = _rows({name: bind.type for bind, name in binds.items() if bind.required})

    def replace(element: object, **_: object) -> object:
        return rows.c[element.key] if isinstance(element, BindParameter) and element.key in rows.c else None

    return replacement_traverse(statement, {}, replace)


def _rows(types: Mapping[str, TypeEngine[Any]]) -> TableValuedAlias:
    given = func.json_to_recordset(cast(bindparam("rows", type_=Text, required=True), JSON))
    fields = [column(name, kind) for name, kind in types.items()]
    return given.table_valued(*fields).render_derived(name="given", with_types=True)


def as_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as the parameter of a statement in bulk."""
    return _clean(orjson.dumps(rows).decode())


def without_nul(values: Mapping[str, Any], lists: Collection[str] = ()) -> Mapping[str, Any]:
    """The values with another character where a text has U+0000, which it cannot hold here; `lists` names those that
    are lists in JSON. A document that says it in an escape may be kept."""
    return {
        name: value if not isinstance(value, str) else _clean(value) if name in lists else value.replace(NUL, INSTEAD)
        for name, value in values.items()
    }


def _clean(written: str) -> str:
    """JSON without the escape, because the database takes its texts out of it."""
    return _ESCAPED_NUL.sub(r"\1\\ufffd", written) if "u0000" in written else written
