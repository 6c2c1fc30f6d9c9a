"""Statements that run for every event, compiled once for each engine.

SQLAlchemy words them, for whichever database, and the driver's own connection executes them; executed by SQLAlchemy,
each would be looked up, its rows taken apart and its lists written out anew every time, at several times the cost of
the statement. Lists travel as one JSON parameter, so that a statement is always the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BindParameter, Boolean, Column, ColumnElement, Connection, Dialect, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.visitors import InternalTraversal

from bridge.store import postgres
from bridge.store.failures import failure


class _List(Text):
    """A list that is given as one JSON parameter."""


def a_list(name: str) -> BindParameter[str]:
    """The parameter of a statement to which a list is given, as `as_list` makes it."""
    return bindparam(name, type_=_List())


class among(ColumnElement[bool]):  # noqa: N801 - it reads as what it does, as SQLAlchemy's own constructs do
    """Whether the value of `column` is in the list (see `as_list`) that is given under `name`."""

    inherit_cache = False
    _is_implicitly_boolean = True
    type = Boolean()
    _traverse_internals = [  # noqa: RUF012 - as SQLAlchemy has it
        ("column", InternalTraversal.dp_clauseelement),
        ("bind", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: Column[Any], name: str) -> None:
        self.column = column
        self.bind = a_list(name)


@compiles(among, "sqlite")
def _among_in_sqlite(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, bind = compiler.process(element.column, **options), compiler.process(element.bind, **options)
    return f"{column} IN (SELECT value FROM json_each({bind}))"  # noqa: S608 - both are SQLAlchemy's


@compiles(among, "postgresql")
def _among_in_postgresql(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, bind = compiler.process(element.column, **options), compiler.process(element.bind, **options)
    kind = "" if element.column.type.python_type is str else "::bigint"
    return f"{column} = ANY (ARRAY(SELECT value{kind} FROM json_array_elements_text({bind}::json) AS value))"  # noqa: S608


def as_list(values: Iterable[str | int]) -> str:
    """A list as `among` takes it."""
    return orjson.dumps(list(values)).decode()


def in_one_go(connection: Connection) -> AbstractContextManager[None]:
    """Statements that are prepared go to the database together, until rows of one of them are wanted.

    So a database that is far away costs few ways there and back. Each statement still sees what those before it did,
    and waits for the locks that they take. Raises StoreError for any of them.
    """
    return _pipeline(connection) if postgres.is_postgres(connection) else nullcontext()


@contextmanager
def _pipeline(connection: Connection) -> Iterator[None]:
    driver: Any = connection.connection.dbapi_connection
    try:
        with driver.pipeline():
            yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise failure(connection, "could not write", error) from None


class _Form(NamedTuple):
    """The SQL, what makes its parameters of given values, and the values that the statement itself gives."""

    sql: str
    given: Callable[[Mapping[str, Any]], Any]
    fixed: Mapping[str, Any]


_Rows = Sequence[tuple[Any, ...]]


class Prepared:
    """`columns` are the values that an insert takes, or the order in which `write` gives the parameters of another
    statement.

    Where the engines have different words for it, `postgresql` is the statement for that one.
    """

    def __init__(self, statement: Any, columns: Sequence[str] | None = None, *, postgresql: Any = None) -> None:
        self._statements = {"sqlite": statement, "postgresql": statement if postgresql is None else postgresql}
        # SQLAlchemy's own names are of a kind that is written as no key of JSON.
        self._columns = [str(name) for name in columns or ()]
        self._compiled = lru_cache(maxsize=4)(self._compile)
        self._arranged = lru_cache(maxsize=4)(self._arrange)
        self._bulk = lru_cache(maxsize=4)(self._compile_bulk)

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Execute it for all rows; each has a value for every name, and no two are about the same row of a table.

        Gives how many rows of the table it has changed, which within `in_one_go` nobody knows yet. Raises StoreError.
        """
        if len(rows) == 1:
            return self.execute(connection, **rows[0])
        if postgres.is_postgres(connection):
            form = self._bulk(connection.dialect)
            bulk = {**form.fixed, "rows": postgres.as_rows(rows)}
            return int(_executed(connection, "could not write", form.sql, bulk).rowcount)
        sql, given, fixed = self._compiled(connection.dialect)
        return _executed_many(connection, sql, [given({**fixed, **row}) for row in rows])

    def write(self, connection: Connection, rows: _Rows) -> int:
        """As `run`, for the many rows of the line: each has the values of `columns` in their order, without names."""
        if postgres.is_postgres(connection):
            return self.run(connection, self._named(rows))
        sql, arranged = self._arranged(connection.dialect)
        return _executed_many(connection, sql, arranged(rows))

    def each(self, connection: Connection, rows: _Rows) -> list[int]:
        """As `write`; gives how many rows of the table it has changed for each. On SQLite alone. Raises StoreError."""
        sql, arranged = self._arranged(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            return [cursor.execute(sql, row).rowcount for row in arranged(rows)]
        except connection.dialect.loaded_dbapi.Error as error:
            raise failure(connection, "could not write", error) from None

    def execute(self, connection: Connection, **values: object) -> int:
        """Execute it once; gives how many rows it has changed, as `run`. Raises StoreError."""
        sql, given, fixed = self._compiled(connection.dialect)
        return int(_executed(connection, "could not write", sql, given({**fixed, **values})).rowcount)

    def fetch(self, connection: Connection, **values: object) -> Sequence[Any]:
        """The rows that a query finds, as tuples. Raises StoreError."""
        return self.ask(connection, **values)()

    def ask(self, connection: Connection, **values: object) -> Callable[[], Sequence[Any]]:
        """Ask now what is wanted later; gives what gives the rows. Raises StoreError, and so does that."""
        sql, given, fixed = self._compiled(connection.dialect)
        return _asked(connection, sql, given({**fixed, **values}))

    def ask_for(self, connection: Connection, rows: _Rows) -> Callable[[], Sequence[Any]]:
        """Execute it for all rows, as `write`, of a statement that tells what it has changed; gives what gives that.

        For PostgreSQL alone, where it is one statement. Raises StoreError, and so does what it gives.
        """
        form = self._bulk(connection.dialect)
        return _asked(connection, form.sql, {**form.fixed, "rows": postgres.as_rows(self._named(rows))})

    def _named(self, rows: _Rows) -> list[dict[str, Any]]:
        return [dict(zip(self._columns, row, strict=True)) for row in rows]

    def _compile(self, dialect: Dialect) -> _Form:
        statement = self._statements[dialect.name]
        keys = self._columns if isinstance(statement, Insert) else None
        compiled = statement.compile(dialect=dialect, column_keys=keys, compile_kwargs={"render_postcompile": True})
        fixed = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
        if compiled.positiontup is None:
            lists = frozenset(name for bind, name in compiled.bind_names.items() if isinstance(bind.type, _List))
            return _Form(str(compiled), partial(postgres.without_nul, lists=lists), fixed)
        return _Form(str(compiled), _in_order(tuple(compiled.positiontup)), fixed)

    def _arrange(self, dialect: Dialect) -> tuple[str, Callable[[_Rows], _Rows]]:
        """The SQL, and what makes its parameters of rows: most often the rows are that already."""
        sql, given, fixed = self._compiled(dialect)
        names = [*self._columns, *fixed]
        order = given({name: place for place, name in enumerate(names)})
        if order == tuple(range(len(names))):
            return sql, lambda rows: rows
        arranged, values = itemgetter(*order), tuple(fixed.values())
        return sql, lambda rows: [arranged((*row, *values)) for row in rows]

    def _compile_bulk(self, dialect: Dialect) -> _Form:
        statement = postgres.in_bulk(self._statements[dialect.name], self._columns, dialect)
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        fixed = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
        return _Form(str(compiled), dict, fixed)


def _in_order(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Any]:
    """The values of these names as a tuple."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple([values[name] for name in names])


def _executed(connection: Connection, what: str, sql: str, given: Any) -> Any:
    """The driver's cursor after the statement; `what` is what an error says of it. Raises StoreError."""
    driver: Any = connection.connection.dbapi_connection
    try:
        return driver.execute(sql, given)
    except connection.dialect.loaded_dbapi.Error as error:
        raise failure(connection, what, error) from None


def _executed_many(connection: Connection, sql: str, rows: _Rows) -> int:
    """How many rows of the table the statement has changed for all these. On SQLite alone. Raises StoreError."""
    driver: Any = connection.connection.dbapi_connection
    try:
        return int(driver.executemany(sql, rows).rowcount)
    except connection.dialect.loaded_dbapi.Error as error:
        raise failure(connection, "could not write", error) from None


def _asked(connection: Connection, sql: str, given: Any) -> Callable[[], Sequence[Any]]:
    cursor = _executed(connection, "could not read", sql, given)

    def found() -> Sequence[Any]:
        try:
            rows: Sequence[Any] = cursor.fetchall()
        except connection.dialect.loaded_dbapi.Error as error:
            raise failure(connection, "could not read", error) from None
        return rows

    return found
