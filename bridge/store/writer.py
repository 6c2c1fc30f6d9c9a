"""Group commit: one thread owns the connection that writes, and everything that waits shares one transaction.

A caller hands in an item with the work it is for, and awaits the result. The thread takes everything that waits,
runs each work once over all of its items in the order they came, commits, and only then gives out the results.
If the shared transaction fails, each item is tried alone, so that one bad item fails nobody else.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreError
from bridge.observe import log
from bridge.store.checkpoint import Checkpoints
from bridge.store.engines import begin, commit, connect_to_write, roll_back
from bridge.store.failures import LostError, PassingError, explained, in_words
from bridge.store.lull import LONGEST, Lull
from bridge.store.signals import Signal, take

Given = TypeVar("Given")
Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Connection, Sequence[Item]], Sequence[Result]]
"""Writes for all items in one transaction; gives one result for each item, in order. It may be run again."""


class Needless(Struct, Generic[Result], frozen=True):
    """The result where there turns out to be nothing to write."""

    result: Result


Prepare = Callable[[Given], Item | Needless[Result]]
"""Makes the item of what is given. What it raises is its caller's."""

MOST = 512
"""Items that share a transaction. On PostgreSQL all that they lock has to find room in the table of its locks."""
TRIES = 3
"""How often a transaction is run in all when others were in its way, or its connection was lost."""
CALM = 5.0
"""Seconds without a failure after which writing is said to go well again."""


class Observer(Protocol):
    """Who wants to know of commits."""

    def committed(self, batch: int, seconds: float) -> None: ...


class _Job(Struct):
    work: Work[Any, Any]
    item: Any
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class Writer:
    """The thread that writes. `tell` is given what others are to hear of; `trouble` is why a transaction failed lately.

    Items are gathered by the event loop, one batch at a time, and handed over together once the loop has nothing more
    to do at the moment: loop and thread have one interpreter, and while both want it each holds the other up. So fewer
    transactions do the same work (measured: a tenth to a fifth less time for an event). Items that are still to be
    prepared are so one right after the other, which keeps a processor's caches filled with what does it (measured: a
    tenth less time for an event). Written to by one loop.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        monotonic: Callable[[], float],
        observer: Observer,
        tell: Callable[[Collection[Signal]], None],
    ) -> None:
        self._engine = engine
        self._apart = engine.dialect.name == "postgresql"
        self._connection: Connection | None = connect_to_write(engine)
        self._checkpoints = None if self._apart else Checkpoints()
        self._monotonic = monotonic
        self._observer = observer
        self._tell = tell
        self._most = MOST // 2 if self._apart else MOST
        self._unprepared: deque[tuple[Prepare[Any, Any, Any], _Job]] = deque()
        self._gathered: list[_Job] = []
        self._lull = Lull(
            size=lambda: self.waiting, most=self._most, then=self._prepare_and_hand_over, monotonic=monotonic
        )
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
        return len(self._gathered) + len(self._unprepared)

    @property
    def busy(self) -> bool:
        """Whether any item waits for a transaction or is in one."""
        return self._busy or self.waiting > 0

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def write(self, work: Work[Item, Result], item: Item) -> "asyncio.Future[Result]":
        """Queue `item`; the future gives its result after the commit. StoreError: nothing of it was written."""
        job = self._new(work, item)
        self._gathered.append(job)
        if not self._busy:
            self._lull.wait(self._loop)
        return job.future

    def prepare_and_write(
        self, prepare: Prepare[Given, Item, Result], given: Given, work: Work[Item, Result]
    ) -> "asyncio.Future[Result]":
        """As `write` for the item that `prepare` makes of what is `given`, once no more comes."""
        job = self._new(work, given)
        self._unprepared.append((prepare, job))
        self._lull.wait(self._loop)
        return job.future

    def _new(self, work: Work[Any, Any], item: object) -> _Job:
        loop = self._loop = asyncio.get_running_loop()
        return _Job(work, item, loop.create_future())

    def _prepare_and_hand_over(self) -> None:
        until = self._monotonic() + LONGEST
        while self._unprepared:
            self._prepare(*self._unprepared.popleft())
            if self._monotonic() > until and self._unprepared:
                # Others want their turn: what is left takes long, and makes a batch of its own.
                self._lull.wait(self._loop)
                break
        if self._gathered and not self._busy:
            self._hand_over()

    def _prepare(self, prepare: Prepare[Any, Any, Any], job: _Job) -> None:
        """Make the item of a job, and gather it; or give out at once what came of it."""
        try:
            item = job.item = prepare(job.item)
        except Exception as raised:  # noqa: BLE001 - whatever it raises belongs to its caller, not to the loop
            job.error = raised
            _resolve([job])
            # The error has this frame in its traceback. If the frame had the job, all that was given would stay until
            # the garbage collector comes, which is seldom.
            del job
            return
        if isinstance(item, Needless):
            job.result = item.result
            _resolve([job])
        else:
            self._gathered.append(job)

    def _hand_over(self) -> None:
        self._busy = True
        batch, self._gathered = self._gathered[: self._most], self._gathered[self._most :]
        self._batches.put(batch)

    def _finished(self, batch: list[_Job]) -> None:
        self._busy = False
        _resolve(batch)
        if self.waiting:
            self._lull.wait(self._loop)

    def close(self) -> None:
        """Finish what waits, then stop."""
        while self._unprepared:
            self._prepare(*self._unprepared.popleft())
        self._batches.put(self._gathered)
        self._gathered = []
        self._batches.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            for jobs in self._transactions(batch):
                self._write_together(jobs)
            if batch and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._finished, batch)
            if self._checkpoints is not None and self._connection is not None:
                self._checkpoints.after_commit(self._connection)
        if self._connection is not None:
            self._connection.close()

    def _transactions(self, batch: list[_Job]) -> Iterator[list[_Job]]:
        """What shares a transaction: everything, where nobody else can write.

        Elsewhere each kind of work has its own: it locks what it changes in the order that all servers keep to, and
        after it no other work of the transaction could do so.
        """
        if not self._apart:
            yield from [batch] if batch else ()
            return
        for jobs in _by_work(batch).values():
            yield jobs
            if len(jobs) < len(batch) and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(_resolve, jobs)

    def _write_together(self, jobs: list[_Job], tries: int = TRIES) -> None:
        started = self._monotonic()
        try:
            self._commit(jobs)
        except Exception as raised:  # noqa: BLE001 - whatever a work raises belongs to its caller, not to this thread
            error = self._rolled_back(raised)
            if isinstance(error, PassingError | LostError) and tries > 1:
                self._write_together(jobs, tries - 1)
            elif len(jobs) > 1 and not isinstance(error, LostError):
                log().warning("transaction failed; trying its items one by one", items=len(jobs), error=str(error))
                for job in jobs:
                    self._write_together([job])
            else:
                self._failed(jobs, error)
            return
        # Where the disk is full, small changes may still find room among large ones that do not.
        if self.trouble is not None and self._monotonic() - self._failed_at > CALM:
            self.trouble = None
        self._observer.committed(len(jobs), self._monotonic() - started)

    def _commit(self, jobs: list[_Job]) -> None:
        connection = self._connected()
        begin(connection)
        for work, same in _by_work(jobs).items():
            results = work(connection, [job.item for job in same])
            for job, result in zip(same, results, strict=True):
                job.result = result
        commit(connection)
        self._tell(take(connection))

    def _connected(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = connect_to_write(self._engine)
            except SQLAlchemyError as error:
                why = in_words(getattr(error, "orig", None) or error)
                raise LostError(f"the store cannot be reached: {why}") from None
        return self._connection

    def _rolled_back(self, raised: Exception) -> Exception:
        """What an error means, with the connection as it was before, or gone."""
        error = explained("could not write", raised) if isinstance(raised, SQLAlchemyError) else raised
        if self._connection is None:
            return error
        try:
            if not isinstance(error, LostError):
                roll_back(self._connection)
                take(self._connection)
                return error
        except (StoreError, SQLAlchemyError) as lost:
            # What cannot even be rolled back is lost. An error here would end the thread.
            why = explained("could not write", lost) if isinstance(lost, SQLAlchemyError) else lost
            error = LostError(str(why))
        self._connection.close()
        self._connection = None
        return error

    def _failed(self, jobs: list[_Job], error: Exception) -> None:
        for job in jobs:
            job.error = error
        if isinstance(error, StoreError):
            self.trouble, self._failed_at = str(error), self._monotonic()


def _by_work(jobs: list[_Job]) -> dict[Work[Any, Any], list[_Job]]:
    found: dict[Work[Any, Any], list[_Job]] = {}
    for job in jobs:
        found.setdefault(job.work, []).append(job)
    return found


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
