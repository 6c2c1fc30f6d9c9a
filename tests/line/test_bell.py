"""A rest ends when its time is over, or when somebody rings: during the rest or before it, but not before a look."""

import asyncio

from bridge.clock import SetClock
from bridge.line.bell import Bell


async def test_a_rest_ends_with_its_time(clock: SetClock) -> None:
    rest = asyncio.ensure_future(Bell(clock).rest(2))
    for seconds in (0, 1, 0.9):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock.advance(seconds)
        assert not rest.done()
    clock.advance(0.1)
    await rest


async def test_a_ring_ends_it(clock: SetClock) -> None:
    bell = Bell(clock)
    rest = asyncio.ensure_future(bell.rest(2))
    await asyncio.sleep(0)
    bell.ring("the name of a mailbox")
    await rest
    # What was rung for was not looked at yet.
    await bell.rest(2)


async def test_what_was_rung_for_before_a_look_is_seen_by_it(clock: SetClock) -> None:
    bell = Bell(clock)
    bell.ring()
    bell.hush()
    rest = asyncio.ensure_future(bell.rest(2))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not rest.done()
    bell.ring()
    await rest
