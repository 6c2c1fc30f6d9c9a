"""An outbox: what one account has to send now, within its budget, its places in flight and its pauses."""

from collections import deque
from datetime import timedelta

from bridge.clock import Clock
from bridge.model.delivery import Delivery
from bridge.model.quantity import Rate

HOLDS = 1000
"""How many deliveries an outbox holds in memory; the rest of a backlog waits in the store."""


class Outbox:
    def __init__(self, clock: Clock, *, max_in_flight: int, budget: Rate | None) -> None:
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._budget = budget
        self._waiting: deque[Delivery] = deque()
        self._in_flight: set[int] = set()
        self._calls: deque[float] = deque()
        self._resume_at = 0.0

    @property
    def full(self) -> bool:
        return len(self._waiting) >= HOLDS

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._in_flight

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def held(self) -> tuple[int, ...]:
        """The numbers of everything held: waiting and in flight."""
        return (*(delivery.id for delivery in self._waiting), *self._in_flight)

    def add(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)

    def next(self) -> Delivery | None:
        """The next delivery to begin, or None: nothing waits, or no place is free."""
        if not self._waiting or len(self._in_flight) >= self._max_in_flight:
            return None
        delivery = self._waiting.popleft()
        self._in_flight.add(delivery.id)
        return delivery

    def done(self, delivery: Delivery) -> None:
        self._in_flight.discard(delivery.id)

    def pause(self, wait: timedelta) -> None:
        """Make no call before `wait` is over: the platform asked for it."""
        self._resume_at = max(self._resume_at, self._clock.monotonic() + wait.total_seconds())

    async def turn(self) -> None:
        """Wait until the account may make one more call: not paused, and within its budget."""
        while (wait := self._wait()) > 0:
            await self._clock.sleep(wait)
        if self._budget is not None:
            self._calls.append(self._clock.monotonic())

    def _wait(self) -> float:
        now = self._clock.monotonic()
        paused = self._resume_at - now
        if self._budget is None:
            return paused
        per = self._budget.per.total_seconds()
        while self._calls and self._calls[0] <= now - per:
            self._calls.popleft()
        if len(self._calls) < self._budget.times:
            return paused
        return max(paused, self._calls[0] + per - now)
