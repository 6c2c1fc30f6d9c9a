"""The trigger that APScheduler asks: driven as APScheduler drives it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bridge.broadcasts.trigger import ScheduleTrigger
from bridge.model.broadcast import ByHand, ClockChange, Cron

TICK = timedelta(microseconds=1)


def trigger(text: str, zone: str) -> ScheduleTrigger:
    return ScheduleTrigger(Cron(text=text, zone=ZoneInfo(zone)))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fired(asked: ScheduleTrigger, start: str, count: int) -> list[str]:
    """The first times it fires: the scheduler wakes right at each and asks for the next."""
    found: list[datetime] = []
    previous, now = None, utc(start)
    while len(found) < count and (previous := asked.get_next_fire_time(previous, now)) is not None:
        found.append(previous)
        now = previous + TICK
    return [f"{at:%Y-%m-%d %H:%M}" for at in found]


@pytest.mark.parametrize(
    ("text", "zone", "start", "times"),
    [
        # Its own trigger has no run on the day on which the clocks change at midnight.
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03", ["2018-11-03 03:00", "2018-11-04 03:00", "2018-11-05 02:00"]),
        ("0 0 * * *", "America/Santiago", "2026-09-05", ["2026-09-05 04:00", "2026-09-06 04:00", "2026-09-07 03:00"]),
        ("0 0 * * *", "Africa/Cairo", "2026-04-22", ["2026-04-22 22:00", "2026-04-23 22:00", "2026-04-24 21:00"]),
        # Its own trigger fires twice in a repeated hour, and again and again at the second time.
        ("30 2 * * *", "Europe/Berlin", "2027-10-30", ["2027-10-30 00:30", "2027-10-31 00:30", "2027-11-01 01:30"]),
        ("0 0 * * *", "America/Havana", "2026-10-31", ["2026-10-31 04:00", "2026-11-01 04:00", "2026-11-02 05:00"]),
    ],
)
def test_what_apscheduler_itself_gets_wrong(text: str, zone: str, start: str, times: list[str]) -> None:
    assert fired(trigger(text, zone), start, 3) == times


def test_a_time_that_is_now_is_not_missed() -> None:
    daily = trigger("0 9 * * *", "UTC")
    assert daily.get_next_fire_time(None, utc("2026-03-27T09:00")) == utc("2026-03-27T09:00")
    assert daily.get_next_fire_time(utc("2026-03-26T09:00"), utc("2026-03-27T09:00")) == utc("2026-03-27T09:00")
    assert daily.get_next_fire_time(utc("2026-03-27T09:00"), utc("2026-03-27T09:00")) == utc("2026-03-28T09:00")


def test_after_a_long_sleep_it_fires_once() -> None:
    minutely = trigger("* * * * *", "UTC")
    later = utc("2026-04-27T09:00") + TICK
    assert minutely.get_next_fire_time(utc("2026-03-27T09:00"), later) == utc("2026-04-27T09:01")


def test_the_clock_change_is_the_broadcasts() -> None:
    both = ScheduleTrigger(Cron(text="30 2 * * *", zone=ZoneInfo("Europe/Berlin")), ClockChange(overlap="both"))
    assert fired(both, "2027-10-30T12:00", 2) == ["2027-10-31 00:30", "2027-10-31 01:30"]


def test_what_never_fires_has_no_next_time() -> None:
    assert ScheduleTrigger(ByHand()).get_next_fire_time(None, utc("2026-03-27")) is None
    assert trigger("0 0 30 2 *", "UTC").get_next_fire_time(None, utc("2026-03-27")) is None
