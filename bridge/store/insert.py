"""Inserts that may meet a row which is there already.

Both engines read the same words. SQLAlchemy has them once for each, and would load all that it knows of PostgreSQL for
a store that is a file: two megabytes, and a tenth of a second of every start.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Insert, Table, insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, SyntaxExtension
from sqlalchemy.sql.compiler import SQLCompiler


class _OnConflict(SyntaxExtension, ClauseElement):
    """`unique` are the columns of the unique index that is meant, `only` its condition; none: any that there is.

    The columns in `changed` take the new values; with none, the row stays as it is.
    """

    inherit_cache = False

    def __init__(self, unique: Sequence[str], only: str, changed: Sequence[str]) -> None:
        self.unique = unique
        self.only = only
        self.changed = changed

    def apply_to_insert(self, insert_stmt: Insert) -> None:
        insert_stmt.apply_syntax_extension_point(self.append_replacing_same_type, "post_values")


@compiles(_OnConflict)
def _worded(element: _OnConflict, compiler: SQLCompiler, **_: Any) -> str:
    quoted = compiler.preparer.quote
    target = f" ({', '.join(map(quoted, element.unique))})" if element.unique else ""
    condition = f" WHERE {element.only}" if element.only else ""
    changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in element.changed)
    return f"ON CONFLICT{target}{condition} DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"


def insert_unless_there(table: Table, *unique: str, only: str = "") -> Insert:
    """An insert that leaves alone what is there already, by any unique index or by the one of these columns, which
    has the condition `only`."""
    return insert(table).ext(_OnConflict(unique, only, ()))


def insert_or_change(table: Table, key: str, changed: Sequence[str]) -> Insert:
    """An insert that gives these columns of a row with the same key, if it is there already, the new values."""
    return insert(table).ext(_OnConflict((key,), "", changed))
