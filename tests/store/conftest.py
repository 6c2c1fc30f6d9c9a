"""One suite for both engines: whatever a test says of the store holds on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.clock import SetClock
from bridge.store.store import Store, open_store
from tests.conftest import Unwatched


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store may be made."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bridge.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def file_store(tmp_path: Path, clock: SetClock) -> Iterator[Store]:
    """A store on SQLite, for what only it has."""
    with open_store(f"sqlite:///{tmp_path}/bridge.db", clock, Unwatched()) as opened:
        yield opened


@pytest.fixture
def store(store_url: str, clock: SetClock) -> Iterator[Store]:
    with open_store(store_url, clock, Unwatched()) as opened:
        yield opened
