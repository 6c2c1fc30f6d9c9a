"""What many tests need: a clock that is turned by hand, a real store in a file, values with sensible defaults."""

import gc
import logging
import os
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from bridge.clock import SetClock
from bridge.store.store import Store, open_store
from tests.loop import CountingLoop
from tests.postgres import postgres_databases, postgres_server, postgres_url  # noqa: F401 - fixtures for all
from tests.values import NOON

# Every run tries the same examples, however long they take, so that only a change of the code can break it.
# `pytest --hypothesis-profile=default` looks for others.
settings.register_profile("suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Without looking for garbage, which takes a quarter of the time: what is collected stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests that kill servers spend much of their time waiting for others."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that at the end no worker waits for one that has just begun with them."""
    items.sort(key=lambda item: "/end_to_end/" not in item.nodeid)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, type[CountingLoop]]:
    return {"counting": CountingLoop}


class Unwatched:
    """Nobody wants to know of commits."""

    def committed(self, batch: int, seconds: float) -> None:
        pass


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that was run in a test leaves no log behind that writes to what the command wrote to."""
    handlers = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = handlers
    structlog.reset_defaults()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOON)


@pytest.fixture
def store(tmp_path: Path, clock: SetClock) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/bridge.db", clock, Unwatched()) as opened:
        yield opened
