"""An outbox: what one account has to send now, the most urgent first, within its places in flight and its pace."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain

from bridge.clock import Clock
from bridge.line.breaker import Breaker
from bridge.line.pace import Pace, Pacing
from bridge.model.delivery import URGENCIES, Delivery, Outcome, Sent, Urgency
from bridge.model.quantity import Rate

HOLDS: Mapping[Urgency, int] = {"live": 1000, "follow_up": 500, "broadcast": 500}
"""How many deliveries of an urgency an outbox holds in memory; the rest of a backlog waits in the store."""


FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""In seconds: how long a platform is left alone at least that takes no more calls, the first time and at most."""


class Outbox:
    """`begin` is called with each delivery when its first call may be made; `sure` is whether what is held is certainly
    still ours, without which nothing is begun. With `shared` the budget is shared with other servers: it makes the
    pace that asks for it, given what is to be called when there is an answer.

    After a pause, and when a platform answers again, one delivery is begun, and with each that goes well one more at
    a time, up to `max_in_flight`: what has gathered does not fall on the platform all at once.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        max_in_flight: int,
        budget: Rate | None,
        begin: Callable[[Delivery], None],
        sure: Callable[[], bool] = lambda: True,
        shared: Callable[[Callable[[], None]], Pacing] | None = None,
    ) -> None:
        self._clock = clock
        self._most = self._places = max_in_flight
        self._begin = begin
        self._sure = sure
        self._pace = Pace(clock, budget) if shared is None else shared(self.go)
        self._breaker = Breaker(clock)
        self._waiting: dict[Urgency, deque[Delivery]] = {urgency: deque() for urgency in URGENCIES}
        self._turns: dict[Urgency, deque[asyncio.Future[None]]] = {urgency: deque() for urgency in URGENCIES}
        self._in_flight: set[int] = set()
        self._along: set[int] = set()
        self._pauses = 0
        self._first_end: datetime | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = 0.0
        self._ending = False

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def trouble(self) -> str | None:
        """Why the platform is left alone; None where it is not."""
        return self._breaker.open

    @property
    def leaves_alone(self) -> timedelta:
        """How long from now the platform is left alone because it does not answer."""
        return timedelta(seconds=self._breaker.wait())

    def full(self, urgency: Urgency) -> bool:
        return len(self._waiting[urgency]) >= HOLDS[urgency]

    def room(self, urgency: Urgency) -> int:
        """How many more it wants from the store: many at a time, so none until half of the places are free."""
        held = len(self._waiting[urgency])
        return 0 if held > HOLDS[urgency] // 2 else HOLDS[urgency] - held

    def all_waiting(self) -> Iterator[Delivery]:
        """What is held and not begun."""
        return chain.from_iterable(self._waiting.values())

    def begun(self) -> Iterator[int]:
        """The numbers of what is in flight."""
        return chain(self._in_flight, self._along)

    def drop(self, numbers: Collection[int]) -> None:
        """Forget what has not begun of these: somebody else has it."""
        for urgency, waiting in self._waiting.items():
            self._waiting[urgency] = deque(one for one in waiting if one.id not in numbers)

    def add(self, *deliveries: Delivery) -> None:
        """Several are added together, so that those who go in one call are there when the first of them begins."""
        for delivery in deliveries:
            self._waiting[delivery.urgency].append(delivery)
            if (end := _end(delivery)) is not None:
                self._first_end = end if self._first_end is None else min(end, self._first_end)
        self.go()

    def along(self, delivery: Delivery, choose: Callable[[Iterable[Delivery]], Sequence[Delivery]]) -> list[Delivery]:
        """Take out those of the same urgency who go in the same call as a delivery that begins: in the same place."""
        waiting = self._waiting[delivery.urgency]
        found = choose(waiting) if waiting else ()
        if found:
            gone = {one.id for one in found}
            self._waiting[delivery.urgency] = deque(one for one in waiting if one.id not in gone)
            self._along |= gone
        return list(found)

    def done(self, delivery: Delivery) -> None:
        """Its turn is over; its place is free."""
        self._in_flight.discard(delivery.id)
        self._along.discard(delivery.id)
        self.go()

    def note(self, outcome: Outcome) -> bool:
        """What came of a call; gives whether the platform is left alone from now on, or no longer."""
        changed = self._breaker.note(outcome)
        if self._pauses and isinstance(outcome, Sent) and not self._pace.paused:
            self._pauses = 0
        if self._breaker.open is not None:
            self._places = 1
        elif self._places < self._most and (changed or isinstance(outcome, Sent)) and not self._pace.paused:
            self._places += 1
        return changed

    def pause(self, wait: timedelta) -> None:
        """Make no call before `wait` is over: the platform asked for it. If it asks again and again without taking
        anything in between, it is left alone for twice as long each time, up to `LONGEST_PAUSE`, whatever it says."""
        if not self._pace.paused:
            # What was in flight when it began is answered during the pause, and tells nothing new.
            self._pauses += 1
        least = min(FIRST_PAUSE * 2 ** min(self._pauses - 1, 20), LONGEST_PAUSE)
        self._pace.pause(max(wait.total_seconds(), least))
        self._places = 1

    async def turn(self, urgency: Urgency) -> None:
        """Wait until a delivery that has begun may make one more call."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns[urgency].append(turn)
        self.go()
        await turn

    def go(self) -> None:
        """Begin whatever may begin now, the most urgent first; look again when more may."""
        while (urgency := self._foremost()) is not None:
            # A platform that is left alone needs none of the budget.
            wait = self._breaker.wait() or self._pace.wait(urgency)
            if wait > 0:
                self._look_again(wait)
                return
            self._pace.took()
            if self._turns[urgency]:
                self._turns[urgency].popleft().set_result(None)
            else:
                delivery = self._waiting[urgency].popleft()
                self._in_flight.add(delivery.id)
                self._begin(delivery)

    def _foremost(self) -> Urgency | None:
        """The urgency of what comes next: a call of a delivery that has begun, or a delivery that has a place."""
        for urgency, waiting in self._waiting.items():
            turns = self._turns[urgency]
            while turns and turns[0].done():
                turns.popleft()
            if turns or (waiting and self._has_place(urgency)):
                return urgency
        return None

    def _has_place(self, urgency: Urgency) -> bool:
        # Broadcasts leave one place to live replies, which would otherwise wait for slow calls to end.
        kept = 1 if urgency == "broadcast" and self._places > 1 else 0
        return not self._ending and len(self._in_flight) < self._places - kept and self._sure()

    def _look_again(self, wait: float) -> None:
        at = self._clock.monotonic() + wait
        if self._alarm is not None:
            if self._alarm_at <= at:
                return
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = asyncio.get_running_loop().create_task(self._look_later(wait))

    async def _look_later(self, wait: float) -> None:
        await self._clock.sleep(wait)
        self._alarm = None
        self.go()

    def expired(self, now: datetime) -> list[Delivery]:
        """Take out what waited longer than it may. Of what was perhaps sent the platform is still to be asked."""
        if self._first_end is None or now < self._first_end:
            return []
        late: list[Delivery] = []
        for urgency, waiting in self._waiting.items():
            ends = [(one, _end(one)) for one in waiting]
            self._waiting[urgency] = deque(one for one, end in ends if end is None or end > now)
            late += [one for one, end in ends if end is not None and end <= now]
        self._first_end = min((end for one in self.all_waiting() if (end := _end(one)) is not None), default=None)
        return late

    def end(self) -> None:
        """Begin no more; what has begun may go on."""
        self._ending = True

    def close(self) -> None:
        """Look no more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._pace.close()


def _end(delivery: Delivery) -> datetime | None:
    """When it is too late to begin; None: never."""
    return delivery.expires_at if delivery.unsure_since is None else None


class Full:
    """The accounts and urgencies that have no room, looked up one at a time: with many accounts, listing them all would
    be most of the work of a commit. The writer's thread looks while the loop adds and takes away; it sees a number
    that was right a moment ago."""

    def __init__(self, outboxes: Mapping[str, Outbox]) -> None:
        self._outboxes = outboxes

    def __contains__(self, one: object) -> bool:
        if not isinstance(one, tuple) or (outbox := self._outboxes.get(one[0])) is None:
            return False
        return outbox.full(one[1])
