"""An outbox: places in flight, the budget, and pauses."""

import asyncio
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import SetClock
from bridge.line.outbox import HOLDS, Outbox
from bridge.model.quantity import Rate
from tests.values import NOON, a_delivery


def an_outbox(clock: SetClock, places: int = 2, budget: Rate | None = None) -> Outbox:
    return Outbox(clock, max_in_flight=places, budget=budget)


def test_no_more_begin_than_there_are_places(clock: SetClock) -> None:
    outbox = an_outbox(clock)
    for number in (1, 2, 3):
        outbox.add(a_delivery(id=number))
    first, second = outbox.next(), outbox.next()
    assert first is not None
    assert second is not None
    assert outbox.next() is None
    assert set(outbox.held()) == {1, 2, 3}
    outbox.done(first)
    third = outbox.next()
    assert third is not None
    assert third.id == 3


def test_it_is_full_at_its_bound(clock: SetClock) -> None:
    outbox = an_outbox(clock)
    for number in range(HOLDS):
        assert not outbox.full
        outbox.add(a_delivery(id=number))
    assert outbox.full
    assert outbox.held() == tuple(range(HOLDS))


async def turns(outbox: Outbox, clock: SetClock, count: int, step: float, steps: int) -> list[float]:
    """When each of `count` calls got its turn, in seconds from the start."""
    times: list[float] = []

    async def one() -> None:
        await outbox.turn()
        times.append(clock.monotonic())

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    for _ in range(steps):
        await asyncio.sleep(0)
        clock.advance(step)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return times


async def test_a_pause_holds_every_call(clock: SetClock) -> None:
    outbox = an_outbox(clock)
    outbox.pause(timedelta(seconds=30))
    outbox.pause(timedelta(seconds=10))
    assert await turns(outbox, clock, 2, step=1, steps=40) == [30, 30]


@given(times=st.integers(1, 6), seconds=st.integers(1, 5), count=st.integers(1, 20))
def test_no_window_holds_more_calls_than_the_budget(times: int, seconds: int, count: int) -> None:
    clock = SetClock(NOON)
    outbox = an_outbox(clock, budget=Rate(times=times, per=timedelta(seconds=seconds)))
    taken = asyncio.run(turns(outbox, clock, count, step=0.5, steps=count * seconds * 4))
    assert len(taken) == count
    for start in taken:
        assert sum(start <= at < start + seconds for at in taken) <= times
