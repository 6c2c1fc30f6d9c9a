"""On both databases the migrations make exactly the tables that the code names, and an older store is brought up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreError
from bridge.store.engines import engine_for, parse
from bridge.store.migrate import MIGRATIONS, migrate
from bridge.store.postgres import is_postgres
from bridge.store.tables import HEAD, metadata
from bridge.store.versions import prepare_tables, version_of
from tests.postgres import Databases

OF_SQLITE = (
    'SELECT t.name, t.wr, c.name, c.type, c."notnull", c.dflt_value, c.pk '
    "FROM pragma_table_list t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' "
    "UNION SELECT name, tbl_name, replace(sql, '\"', ''), 0, 0, 0, 0 FROM sqlite_master "
    "WHERE type = 'index' AND sql IS NOT NULL"
)
OF_POSTGRESQL = (
    "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default "
    "FROM information_schema.columns WHERE table_schema = 'public' "
    "UNION SELECT tablename, indexname, indexdef, '', '', '' FROM pg_indexes WHERE schemaname = 'public' "
    "UNION SELECT sequencename, data_type::text, start_value::text, increment_by::text, cache_size::text, cycle::text "
    "FROM pg_sequences"
)


class Places:
    """Where new stores can be made."""

    def __init__(self, directory: Path, databases: Databases | None) -> None:
        self._directory = directory
        self._databases = databases
        self._engines: list[Engine] = []

    def __call__(self) -> Engine:
        url = self._databases.create() if self._databases else f"sqlite:///{self._directory}/{len(self._engines)}.db"
        self._engines.append(engine_for(parse(url)))
        return self._engines[-1]

    def close(self) -> None:
        for engine in self._engines:
            engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    on_postgres = request.param == "postgresql"
    places = Places(tmp_path, request.getfixturevalue("postgres_databases") if on_postgres else None)
    yield places
    places.close()


def migrated(engine: Engine, revision: str = "head") -> Engine:
    with engine.begin() as connection:
        migrate(connection, revision)
    return engine


def schema(engine: Engine) -> set[tuple[object, ...]]:
    """Every column, index and sequence."""
    with engine.connect() as connection:
        found = connection.exec_driver_sql(OF_POSTGRESQL if is_postgres(connection) else OF_SQLITE)
        # SQLite says SQL as it was written: with line breaks where SQLAlchemy made them.
        return {tuple(" ".join(x.split()) if isinstance(x, str) else x for x in row) for row in found}


def version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return version_of(connection)


def test_the_migrations_make_the_tables_of_the_code(new_place: Places) -> None:
    with migrated(new_place()).connect() as connection:
        assert list(compare_metadata(MigrationContext.configure(connection), metadata)) == []


def test_a_new_store_is_what_the_migrations_make(new_place: Places) -> None:
    new = new_place()
    assert prepare_tables(new) is None
    assert schema(new) == schema(migrated(new_place()))
    assert version(new) == HEAD
    assert prepare_tables(new) == HEAD


def test_the_newest_migration_is_the_one_the_code_knows() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_an_older_store_is_brought_up_and_its_rows_are_kept(new_place: Places) -> None:
    old = migrated(new_place(), "0001")
    with old.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO deliveries "
                "(id, rule, action, account, lane, state, attempts, recipient, reply, created_at) "
                "VALUES (7, 'price', '0', 'site', 'site/1', 'queued', 0, '{}', '{}', 1774612800000)"
            )
        )
    assert prepare_tables(old) == "0001"
    assert version(old) == HEAD
    assert schema(old) == schema(migrated(new_place()))
    with old.connect() as connection:
        assert connection.execute(text("SELECT id, urgency, command, run FROM deliveries")).all() == [
            (7, 0, None, None)
        ]


def test_a_migration_that_fails_leaves_the_store_as_it_was(new_place: Places) -> None:
    old = migrated(new_place(), "0003")
    with old.begin() as connection:
        # The fourth migration makes a table of this name, as its last but some.
        connection.execute(text("CREATE TABLE aliases (somebody_else TEXT)"))
    before = schema(old)
    with pytest.raises(StoreError, match="version 0003 and cannot be brought to"):
        prepare_tables(old)
    assert schema(old) == before
    assert version(old) == "0003"


def test_a_store_of_a_newer_version_is_left_alone(new_place: Places) -> None:
    new = new_place()
    prepare_tables(new)
    with new.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="version 9999 and cannot be brought to"):
        prepare_tables(new)
    assert version(new) == "9999"


def test_tables_of_somebody_else_are_left_alone(new_place: Places) -> None:
    taken = new_place()
    with taken.begin() as connection:
        connection.execute(text("CREATE TABLE deliveries (parcel TEXT)"))
    before = schema(taken)
    with pytest.raises(SQLAlchemyError, match="deliveries"):
        prepare_tables(taken)
    assert schema(taken) == before


@pytest.mark.parametrize("revision", [None, "0001"])
def test_servers_that_start_together_make_the_tables_once(postgres_url: str, revision: str | None) -> None:
    engines = [engine_for(parse(postgres_url)) for _ in range(3)]
    if revision is not None:
        migrated(engines[0], revision)
    with ThreadPoolExecutor(len(engines)) as threads:
        found = list(threads.map(prepare_tables, engines))
    # Whoever looked later may have seen what the first has done.
    assert set(found) <= {revision, HEAD}
    assert revision in found
    assert version(engines[0]) == HEAD
    for engine in engines:
        engine.dispose()
