"""The words for a row that is there already are those that SQLAlchemy has for each of the two engines."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Dialect, Insert, Table, make_url, text
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store.insert import insert_or_change, insert_unless_there
from bridge.store.postgres import in_bulk
from bridge.store.tables import OF_A_RUN, attempts, budgets, conversations, deliveries

SQLITE = (make_url("sqlite://").get_dialect()(), sqlite.insert)
POSTGRESQL = (make_url("postgresql+psycopg://").get_dialect()(), postgresql.insert)


def worded(statement: Insert, names: Sequence[str], dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect, column_keys=names))


@pytest.mark.parametrize(("dialect", "its_own"), [SQLITE, POSTGRESQL])
class TestWords:
    def test_any_index(self, dialect: Dialect, its_own: Any) -> None:
        ours = worded(insert_unless_there(attempts), ["delivery", "number"], dialect)
        assert ours == worded(its_own(attempts).on_conflict_do_nothing(), ["delivery", "number"], dialect)
        assert ours.endswith("ON CONFLICT DO NOTHING")

    def test_an_index_of_some_rows(self, dialect: Dialect, its_own: Any) -> None:
        ours = worded(insert_unless_there(deliveries, "run", "person", only=OF_A_RUN), ["id", "run", "person"], dialect)
        theirs = its_own(deliveries).on_conflict_do_nothing(
            index_elements=["run", "person"], index_where=text(OF_A_RUN)
        )
        assert ours == worded(theirs, ["id", "run", "person"], dialect)

    @pytest.mark.parametrize(
        ("table", "key", "changed"),
        [(budgets, "account", ["document"]), (conversations, "key", ["last_at", "ended", "document"])],
    )
    def test_new_values(self, dialect: Dialect, its_own: Any, table: Table, key: str, changed: list[str]) -> None:
        statement = its_own(table)
        values = {name: statement.excluded[name] for name in changed}
        theirs = statement.on_conflict_do_update(index_elements=[key], set_=values)
        assert worded(insert_or_change(table, key, changed), [key, *changed], dialect) == worded(
            theirs, [key, *changed], dialect
        )


def test_many_rows_in_one_statement() -> None:
    dialect, _ = POSTGRESQL
    theirs = postgresql.insert(attempts).on_conflict_do_nothing()
    assert str(in_bulk(insert_unless_there(attempts), ["delivery"], dialect).compile(dialect=dialect)) == str(
        in_bulk(theirs, ["delivery"], dialect).compile(dialect=dialect)
    )
