"""The migrations make exactly the tables that the code names, and an older store is brought up to them."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from bridge.clock import SetClock
from bridge.errors import StoreError
from bridge.store.migrate import MIGRATIONS, migrate
from bridge.store.store import Store, healthy, open_store
from bridge.store.tables import HEAD, metadata
from tests.conftest import Unwatched


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Connection]:
    with create_engine(f"sqlite:///{tmp_path}/migrated.db").connect() as connection:
        migrate(connection)
        yield connection


def schema(connection: Connection) -> set[str]:
    """Every column and every index in words; a column that was added later stands elsewhere in its table's SQL."""
    columns = connection.exec_driver_sql(
        'SELECT t.name, t.wr, c.name, c.type, c."notnull", c.pk FROM pragma_table_list t, pragma_table_info(t.name) c '
        "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name != 'alembic_version'"
    )
    indexes = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    return {str(tuple(column)) for column in columns} | {" ".join(sql.replace('"', "").split()) for (sql,) in indexes}


def test_the_migrations_make_the_tables_of_the_code(migrated: Connection) -> None:
    assert list(compare_metadata(MigrationContext.configure(migrated), metadata)) == []


def test_a_new_store_is_what_the_migrations_make(store: Store, migrated: Connection) -> None:
    assert store.read_now(schema) == schema(migrated)


def test_the_newest_migration_is_the_one_the_code_knows() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_an_older_store_is_migrated_when_it_is_opened(tmp_path: Path, clock: SetClock) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    with open_store(url, clock, Unwatched()) as opened:
        assert opened.read_now(healthy)
        assert any("deliveries" in sql for sql in opened.read_now(schema))


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path, clock: SetClock) -> None:
    with sqlite3.connect(tmp_path / "new.db") as new:
        new.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        new.execute("INSERT INTO alembic_version VALUES ('9999')")
    with pytest.raises(StoreError, match="version 9999 and cannot be brought to"):
        open_store(f"sqlite:///{tmp_path}/new.db", clock, Unwatched())
