"""Turns: the pace of an account whose budget several servers share. Each asks the store for its next calls."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.model.delivery import URGENCIES, Urgency
from bridge.model.quantity import Rate
from bridge.observe import log
from bridge.store.budgets import AHEAD, Ask, Pause, Turns, pause, take_turns
from bridge.store.store import Store

MOST = 50
GOOD_FOR = 1.0
"""Seconds after which a turn that was not taken is lost: the budget was counted at the moment it was given."""
TRY_AGAIN = 1.0


class SharedPace:
    """`again` is called when a call may be made that was asked about before."""

    def __init__(self, account: str, budget: Rate, store: Store, clock: Clock, again: Callable[[], None]) -> None:
        self._account = account
        self._budget = budget
        self._store = store
        self._clock = clock
        self._again = again
        self._most = max(1, min(MOST, int(budget.times / budget.per.total_seconds() * AHEAD)))
        self._turns = 0
        # A turn for a broadcast is good for whatever is more urgent too.
        self._for: Urgency = "live"
        self._good_until = self._resume_at = 0.0
        self._ask_at: dict[Urgency, float] = dict.fromkeys(URGENCIES, 0.0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking = False

    @property
    def paused(self) -> bool:
        return self._resume_at > self._clock.monotonic()

    def pause(self, seconds: float) -> None:
        self._resume_at = max(self._resume_at, self._clock.monotonic() + seconds)
        self._turns = 0
        until = self._clock.now() + timedelta(seconds=seconds)
        self._spawn(self._pause(Pause(account=self._account, budget=self._budget, until=until)))

    def wait(self, urgency: Urgency) -> float:
        """What is not known is asked; until the answer comes, it is said to be long."""
        now = self._clock.monotonic()
        if self._turns > 0 and now < self._good_until and urgency in _no_less_urgent_than(self._for):
            return 0
        until = max(self._resume_at, *(self._ask_at[one] for one in _no_less_urgent_than(urgency)))
        if until > now:
            return until - now
        if not self._asking:
            self._asking = True
            self._spawn(self._ask(urgency))
        return TRY_AGAIN

    def took(self) -> None:
        self._turns -= 1

    def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()

    async def _ask(self, urgency: Urgency) -> None:
        wish = Ask(account=self._account, budget=self._budget, urgency=urgency, most=self._most, at=self._clock.now())
        try:
            turns = await self._store.write(take_turns, wish)
        except StoreError as error:
            log(account=self._account).error("cannot ask for a turn; trying again", error=str(error))
            turns = Turns(granted=0, wait=TRY_AGAIN)
        finally:
            self._asking = False
        now = self._clock.monotonic()
        self._turns, self._for, self._good_until = turns.granted, urgency, now + GOOD_FOR
        self._ask_at[urgency] = now + turns.wait
        self._again()

    async def _pause(self, item: Pause) -> None:
        try:
            await self._store.write(pause, item)
        except StoreError as error:
            log(account=self._account).error("cannot tell other servers of a pause", error=str(error))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _no_less_urgent_than(urgency: Urgency) -> tuple[Urgency, ...]:
    return URGENCIES[: URGENCIES.index(urgency) + 1]
