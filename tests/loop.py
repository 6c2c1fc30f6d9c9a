"""The event loop of the tests: it knows how much other threads are doing for it."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

Given = TypeVar("Given")


class CountingLoop(asyncio.SelectorEventLoop):
    """`handed_out` is how many pieces of work are with threads, and what came of them has not been heard yet."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_out = 0

    def run_in_executor(  # type: ignore[override]  # the base class leaves what is called, and its result, unnamed
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        self.handed_out += 1
        future.add_done_callback(self._take_back)
        return future

    def _take_back(self, _: "asyncio.Future[Any]") -> None:
        self.handed_out -= 1


def run(work: Coroutine[Any, Any, Given]) -> Given:
    """What `asyncio.run` does, for tests that are not asynchronous themselves and use a bridge all the same."""
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        return runner.run(work)
