"""A budget: how many calls an account may make in a time, and what of it is spent."""

from collections import deque
from collections.abc import Iterable

from bridge.model.delivery import Urgency
from bridge.model.quantity import Rate

_AT_ONCE = 1e-6
"""Less than clocks can tell."""


class Spent:
    """Counts the calls of the last `budget.per`, whoever made them. Moments and waits are in seconds.

    A broadcast goes at an even pace, and for each call of something more urgent it leaves one out: it calls only when
    all calls so far, made evenly, would be over. So the budget is never used up by broadcasts, and a live reply waits
    for them no longer than one call takes at that pace (`per / times`).

    `ahead` is by how much a broadcast may be ahead of that pace, for whoever cannot ask for every single call in time.
    """

    def __init__(
        self,
        budget: Rate,
        calls: Iterable[tuple[float, int]] = (),
        evenly: float = 0.0,
        resume_at: float = 0.0,
        *,
        ahead: float = 0.0,
    ) -> None:
        self.budget = budget
        # When, and how many then.
        self.calls = deque(calls)
        # When all calls so far would be over, had they been made at an even pace.
        self.evenly = evenly
        self.resume_at = resume_at
        self._ahead = ahead
        self._count = sum(count for _, count in self.calls)

    def pause(self, until: float) -> None:
        """Make no call before then: the platform asked for it."""
        self.resume_at = max(self.resume_at, until)

    def believe_until(self, horizon: float) -> None:
        """Forget calls that are said to be made later than that: by a clock that was wrong."""
        while self.calls and self.calls[-1][0] > horizon:
            self._count -= self.calls.pop()[1]
        self.evenly = min(self.evenly, horizon)

    def wait(self, urgency: Urgency, now: float) -> float:
        """Seconds until a call of this urgency may be made; 0: now."""
        wait = max(self.resume_at - now, self._until_free(now))
        if urgency == "broadcast":
            wait = max(wait, self.evenly - self._ahead - now)
        return wait if wait > _AT_ONCE else 0

    def _until_free(self, now: float) -> float:
        calls, per = self.calls, self.budget.per.total_seconds()
        while calls and calls[0][0] <= now - per:
            self._count -= calls.popleft()[1]
        return calls[0][0] + per - now if self._count >= self.budget.times else 0

    def take(self, now: float) -> None:
        """A call is made now."""
        one_call = self.budget.per.total_seconds() / self.budget.times
        if self.calls and self.calls[-1][0] == now:
            self.calls[-1] = now, self.calls[-1][1] + 1
        else:
            self.calls.append((now, 1))
        self._count += 1
        # What a timer comes late is not lost, as long as it is less than one call.
        self.evenly = (self.evenly if now - self.evenly < max(one_call, self._ahead) else now) + one_call
