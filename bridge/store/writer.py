"""Group commit: one thread owns the connection that writes, and everything that waits shares one transaction.

A caller hands in an item with the work it is for, and awaits the result. The thread takes everything that waits,
runs each work once over all of its items in the order they came, commits, and only then gives out the results.
If the shared transaction fails, each item is tried alone, so that one bad item fails nobody else.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreError
from bridge.observe import log

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Connection, Sequence[Item]], Sequence[Result]]
"""Writes for all items in one transaction; gives one result for each item, in order. It may be run again."""


CALM = 5.0
"""Seconds without a failure after which writing is said to go well again."""


class Observer(Protocol):
    """Who wants to know of commits."""

    def committed(self, batch: int, seconds: float) -> None: ...


@dataclass(slots=True)
class _Job:
    work: Work[Any, Any]
    item: Any
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class Writer:
    """The thread that writes. `most` bounds how many items share a transaction; `trouble` is why one failed lately.

    Items are gathered by the event loop and handed over together, one batch at a time: were each handed over as it
    comes, loop and thread would fight for the interpreter over transactions of one item. Written to by one loop.
    """

    def __init__(self, engine: Engine, *, monotonic: Callable[[], float], observer: Observer, most: int = 512) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._observer = observer
        self._most = most
        self._gathered: list[_Job] = []
        self._busy = False
        self.trouble: str | None = None
        self._failed_at = 0.0
        self._loop: asyncio.AbstractEventLoop
        self._batches: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many items wait for a transaction."""
        return len(self._gathered)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def write(self, work: Work[Item, Result], item: Item) -> "asyncio.Future[Result]":
        """Queue `item`; the future gives its result after the commit. StoreError: nothing of it was written."""
        loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if not self._gathered and not self._busy:
            # By then everything that is ready now has come this far too.
            loop.call_soon(self._hand_over)
        self._gathered.append(_Job(work, item, future))
        return future

    def _hand_over(self) -> None:
        if self._busy or not self._gathered:
            return
        self._busy = True
        batch, self._gathered = self._gathered[: self._most], self._gathered[self._most :]
        self._batches.put(batch)

    def _finished(self, batch: list[_Job]) -> None:
        self._busy = False
        _resolve(batch)
        self._loop.call_soon(self._hand_over)

    def close(self) -> None:
        """Finish what waits, then stop."""
        self._batches.put(self._gathered)
        self._gathered = []
        self._batches.put(None)
        self._thread.join()

    def _run(self) -> None:
        with self._engine.connect() as connection:
            while (batch := self._batches.get()) is not None:
                if batch:
                    self._write_together(connection, batch)
                    if not self._loop.is_closed():
                        self._loop.call_soon_threadsafe(self._finished, batch)

    def _write_together(self, connection: Connection, batch: list[_Job]) -> None:
        started = self._monotonic()
        try:
            _run_batch(connection, batch)
        except Exception as error:  # noqa: BLE001 - whatever a work raises belongs to its caller, not to this thread
            connection.rollback()
            if len(batch) == 1:
                batch[0].error = explained = _explained(error)
                if isinstance(explained, StoreError):
                    self.trouble, self._failed_at = str(explained), self._monotonic()
                return
            log().warning("transaction failed; trying its items one by one", items=len(batch), error=str(error))
            for job in batch:
                self._write_together(connection, [job])
            return
        # Where the disk is full, small changes may still find room among large ones that do not.
        if self.trouble is not None and self._monotonic() - self._failed_at > CALM:
            self.trouble = None
        self._observer.committed(len(batch), self._monotonic() - started)


def _run_batch(connection: Connection, batch: list[_Job]) -> None:
    by_work: dict[Work[Any, Any], list[_Job]] = {}
    for job in batch:
        by_work.setdefault(job.work, []).append(job)
    with connection.begin():
        for work, jobs in by_work.items():
            results = work(connection, [job.item for job in jobs])
            for job, result in zip(jobs, results, strict=True):
                job.result = result


def _explained(error: Exception) -> Exception:
    if isinstance(error, SQLAlchemyError):
        cause = getattr(error, "orig", None) or error
        return StoreError(f"the store could not write: {cause}")
    return error


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
