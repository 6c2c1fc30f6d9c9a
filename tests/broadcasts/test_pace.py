"""How fast a broadcast goes, and when it will be done."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broadcasts.pace import finish, turn
from bridge.model.quantity import Rate, parse_rate

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


def test_turns_are_evenly_spread() -> None:
    rate = parse_rate("60/min")
    assert [turn(n, rate, NOON) for n in (0, 1, 3600)] == [
        NOON,
        NOON + timedelta(seconds=1),
        NOON + timedelta(hours=1),
    ]
    assert turn(1_000_000, None, NOON) == NOON


@given(times=st.integers(1, 10_000), seconds=st.integers(1, 86_400), first=st.integers(0, 1_000_000))
def test_no_stretch_of_time_has_more_turns_than_the_rate(times: int, seconds: int, first: int) -> None:
    rate = Rate(times=times, per=timedelta(seconds=seconds))
    spread = turn(first + times, rate, NOON) - turn(first, rate, NOON)
    assert abs(spread - rate.per) <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("rate", "budget", "sent_rate", "minutes"),
    [
        ("60/min", None, None, 10),
        (None, "120/min", None, 5),
        ("60/min", "30/min", None, 20),
        ("60/min", "120/min", 100.0, 10),
        ("60/min", "120/min", 0.5, 20),
        (None, None, 10.0, 1),
    ],
)
def test_the_slowest_counts(rate: str | None, budget: str | None, sent_rate: float | None, minutes: int) -> None:
    done = finish(600, rate and parse_rate(rate), budget and parse_rate(budget), sent_rate, NOON)
    assert done == NOON + timedelta(minutes=minutes)


def test_a_delivery_may_need_several_calls() -> None:
    budget = parse_rate("120/min")
    assert finish(600, None, budget, None, NOON, calls_each=2) == NOON + timedelta(minutes=10)


def test_where_nobody_knows_nothing_is_promised() -> None:
    assert finish(600, None, None, None, NOON) is None
    assert finish(600, parse_rate("60/min"), None, 0.0, NOON) is None
    assert finish(10**18, parse_rate("1/day"), None, None, NOON) is None
    assert finish(0, None, None, None, NOON) == NOON
