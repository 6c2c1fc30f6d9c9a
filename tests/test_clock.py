import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import SetClock, SystemClock, from_ms, to_ms

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


def test_the_system_clock_is_in_utc_and_runs_forward() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


async def test_the_system_clock_sleeps() -> None:
    clock = SystemClock()
    began = clock.monotonic()
    await clock.sleep(0.001)
    assert clock.monotonic() - began >= 0.001


def test_a_set_clock_stands_still_until_it_is_turned() -> None:
    clock = SetClock(NOON.astimezone(timezone(timedelta(hours=2))))
    assert (clock.now(), clock.now().tzinfo, clock.monotonic()) == (NOON, UTC, 0)
    clock.advance(90)
    assert (clock.now(), clock.monotonic()) == (NOON + timedelta(seconds=90), 90)


async def test_sleepers_wake_in_order_and_not_before_their_time() -> None:
    clock = SetClock(NOON)
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 20), ("early", 10), ("early too", 10), ("at once", 0), ("never late", -5)):
            group.create_task(sleeper(name, seconds))
        await _settle()
        assert woken == ["at once", "never late"]
        clock.advance(9.999)
        await _settle()
        assert len(woken) == 2
        clock.advance(0.001)
        await _settle()
        assert woken[2:] == ["early", "early too"]
        clock.advance(3600)
    assert woken[4:] == ["late"]


async def test_a_sleeper_that_was_cancelled_is_passed_over() -> None:
    clock = SetClock(NOON)
    gone = asyncio.create_task(clock.sleep(5))
    stays = asyncio.create_task(clock.sleep(5))
    await _settle()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    clock.advance(5)
    await stays
    assert stays.done()


async def _settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 - bounds
def test_the_store_keeps_moments_to_the_millisecond(moment: datetime) -> None:
    again = from_ms(to_ms(moment))
    assert abs(again - moment) < timedelta(milliseconds=1)
    assert again.tzinfo is UTC
    assert to_ms(again) == to_ms(moment)


def test_milliseconds_since_1970() -> None:
    assert to_ms(datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)) == 1500
    assert from_ms(1500) == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
