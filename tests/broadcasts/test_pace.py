"""How fast a broadcast goes, and when it will be done."""

from datetime import UTC, datetime, timedelta

import pytest

from bridge.broadcasts.pace import finish
from bridge.model.quantity import parse_rate

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


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
    own, account = (None if one is None else parse_rate(one) for one in (rate, budget))
    done = finish(600, own, account, sent_rate, NOON)
    assert done == NOON + timedelta(minutes=minutes)


def test_a_call_may_be_for_several() -> None:
    budget = parse_rate("10/min")
    assert finish(600, None, budget, None, NOON, in_a_call=20) == NOON + timedelta(minutes=3)
    assert finish(600, parse_rate("60/min"), budget, None, NOON, in_a_call=20) == NOON + timedelta(minutes=10)


def test_where_nobody_knows_nothing_is_promised() -> None:
    assert finish(600, None, None, None, NOON) is None
    assert finish(600, parse_rate("60/min"), None, 0.0, NOON) is None
    assert finish(10**18, parse_rate("1/day"), None, None, NOON) is None
    assert finish(0, None, None, None, NOON) == NOON
