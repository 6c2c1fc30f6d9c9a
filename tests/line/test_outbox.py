"""An outbox: the most urgent first, within places in flight and the pace; gentle after a pause; nothing to the dead."""

import asyncio
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import SetClock
from bridge.line.breaker import FAILURES
from bridge.line.outbox import HOLDS, Outbox
from bridge.model.delivery import URGENCIES, Delivery, Failed, Sent, Urgency
from bridge.model.quantity import Rate
from tests.values import NOON, a_delivery

DOWN = Failed(reason="unavailable", detail="503")
TWO_A_SECOND = Rate(times=120, per=timedelta(minutes=1))


class Hand:
    """An outbox whose deliveries are begun, and done again, by hand; `times` is when each began, in seconds."""

    def __init__(self, clock: SetClock, places: int = 2, budget: Rate | None = None) -> None:
        self.clock = clock
        self.begun: list[Delivery] = []
        self.times: dict[int, float] = {}
        self.outbox = Outbox(clock, max_in_flight=places, budget=budget, begin=self._begin)
        self._next = 0

    def _begin(self, delivery: Delivery) -> None:
        self.begun.append(delivery)
        self.times[delivery.id] = self.clock.monotonic()

    def add(self, urgency: Urgency = "live", **changes: object) -> int:
        self._next += 1
        self.outbox.add(a_delivery(id=self._next, urgency=urgency, **changes))
        return self._next

    def finish(self, outcome: Sent | Failed = Sent()) -> None:  # noqa: B008 - it is a value
        """Everything that has begun is done, all with this outcome."""
        begun, self.begun = self.begun, []
        for delivery in begun:
            self.outbox.note(outcome)
            self.outbox.done(delivery)

    async def turn_clock(self, seconds: float, step: float = 0.05) -> None:
        """Turn the clock in steps; every call is answered at once."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.finish()

    @property
    def numbers(self) -> list[int]:
        return [delivery.id for delivery in self.begun]


async def turned(clock: SetClock, seconds: float) -> None:
    """Turn the clock, and let whoever sleeps begin to sleep before and wake after."""
    await asyncio.sleep(0)
    clock.advance(seconds)
    await asyncio.sleep(0)


async def test_no_more_begin_than_there_are_places(clock: SetClock) -> None:
    hand = Hand(clock)
    for _ in range(3):
        hand.add()
    assert hand.numbers == [1, 2]
    assert set(hand.outbox.begun()) == {1, 2}
    assert [one.id for one in hand.outbox.all_waiting()] == [3]
    hand.finish()
    assert hand.numbers == [3]


async def test_the_most_urgent_begin_first_and_each_kind_in_its_order(clock: SetClock) -> None:
    hand = Hand(clock, places=1)
    for urgency in ("live", "broadcast", "follow_up", "live", "broadcast", "live"):
        hand.add(urgency)
    order = []
    while hand.begun:
        order += hand.numbers
        hand.finish()
    assert order == [1, 4, 6, 3, 2, 5]


async def test_broadcasts_leave_a_place_to_live_replies(clock: SetClock) -> None:
    hand = Hand(clock, places=4)
    for _ in range(9):
        hand.add("broadcast")
    assert hand.numbers == [1, 2, 3]
    assert hand.add("live") == hand.numbers[-1]


async def test_it_is_full_of_each_kind_at_its_own_bound(clock: SetClock) -> None:
    hand = Hand(clock, places=1)
    hand.add()
    for _ in range(HOLDS["broadcast"]):
        assert not hand.outbox.full("broadcast")
        hand.add("broadcast")
    assert [urgency for urgency in URGENCIES if hand.outbox.full(urgency)] == ["broadcast"]
    assert (hand.outbox.room("broadcast"), hand.outbox.room("live")) == (0, HOLDS["live"])


async def test_a_pause_holds_every_call_and_what_gathered_begins_one_by_one(clock: SetClock) -> None:
    hand = Hand(clock, places=8)
    hand.outbox.pause(timedelta(seconds=30))
    hand.outbox.pause(timedelta(seconds=10))
    for _ in range(20):
        hand.add()
    await hand.turn_clock(29.9)
    assert hand.times == {}
    await turned(clock, 0.2)
    began = []
    while hand.begun:
        began.append(len(hand.begun))
        hand.finish()
    assert began == [1, 2, 4, 8, 5]


async def test_a_platform_that_asks_for_a_pause_again_and_again_gets_longer_ones(clock: SetClock) -> None:
    """As one does that answers 429 to each and every call, and never says for how long."""
    hand = Hand(clock, places=4)
    for _ in range(50):
        hand.add()
    pauses = []
    for _ in range(8):
        hand.outbox.pause(timedelta(seconds=0.7))
        # Those that were in flight are told the same, which must not count as often as there are.
        for _ in hand.begun:
            hand.outbox.pause(timedelta(seconds=0.7))
        hand.finish(Failed(reason="rate_limited", detail="429"))
        began = clock.monotonic()
        while not hand.begun:
            await turned(clock, 0.25)
        assert len(hand.begun) == 1
        pauses.append(clock.monotonic() - began)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    hand.finish()
    hand.outbox.pause(timedelta(seconds=0.7))
    began = clock.monotonic()
    hand.finish(Failed(reason="rate_limited", detail="429"))
    while not hand.begun:
        await turned(clock, 0.25)
    assert clock.monotonic() - began == 1


async def test_what_is_asked_for_is_waited_for_however_long_it_is(clock: SetClock) -> None:
    hand = Hand(clock)
    hand.outbox.pause(timedelta(hours=3))
    hand.add()
    await turned(clock, 10_799)
    assert hand.begun == []
    await turned(clock, 1)
    assert hand.numbers == [1]


async def test_nothing_begins_while_nobody_knows_whose_it_is(clock: SetClock) -> None:
    sure, begun = [False], list[int]()
    outbox = Outbox(clock, max_in_flight=9, budget=None, begin=lambda one: begun.append(one.id), sure=lambda: sure[0])
    for number in (1, 2, 3):
        outbox.add(a_delivery(id=number))
    assert begun == []
    outbox.drop({2})
    sure[0] = True
    outbox.go()
    assert begun == [1, 3]


async def test_the_first_of_several_that_are_added_together_expires_in_its_time(clock: SetClock) -> None:
    hand = Hand(clock)
    hand.outbox.pause(timedelta(hours=1))
    soon, late = NOON + timedelta(minutes=5), NOON + timedelta(hours=5)
    hand.outbox.add(a_delivery(id=1, expires_at=soon), a_delivery(id=2, expires_at=late), a_delivery(id=3))
    assert hand.outbox.expired(soon - timedelta(seconds=1)) == []
    assert [one.id for one in hand.outbox.expired(soon)] == [1]


async def test_what_goes_well_during_a_pause_does_not_open_the_sluice(clock: SetClock) -> None:
    hand = Hand(clock, places=4)
    for _ in range(8):
        hand.add()
    hand.outbox.pause(timedelta(seconds=5))
    hand.finish()
    assert hand.numbers == []
    await turned(clock, 5)
    assert hand.numbers == [5]


async def test_a_platform_that_does_not_answer_is_left_alone_and_tried_with_one(clock: SetClock) -> None:
    hand = Hand(clock, places=FAILURES)
    for _ in range(3 * FAILURES):
        hand.add()
    hand.finish(DOWN)
    assert hand.outbox.trouble == "unavailable: 503"
    hand.finish(DOWN)
    assert hand.numbers == [], "only what had begun by then was still tried"
    for wait in (5, 10, 20, 40, 60, 60):
        await turned(clock, wait - 0.01)
        assert hand.numbers == []
        await turned(clock, 0.01)
        assert len(hand.numbers) == 1, "one is tried, and only one"
        hand.finish(DOWN)
    await turned(clock, 60)
    hand.finish(Sent())
    assert len(hand.numbers) == 2
    assert hand.outbox.trouble is None


async def test_an_answer_that_refuses_is_an_answer(clock: SetClock) -> None:
    hand = Hand(clock, places=1)
    for _ in range(3 * FAILURES):
        hand.add()
    for _ in range(2):
        for _ in range(FAILURES - 1):
            hand.finish(DOWN)
        hand.finish(Failed(reason="invalid", detail="400", permanent=True))
    assert hand.outbox.trouble is None
    for _ in range(FAILURES):
        assert hand.outbox.trouble is None
        hand.finish(DOWN)
    assert hand.outbox.trouble is not None


async def test_what_waited_too_long_is_taken_out_unless_it_was_perhaps_sent(clock: SetClock) -> None:
    hand = Hand(clock, places=1)
    soon = NOON + timedelta(seconds=5)
    hand.add(expires_at=soon)
    late, unsure, lives = hand.add(expires_at=soon), hand.add(expires_at=soon, unsure_since=NOON), hand.add()
    assert hand.outbox.expired(NOON) == []
    assert [one.id for one in hand.outbox.expired(soon)] == [late]
    assert [one.id for one in hand.outbox.all_waiting()] == [unsure, lives]
    assert hand.outbox.expired(soon) == []
    later = hand.add(expires_at=soon + timedelta(seconds=1))
    assert hand.outbox.expired(soon) == []
    assert [one.id for one in hand.outbox.expired(soon + timedelta(seconds=1))] == [later]


async def test_a_broadcast_delays_no_live_reply_by_more_than_one_request(clock: SetClock) -> None:
    """5,000 recipients through 120 requests a minute, and now and then a live reply."""
    hand = Hand(clock, places=16, budget=TWO_A_SECOND)
    for _ in range(5000):
        hand.add("broadcast")
    came: dict[int, float] = {}
    for wait in (0.3, 1, 7, 0.6, 20, 33, 0.9, 61, 2.5, 11):
        await hand.turn_clock(wait)
        came[hand.add()] = clock.monotonic()
    await hand.turn_clock(120)
    waited = [hand.times[number] - at for number, at in came.items()]
    assert max(waited) <= 0.5 + 0.05, waited
    # Nothing of the budget is left unused meanwhile.
    assert len(hand.times) >= 2 * clock.monotonic() - 12 - len(came)


@given(
    times=st.integers(1, 12),
    seconds=st.integers(1, 6),
    kinds=st.lists(st.tuples(st.sampled_from(URGENCIES), st.integers(0, 8)), min_size=1, max_size=25),
)
def test_no_window_holds_more_calls_than_the_budget_and_all_come(
    times: int, seconds: int, kinds: list[tuple[Urgency, int]]
) -> None:
    async def run() -> list[float]:
        hand = Hand(SetClock(NOON), places=3, budget=Rate(times=times, per=timedelta(seconds=seconds)))
        for urgency, wait in kinds:
            await hand.turn_clock(wait / 4, step=0.25)
            hand.add(urgency)
            hand.finish()
        await hand.turn_clock((len(kinds) + 2) * seconds, step=0.25)
        return sorted(hand.times.values())

    taken = asyncio.run(run())
    assert len(taken) == len(kinds)
    for start in taken:
        assert sum(start <= at < start + seconds for at in taken) <= times
