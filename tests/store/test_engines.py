"""How the store is reached: what an address may say, and that a password in it is never told."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bridge.errors import StoreError
from bridge.store.engines import engine_for, parse, said


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
