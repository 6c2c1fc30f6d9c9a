"""The door is opened on both loops: uvloop's, which serves, and asyncio's own, where that is not installed."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.loop import CountingLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"counting": CountingLoop, "uvloop": uvloop.new_event_loop}
