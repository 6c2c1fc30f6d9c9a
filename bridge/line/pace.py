"""Pace: when an account may make its next call, within its budget and not while its platform asked for a pause."""

from collections import deque

from bridge.clock import Clock
from bridge.model.delivery import Urgency
from bridge.model.quantity import Rate

_AT_ONCE = 1e-6
"""Less than clocks can tell."""


class Pace:
    """Counts the calls of the account in the last `budget.per`, whoever made them.

    A broadcast goes at an even pace, and for each call of something more urgent it leaves one out: it calls only when
    all calls so far, made evenly, would be over. So the budget is never used up by broadcasts, and a live reply waits
    for them no longer than one call takes at that pace (`per / times`).
    """

    def __init__(self, clock: Clock, budget: Rate | None) -> None:
        self._clock = clock
        self._budget = budget
        self._calls: deque[float] = deque()
        # When all calls so far would be over, had they been made at an even pace.
        self._evenly = 0.0
        self._resume_at = 0.0

    def pause(self, seconds: float) -> None:
        """Make no call before this is over: the platform asked for it."""
        self._resume_at = max(self._resume_at, self._clock.monotonic() + seconds)

    @property
    def paused(self) -> bool:
        return self._resume_at > self._clock.monotonic()

    def wait(self, urgency: Urgency) -> float:
        """Seconds until a call of this urgency may be made; 0: now."""
        if self._budget is None and not self._resume_at:
            return 0
        now = self._clock.monotonic()
        wait = self._resume_at - now
        if self._budget is not None:
            wait = max(wait, self._until_free(self._budget, now))
            if urgency == "broadcast":
                wait = max(wait, self._evenly - now)
        return wait if wait > _AT_ONCE else 0

    def _until_free(self, budget: Rate, now: float) -> float:
        calls, per = self._calls, budget.per.total_seconds()
        while calls and calls[0] <= now - per:
            calls.popleft()
        return calls[0] + per - now if len(calls) >= budget.times else 0

    def took(self) -> None:
        """A call is made now."""
        if self._budget is None:
            return
        now, one_call = self._clock.monotonic(), self._budget.per.total_seconds() / self._budget.times
        self._calls.append(now)
        # What a timer comes late is not lost, as long as it is less than one call.
        self._evenly = (self._evenly if now - self._evenly < one_call else now) + one_call
