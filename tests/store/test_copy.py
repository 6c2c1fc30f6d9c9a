"""A store is copied whole, or not at all, and goes on counting where it was."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Integer, Table, insert, select, text
from sqlalchemy.types import BigInteger

from bridge.clock import SystemClock
from bridge.errors import StoreError
from bridge.store.copy import CHUNK, copy_store
from bridge.store.engines import engine_for, parse
from bridge.store.migrate import migrate
from bridge.store.numbers import numbers
from bridge.store.signals import SERVING
from bridge.store.sqlite import keep_others_off
from bridge.store.store import open_store
from bridge.store.tables import deliveries, events, mailbox, metadata, runs
from bridge.store.versions import prepare_tables
from tests.conftest import Unwatched
from tests.postgres import Databases

ROWS = {deliveries: 2 * CHUNK + 7, events: CHUNK}
Everything = Mapping[str, list[tuple[Any, ...]]]


class Stores:
    """Stores with nothing or something in them."""

    def __init__(self) -> None:
        self._engines: list[Engine] = []

    def at(self, url: str) -> Engine:
        self._engines.append(engine_for(parse(url)))
        return self._engines[-1]

    def filled(self, url: str, *, sign: str = "ї\t\\n\"'") -> str:
        """Every table has rows, of which every text ends with `sign`."""
        engine = self.at(url)
        prepare_tables(engine)
        with engine.begin() as connection:
            for table in metadata.sorted_tables:
                rows = [a_row(table, number, sign) for number in range(1, ROWS.get(table, 3) + 1)]
                connection.execute(insert(table), rows)
        return url

    def everything(self, url: str) -> Everything:
        with self.at(url).connect() as connection:
            return {
                table.name: [
                    tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))
                ]
                for table in metadata.sorted_tables
            }

    def close(self) -> None:
        for engine in self._engines:
            engine.dispose()


def a_row(table: Table, number: int, sign: str) -> Mapping[str, object]:
    def value(name: str, kind: object) -> object:
        if isinstance(kind, BigInteger) and name != "id":
            return number * 1_000_000_007
        if isinstance(kind, Integer | BigInteger):
            return number
        return f"{name}-{number}-{sign}"

    return {column.name: value(column.name, column.type) for column in table.columns}


@pytest.fixture
def stores() -> Iterator[Stores]:
    made = Stores()
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bridge.db"


def unheard(table: str, rows: int) -> None:
    """Nobody wants to know how far it is."""


def test_there_and_back_everything_is_the_same(
    stores: Stores, file: str, tmp_path: Path, postgres_databases: Databases
) -> None:
    told: dict[str, int] = {}

    def advance(table: str, rows: int) -> None:
        assert rows <= CHUNK
        told[table] = told.get(table, 0) + rows

    there, further, back = postgres_databases.create(), postgres_databases.create(), f"sqlite:///{tmp_path}/back.db"
    before = stores.everything(stores.filled(file))
    counts = copy_store(file, there, advance)
    assert counts == told == {name: len(rows) for name, rows in before.items()}
    assert counts["deliveries"] == 2 * CHUNK + 7
    assert stores.everything(there) == before
    copy_store(there, further, unheard)
    copy_store(further, back, unheard)
    assert stores.everything(back) == before


def test_numbers_go_on_where_they_were(stores: Stores, file: str, postgres_url: str, tmp_path: Path) -> None:
    stores.filled(file)
    with stores.at(file).begin() as connection:
        # A browser has seen the mail of number 3, which is gone meanwhile.
        connection.execute(mailbox.delete().where(mailbox.c.id == 3))
    back = f"sqlite:///{tmp_path}/back.db"
    copy_store(file, postgres_url, unheard)
    copy_store(postgres_url, back, unheard)
    for url in (postgres_url, back):
        with stores.at(url).begin() as connection:
            posted = insert(mailbox).values(name="a", delivery=9, body="{}", at=0).returning(mailbox.c.id)
            assert connection.scalar(posted) == 4
            for name, last in (("events", CHUNK), ("deliveries", 2 * CHUNK + 7), ("runs", 3)):
                assert next(numbers(connection, name)) == last + 1  # type: ignore[arg-type]  # it is one of the names


def test_what_postgresql_cannot_hold_gets_the_sign_for_it(stores: Stores, file: str, postgres_url: str) -> None:
    stores.filled(file, sign="a\0b")
    copy_store(file, postgres_url, unheard)
    with stores.at(postgres_url).connect() as connection:
        assert connection.scalar(select(events.c.identity).where(events.c.id == 1)) == "identity-1-a\ufffdb"


def test_an_empty_store_is_copied(stores: Stores, file: str, postgres_url: str) -> None:
    prepare_tables(stores.at(file))
    assert set(copy_store(file, postgres_url, unheard).values()) == {0}
    with stores.at(postgres_url).begin() as connection:
        assert next(numbers(connection, "events")) == 1


def test_a_copy_that_is_interrupted_is_begun_again(stores: Stores, file: str, postgres_url: str) -> None:
    stores.filled(file)

    def pull_the_plug(table: str, rows: int) -> None:
        if table == "events":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_store(file, postgres_url, pull_the_plug)
    assert not any(stores.everything(postgres_url).values())
    copy_store(file, postgres_url, unheard)
    assert stores.everything(postgres_url) == stores.everything(file)


@pytest.mark.parametrize("table", [events, runs])
def test_a_store_that_has_rows_is_left_alone(stores: Stores, file: str, postgres_url: str, table: Table) -> None:
    stores.filled(file)
    engine = stores.at(postgres_url)
    prepare_tables(engine)
    with engine.begin() as connection:
        connection.execute(insert(table), a_row(table, 7, "mine"))
    before = stores.everything(postgres_url)
    with pytest.raises(StoreError, match=f"its table {table.name} has rows already"):
        copy_store(file, postgres_url, unheard)
    assert stores.everything(postgres_url) == before


def test_a_row_that_is_not_the_same_is_noticed(stores: Stores, file: str, postgres_url: str) -> None:
    stores.filled(file)
    prepare_tables(stores.at(postgres_url))
    with stores.at(postgres_url).begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
                "$$BEGIN IF NEW.id = 5 THEN NEW.body := 'spoilt'; END IF; RETURN NEW; END$$"
            )
        )
        connection.execute(text("CREATE TRIGGER spoils BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION spoil()"))
    with pytest.raises(StoreError, match="or they are not the same; nothing was copied"):
        copy_store(file, postgres_url, unheard)
    assert not any(stores.everything(postgres_url).values())


def test_a_store_is_not_copied_while_it_is_served(stores: Stores, file: str, tmp_path: Path, postgres_url: str) -> None:
    stores.filled(file)
    let_go = keep_others_off(tmp_path / "bridge.db")
    with pytest.raises(StoreError, match="another replybridge is serving from this file"):
        copy_store(file, postgres_url, unheard)
    let_go()
    prepare_tables(stores.at(postgres_url))
    with stores.at(postgres_url).connect() as server:
        server.execute(text(f"SELECT pg_advisory_lock_shared({SERVING})"))
        server.rollback()
        for urls in ((file, postgres_url), (postgres_url, file)):
            with pytest.raises(StoreError, match="a replybridge is serving from this store; stop all of them first"):
                copy_store(*urls, unheard)


def test_nobody_begins_to_serve_a_file_that_is_copied(stores: Stores, file: str, postgres_url: str) -> None:
    stores.filled(file)

    def serve(table: str, rows: int) -> None:
        with pytest.raises(StoreError, match="another replybridge"):
            open_store(file, SystemClock(), Unwatched())

    copy_store(file, postgres_url, serve)
    open_store(file, SystemClock(), Unwatched()).close()


def test_only_a_store_of_this_version_is_copied(stores: Stores, file: str, tmp_path: Path, postgres_url: str) -> None:
    with stores.at(file).begin() as connection:
        migrate(connection, "0002")
    with pytest.raises(StoreError, match="has version 0002, and this program"):
        copy_store(file, postgres_url, unheard)
    with pytest.raises(StoreError, match="there is no store"):
        copy_store(postgres_url, f"sqlite:///{tmp_path}/new.db", unheard)
    with pytest.raises(StoreError, match=r"nowhere/bridge\.db: there is no store"):
        copy_store(f"sqlite:///{tmp_path}/nowhere/bridge.db", postgres_url, unheard)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(StoreError, match="cannot be copied onto itself"):
        copy_store(file, file, unheard)
