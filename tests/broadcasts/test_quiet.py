"""Quiet hours against a walk minute by minute, over clock changes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.broadcasts.quiet import next_allowed
from bridge.model.broadcast import QuietHours
from tests.broadcasts.oracle import MINUTE, periods

NIGHT = QuietHours(start=time(21), end=time(8))
KYIV = ZoneInfo("Europe/Kyiv")
ZONES = (
    "Africa/Cairo",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Europe/Kyiv",
)
NEAR = [
    (ZoneInfo(zone), period.end)
    for zone in ZONES
    for period in periods(ZoneInfo(zone), datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))[:-1]
] + [(ZoneInfo("Pacific/Apia"), datetime(2011, 12, 30, 10, tzinfo=UTC))]


def at(text: str, zone: ZoneInfo = KYIV) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-03-27T20:59:59", "2026-03-27T20:59:59"),
        ("2026-03-27T21:00", "2026-03-28T08:00"),
        ("2026-03-27T07:59", "2026-03-27T08:00"),
        ("2026-03-27T08:00", "2026-03-27T08:00"),
        ("2026-03-28T22:00", "2026-03-29T08:00"),
    ],
)
def test_a_message_waits_for_the_morning(moment: str, allowed: str) -> None:
    assert next_allowed(at(moment), KYIV, NIGHT) == at(allowed)
    assert next_allowed(at(moment).astimezone(UTC), KYIV, NIGHT) == at(allowed)


def test_it_is_the_recipients_own_morning() -> None:
    assert next_allowed(at("2026-03-27T12:00"), ZoneInfo("America/New_York"), NIGHT) == at(
        "2026-03-27T08:00", ZoneInfo("America/New_York")
    )


def test_without_quiet_hours_it_is_always_allowed() -> None:
    assert next_allowed(at("2026-03-27T23:00"), KYIV, None) == at("2026-03-27T23:00")


def test_where_the_end_is_jumped_over_they_end_at_the_jump() -> None:
    until_half_past_three = QuietHours(start=time(21), end=time(3, 30))
    found = next_allowed(at("2026-03-28T23:00"), KYIV, until_half_past_three)
    assert f"{found.astimezone(KYIV):%m-%d %H:%M}" == "03-29 04:00"


def test_in_a_repeated_hour_they_end_each_time() -> None:
    until_half_past_three = QuietHours(start=time(21), end=time(3, 30))
    for hour, end in ((0, 0), (1, 1)):
        moment = datetime(2026, 10, 25, hour, 10, tzinfo=UTC)
        assert next_allowed(moment, KYIV, until_half_past_three) == datetime(2026, 10, 25, end, 30, tzinfo=UTC)


@settings(max_examples=150)
@given(
    near=st.sampled_from(NEAR),
    before=st.integers(-600, 2000),
    start=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    length=st.integers(1, 1439),
)
def test_it_is_the_first_minute_that_is_not_quiet(
    near: tuple[ZoneInfo, datetime], before: int, start: time, length: int
) -> None:
    zone, change = near
    end = (datetime.combine(change, start) + timedelta(minutes=length)).time()
    quiet = QuietHours(start=start, end=end)
    moment = change - timedelta(minutes=before)
    walked = moment
    while quiet.covers(walked.astimezone(zone).time()):
        walked += MINUTE
    assert next_allowed(moment, zone, quiet) == walked
