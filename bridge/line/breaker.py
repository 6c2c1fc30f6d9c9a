"""Breaker: an account whose platform does not answer is left alone for a while, and then tried with one delivery.

closed -> open (after FAILURES in a row) -> half open (one try) -> closed | open again, for twice as long
"""

from bridge.clock import Clock
from bridge.model.delivery import Failed, Outcome, Reason, Sent

FAILURES = 10
FIRST_WAIT = 5.0
LONGEST_WAIT = 60.0
"""In seconds, and no longer than what a single delivery waits at that point, so that it is never the breaker alone
that delays it."""

_NO_ANSWER: frozenset[Reason] = frozenset({"network", "timeout", "unavailable"})


class Breaker:
    """`open` is why nothing is tried, None while closed. What is refused is an answer too: such a platform lives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._times = 0
        self._until = 0.0
        self.open: str | None = None

    def wait(self) -> float:
        """Seconds until the next try; 0: now."""
        return 0 if self.open is None else max(0.0, self._until - self._clock.monotonic())

    def note(self, outcome: Outcome) -> bool:
        """What came of an attempt; gives whether that opened (once more) or closed it."""
        if isinstance(outcome, Sent) or outcome.reason not in _NO_ANSWER or _is_permanent(outcome):
            return self._close()
        self._failures += 1
        # While it is open, what began before tells nothing new.
        if self._failures < FAILURES or self.wait() > 0:
            return False
        self.open = f"{outcome.reason}: {outcome.detail}"
        self._until = self._clock.monotonic() + min(FIRST_WAIT * 2**self._times, LONGEST_WAIT)
        self._times = min(self._times + 1, 10)
        return True

    def _close(self) -> bool:
        was_open = self.open is not None
        self._failures = self._times = 0
        self.open = None
        return was_open


def _is_permanent(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) and outcome.permanent
