"""What many tests need: a clock that is turned by hand, a real store in a file, values with sensible defaults."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.clock import SetClock
from bridge.store.store import Store, open_store

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


class Unwatched:
    """Nobody wants to know of commits."""

    def committed(self, batch: int, seconds: float) -> None:
        pass


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOON)


@pytest.fixture
def store(tmp_path: Path, clock: SetClock) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/bridge.db", clock, Unwatched()) as opened:
        yield opened
