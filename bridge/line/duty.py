"""Duty: work that only one of several servers does at a time. Where a server has its store to itself, it does all."""

from datetime import datetime, timedelta
from functools import partial

from bridge.clock import Clock, to_ms
from bridge.store import duties
from bridge.store.store import Store

DUTIES = ("timers", "old rows", "runs")
"""To wake conversations, to delete what is old, to have broadcasts' runs go on."""
HAD_FOR = timedelta(seconds=5)
"""So long after a server died another takes on what it did."""
RENEW_BEFORE = timedelta(seconds=3)
ASK_EVERY = timedelta(seconds=1)


class Duty:
    """One kind of work; `worker` names this server. What is done twice nevertheless must do no harm: a server that was
    stopped believes for a moment longer that a duty is its own."""

    def __init__(self, name: str, *, store: Store, worker: str, clock: Clock) -> None:
        self._name = name
        self._store = store
        self._worker = worker
        self._clock = clock
        self._until = self._ask_at = clock.now()

    async def mine(self) -> bool:
        """Whether this server is to do it now. May raise StoreError."""
        if not self._store.shared:
            return True
        now = self._clock.now()
        if now < self._until - RENEW_BEFORE:
            return True
        if now < self._ask_at:
            return False
        self._ask_at = now + ASK_EVERY
        if now >= self._until and await self._store.read(partial(duties.held_until, name=self._name)) > to_ms(now):
            return False
        wanted = self._wanted(now + HAD_FOR)
        if not await self._store.write(duties.take_on, wanted):
            return False
        self._until, self._ask_at = wanted.until, now
        return True

    async def leave(self) -> None:
        """Leave it to another server at once, because this one stops. May raise StoreError."""
        if self._clock.now() < self._until:
            await self._store.write(duties.leave, self._wanted(self._until))

    def _wanted(self, until: datetime) -> duties.Duty:
        return duties.Duty(name=self._name, worker=self._worker, at=self._clock.now(), until=until)
