"""The only source of time. Everything that needs the time is given a `Clock`, so tests and the lab can turn it."""

import asyncio
import heapq
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for measuring durations."""
        ...

    def worked(self) -> float:
        """Seconds for which the calling thread has computed; while it has to wait, for a processor too, none pass."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock. It is asked several times for every event, so there is nothing in between."""

    now = staticmethod(partial(datetime.now, UTC))
    monotonic = staticmethod(time.monotonic)
    worked = staticmethod(time.thread_time)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SetClock:
    """A clock that stands still until `advance` turns it; sleepers wake in order."""

    def __init__(self, start: datetime) -> None:
        self._start = self._now = start.astimezone(UTC)
        self._set_by = timedelta(0)
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._now + self._set_by

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def worked(self) -> float:
        # It is turned by other threads, and work takes no time by it.
        return 0.0

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), self._count, woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Turn the clock; whoever slept until then is woken (and runs at the caller's next await)."""
        self._now += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    def set_by(self, seconds: float) -> None:
        """Set the wall clock forward or (less than 0) back, as an administrator does: no time passes by that."""
        self._set_by += timedelta(seconds=seconds)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 in UTC, the form in which the store keeps time."""
    return round(moment.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """The moment that `to_ms` gave `ms` for, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)
