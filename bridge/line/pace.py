"""Pace: when an account may make its next call, within its budget and not while its platform asked for a pause."""

from typing import Protocol

from bridge.clock import Clock
from bridge.model.budget import Spent
from bridge.model.delivery import Urgency
from bridge.model.quantity import Rate


class Pacing(Protocol):
    """What an outbox asks."""

    @property
    def paused(self) -> bool:
        """Whether the platform has asked for a pause that is not over."""
        ...

    def pause(self, seconds: float) -> None:
        """Make no call before this is over: the platform asked for it."""

    def wait(self, urgency: Urgency) -> float:
        """Seconds until a call of this urgency may be made; 0: now."""
        ...

    def took(self) -> None:
        """A call is made now, of the urgency that was last asked about."""

    def close(self) -> None:
        """There will be no more calls."""


class Pace:
    """Of one server that has its accounts to itself; see `Spent`."""

    def __init__(self, clock: Clock, budget: Rate | None) -> None:
        self._clock = clock
        self._spent = None if budget is None else Spent(budget)
        self._resume_at = 0.0

    def pause(self, seconds: float) -> None:
        self._resume_at = max(self._resume_at, self._clock.monotonic() + seconds)

    @property
    def paused(self) -> bool:
        return self._resume_at > self._clock.monotonic()

    def wait(self, urgency: Urgency) -> float:
        if self._spent is None and not self._resume_at:
            return 0
        now = self._clock.monotonic()
        return max(0 if self._spent is None else self._spent.wait(urgency, now), self._resume_at - now, 0)

    def took(self) -> None:
        if self._spent is not None:
            self._spent.take(self._clock.monotonic())

    def close(self) -> None:
        pass
