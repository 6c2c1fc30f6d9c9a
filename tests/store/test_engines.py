"""How the store is reached: what an address may say, that a password in it is never told, and how it is written to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, bindparam, column, insert, table, text
from sqlalchemy.exc import OperationalError

from bridge.errors import StoreError
from bridge.store.engines import begin, commit, connect_to_write, engine_for, parse, roll_back, said
from bridge.store.failures import LostError
from bridge.store.prepared import Prepared

_KEEP = Prepared(insert(table("kept", column("number"))).values(number=bindparam("number")))
_TABLES = (
    "CREATE TABLE kept (number integer PRIMARY KEY)",
    "CREATE TABLE needs (number integer REFERENCES kept DEFERRABLE INITIALLY DEFERRED)",
)


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = engine_for(parse(store_url))
    with engine.begin() as connection:
        for one in _TABLES:
            connection.execute(text(one))
    yield engine
    engine.dispose()


def kept(engine: Engine) -> list[int]:
    """What another connection sees."""
    with engine.execution_options(reads=True).connect() as connection:
        return list(connection.scalars(text("SELECT number FROM kept ORDER BY number")))


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hunter2@host/db",
        "hunter2",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://user:hunter2@host:x/db",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(StoreError, match=r"store\.url: must be") as caught:
        parse(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://ann:hunter2@db.example:5433/bridge", "postgresql://ann:***@db.example:5433/bridge"),
        ("postgresql+asyncpg://ann@db.example/bridge", "postgresql://ann@db.example/bridge"),
        ("postgresql://ann@db.example/bridge?password=hunter2", "postgresql://ann@db.example/bridge"),
        ("sqlite:////var/lib/bridge.db", "sqlite:////var/lib/bridge.db"),
    ],
)
def test_an_address_is_told_without_its_password(url: str, told: str) -> None:
    assert said(parse(url)) == told


def test_what_cannot_be_reached_is_told_without_the_password(tmp_path: Path) -> None:
    engine = engine_for(parse(f"postgresql://ann:hunter2@/bridge?host={tmp_path}"))
    with pytest.raises(OperationalError, match="No such file or directory") as caught:
        engine.connect()
    assert "hunter2" not in str(caught.value)


def test_the_address_has_the_last_word(postgres_url: str) -> None:
    engine = engine_for(parse(f"{postgres_url}&application_name=nightly"))
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW application_name")) == "nightly"
    engine.dispose()


def test_who_only_looks_cannot_write(postgres_url: str) -> None:
    engine = engine_for(parse(postgres_url))
    with engine.execution_options(reads=True).connect() as connection:
        assert connection.scalar(text("SHOW transaction_read_only")) == "on"
        assert connection.scalar(text("SHOW transaction_isolation")) == "repeatable read"
    with engine.begin() as connection:
        assert connection.scalar(text("SHOW transaction_read_only")) == "off"
        assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "5s"
    with engine.connect() as connection:
        connection.rollback()
    engine.dispose()


def test_what_is_written_by_hand_is_there_for_others_once_it_is_committed(engine: Engine) -> None:
    def keep(connection: Connection, number: int) -> None:
        """In both ways in which works write."""
        connection.execute(text("INSERT INTO kept VALUES (:number)"), {"number": number})
        _KEEP.execute(connection, number=number + 1)

    with connect_to_write(engine) as connection:
        begin(connection)
        keep(connection, 1)
        assert kept(engine) == []
        commit(connection)
        assert kept(engine) == [1, 2]
        begin(connection)
        keep(connection, 3)
        roll_back(connection)
        assert kept(engine) == [1, 2]
        begin(connection)
        keep(connection, 5)
    assert kept(engine) == [1, 2], "who goes away in the middle leaves nothing behind"


def test_a_commit_that_is_refused_is_told_and_leaves_the_connection_as_good_as_before(engine: Engine) -> None:
    with connect_to_write(engine) as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA foreign_keys = ON"))
        begin(connection)
        connection.execute(text("INSERT INTO needs VALUES (7)"))
        with pytest.raises(StoreError, match=r"the store could not write: .*(foreign key|FOREIGN KEY)"):
            commit(connection)
        roll_back(connection)
        begin(connection)
        _KEEP.execute(connection, number=7)
        connection.execute(text("INSERT INTO needs VALUES (7)"))
        commit(connection)
    assert kept(engine) == [7]


def test_a_connection_that_is_gone_is_told_as_lost_by_whatever_is_done_with_it(postgres_url: str) -> None:
    engine = engine_for(parse(postgres_url))
    for step in (begin, commit, roll_back):
        with connect_to_write(engine) as connection, engine.connect() as other:
            if step is not begin:
                begin(connection)
            [(own,)] = connection.execute(text("SELECT pg_backend_pid()"))
            other.execute(text("SELECT pg_terminate_backend(:own, 10000)"), {"own": own})
            with pytest.raises(LostError):
                step(connection)
    engine.dispose()
