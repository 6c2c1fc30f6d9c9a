"""The times of schedules: against an oracle that looks at the clock minute by minute, and cases known to go wrong."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.broadcasts.local_time import change_between, readings
from bridge.broadcasts.schedule import never_fires, upcoming
from bridge.model.broadcast import At, ByHand, ClockChange, Cron, Every, Schedule
from tests.broadcasts.oracle import CHANGES, DAY, MINUTE, SCHEDULES, around, compare, offset_at, periods

SAMPLE = (
    "Africa/Cairo", "Africa/Casablanca", "America/Adak", "America/Asuncion", "America/Coyhaique", "America/Havana",
    "America/New_York", "America/Nuuk", "America/Santiago", "America/Scoresbysund", "America/St_Johns",
    "Antarctica/Macquarie", "Antarctica/Troll", "Asia/Almaty", "Asia/Beirut", "Asia/Gaza", "Asia/Jerusalem",
    "Atlantic/Azores", "Australia/Lord_Howe", "Europe/Chisinau", "Europe/Kyiv", "Pacific/Chatham", "Pacific/Easter",
    "Pacific/Norfolk",
)  # fmt: skip
"""Zones of which each changes its clocks by another rule; `python -m tests.broadcasts.oracle` takes all there are."""

FULL = ("Africa/Casablanca", "America/Santiago", "Antarctica/Troll", "Australia/Lord_Howe", "Europe/Kyiv")
BERLIN, APIA = ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Apia")


def cron(text: str, zone: ZoneInfo = BERLIN) -> Cron:
    return Cron(text=text, zone=zone)


def local(text: str) -> datetime:
    """A time that knows no time zone."""
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return local(text).replace(tzinfo=UTC)


def times(schedule: Schedule, after: str, count: int, **change: str) -> list[tuple[str, str, str | None]]:
    """Key, time in UTC, note."""
    clock_change = ClockChange(**change)  # type: ignore[arg-type]  # the words are those of the model
    found = islice(upcoming(schedule, utc(after), clock_change), count)
    return [(moment.key, f"{moment.at:%m-%d %H:%M}", moment.note) for moment in found]


def test_no_local_run_is_lost_and_none_doubled_about_any_change() -> None:
    """Of all changes of the sample, one of each kind: how far, in which direction, at what local time."""
    seen: set[tuple[timedelta, object]] = set()
    for name in SAMPLE:
        zone = ZoneInfo(name)
        even = periods(zone)
        for before, after in pairwise(even):
            kind = (after.offset - before.offset, (before.end + before.offset).time())
            if kind in seen:
                continue
            seen.add(kind)
            for which in SCHEDULES.keys() - {"monthly", "leap day"}:
                for clock_change in CHANGES:
                    compare(zone, around(zone, before.end), which, clock_change)
    assert len(seen) >= 15
    assert {jump for jump, _ in seen} >= {timedelta(minutes=m) for m in (60, -60, 30, -30, 120, -120)}


@pytest.mark.parametrize("zone", FULL)
def test_no_local_run_is_lost_and_none_doubled_in_five_years(zone: str) -> None:
    even = periods(ZoneInfo(zone))
    for which in SCHEDULES.keys() - {"every 7 minutes", "hourly"}:
        for clock_change in (ClockChange(), ClockChange(gap="skip", overlap="both")):
            assert compare(ZoneInfo(zone), even, which, clock_change)


def test_a_day_that_a_zone_skips() -> None:
    even = periods(APIA, utc("2011-12-20"), utc("2012-01-10"))
    assert [period.offset for period in even] == [timedelta(hours=-10), timedelta(hours=14)]
    for which in SCHEDULES.keys() - {"leap day"}:
        for clock_change in CHANGES:
            compare(APIA, even, which, clock_change)
    note = "09:00 does not exist on 2011-12-30: moved to 2011-12-31 09:00"
    assert times(cron("0 9 30 * *", APIA), "2011-12-01", 1) == [("2011-12-30T09:00", "12-30 19:00", note)]
    assert times(cron("0 9 * * *", APIA), "2011-12-29T12:00", 3) == [
        ("2011-12-29T09:00", "12-29 19:00", None),
        ("2011-12-31T09:00", "12-30 19:00", f"{note} and merged"),
        ("2012-01-01T09:00", "12-31 19:00", None),
    ]


def test_the_oracle_sees_what_the_clock_shows_each_minute() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    even = periods(zone, utc("2026-09-01"), utc("2027-05-01"))
    assert len(even) == 3
    for period in even:
        moment = period.start
        while moment < period.end:
            assert offset_at(zone, moment) == period.offset
            moment += MINUTE


def test_no_zone_changes_its_clocks_twice_in_a_day() -> None:
    """Where a search for the times of a schedule begins rests on it."""
    for name in SAMPLE:
        even = periods(ZoneInfo(name))
        assert all(period.end - period.start > 2 * DAY for period in even), name


def test_a_time_that_does_not_exist_is_moved_or_skipped() -> None:
    daily = cron("30 2 * * *")
    missing = "02:30 does not exist on 2027-03-28: "
    assert times(daily, "2027-03-27", 3) == [
        ("2027-03-27T02:30", "03-27 01:30", None),
        ("2027-03-28T02:30", "03-28 01:30", f"{missing}moved to 03:30"),
        ("2027-03-29T02:30", "03-29 00:30", None),
    ]
    assert times(daily, "2027-03-27", 3, gap="skip") == [
        ("2027-03-27T02:30", "03-27 01:30", None),
        ("2027-03-29T02:30", "03-29 00:30", f"{missing}skipped"),
        ("2027-03-30T02:30", "03-30 00:30", None),
    ]


def test_a_time_that_comes_twice_is_taken_once_or_twice() -> None:
    daily = cron("30 2 * * *")
    twice = "02:30 comes twice on 2027-10-31: "
    assert times(daily, "2027-10-30T12:00", 1) == [("2027-10-31T02:30", "10-31 00:30", f"{twice}the first is taken")]
    assert times(daily, "2027-10-30T12:00", 1, overlap="second") == [
        ("2027-10-31T02:30", "10-31 01:30", f"{twice}the second is taken")
    ]
    assert times(daily, "2027-10-30T12:00", 3, overlap="both") == [
        ("2027-10-31T02:30", "10-31 00:30", f"{twice}this is the first"),
        ("2027-10-31T02:30 (2)", "10-31 01:30", f"{twice}this is the second"),
        ("2027-11-01T02:30", "11-01 01:30", None),
    ]


def test_runs_that_are_moved_to_one_moment_are_one_run() -> None:
    assert times(cron("0 * * * *"), "2027-03-28T00:00", 2) == [
        ("2027-03-28T03:00", "03-28 01:00", "02:00 does not exist on 2027-03-28: moved to 03:00 and merged"),
        ("2027-03-28T04:00", "03-28 02:00", None),
    ]


def test_runs_that_are_moved_between_others_come_in_their_order() -> None:
    lord_howe = cron("*/20 * * * *", ZoneInfo("Australia/Lord_Howe"))
    assert [(key, at) for key, at, _ in times(lord_howe, "2026-10-03T15:10", 4)] == [
        ("2026-10-04T02:00", "10-03 15:30"),
        ("2026-10-04T02:40", "10-03 15:40"),
        ("2026-10-04T02:20", "10-03 15:50"),
        ("2026-10-04T03:00", "10-03 16:00"),
    ]


def test_many_clock_changes_are_told_in_few_words() -> None:
    once = times(cron("*/10 0-2 * * *"), "2027-03-28T00:55", 1, gap="skip")
    assert once == [
        (
            "2027-03-29T00:00",
            "03-28 22:00",
            "02:00 does not exist on 2027-03-28: skipped; 02:10 does not exist on 2027-03-28: skipped; "
            "02:20 does not exist on 2027-03-28: skipped; and 3 more",
        )
    ]


@pytest.mark.parametrize(
    ("after", "at", "change"),
    [
        ("2027-03-28T01:10", "03-28 01:20", {}),
        ("2027-03-28T00:59", "03-28 01:20", {}),
        ("2027-03-28T01:20", "03-29 00:20", {}),
        ("2027-10-31T00:10", "10-31 00:20", {}),
        ("2027-10-31T00:40", "11-01 01:20", {}),
        ("2027-10-31T00:40", "10-31 01:20", {"overlap": "second"}),
        ("2027-10-31T00:40", "10-31 01:20", {"overlap": "both"}),
        ("2027-10-31T01:20", "11-01 01:20", {"overlap": "both"}),
    ],
)
def test_one_may_begin_to_look_amid_a_change(after: str, at: str, change: dict[str, str]) -> None:
    assert times(cron("20 2 * * *"), after, 1, **change)[0][1] == at


@pytest.mark.parametrize("text", ["0 0 * * *", "*/15 * * * *", "30 2 * * sun"])
@given(
    after=st.datetimes(local("2024-01-01T00:00"), local("2029-01-01T00:00"), timezones=st.just(UTC)),
    zone=st.sampled_from(SAMPLE),
)
@settings(max_examples=60)
def test_wherever_one_begins_to_look_the_times_are_the_same(text: str, after: datetime, zone: str) -> None:
    schedule = cron(text, ZoneInfo(zone))
    from_before = [m for m in islice(upcoming(schedule, after - 2 * DAY), 500) if m.at > after][:3]
    found = list(islice(upcoming(schedule, after), 3))
    assert [m.at for m in found][: len(from_before)] == [m.at for m in from_before]
    if found:
        assert [m.at for m in islice(upcoming(schedule, found[0].at), 2)] == [m.at for m in found[1:]]


def test_every_counts_real_time_from_its_anchor() -> None:
    every = Every(interval=timedelta(hours=2), anchor=utc("2027-03-27T23:00"), zone=BERLIN)
    assert times(every, "2027-03-01", 3) == [
        ("2027-03-27T23:00:00Z", "03-27 23:00", None),
        ("2027-03-28T01:00:00Z", "03-28 01:00", None),
        ("2027-03-28T03:00:00Z", "03-28 03:00", None),
    ]
    assert times(every, "2027-03-28T01:00", 1)[0][1] == "03-28 03:00"
    assert next(upcoming(every, utc("2027-03-28T00:59"))).local == local("2027-03-28T03:00")


@given(
    minutes=st.integers(1, 60 * 24 * 366),
    anchor=st.datetimes(local("2001-01-01T00:00"), local("2100-01-01T00:00"), timezones=st.just(UTC)),
    after=st.datetimes(local("2001-01-01T00:00"), local("2100-01-01T00:00"), timezones=st.just(UTC)),
)
def test_every_is_never_late_and_never_early(minutes: int, anchor: datetime, after: datetime) -> None:
    interval = timedelta(minutes=minutes)
    first, second = islice(upcoming(Every(interval=interval, anchor=anchor, zone=BERLIN), after), 2)
    assert first.at > after
    assert first.at == anchor or first.at - interval <= after
    assert (first.at - anchor) % interval == timedelta(0)
    assert second.at - first.at == interval


def test_once_at_a_local_time() -> None:
    once = At(local=local("2027-03-28T02:30"), zone=BERLIN)
    note = "02:30 does not exist on 2027-03-28: moved to 03:30"
    assert times(once, "2026-01-01", 5) == [("2027-03-28T02:30", "03-28 01:30", note)]
    assert times(once, "2027-03-28T01:30", 5) == []


def test_by_hand_has_no_times() -> None:
    assert times(ByHand(), "2026-01-01", 5) == []
    assert never_fires(ByHand(), utc("2026-01-01")) is None


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        upcoming(cron("0 0 * * *"), local("2026-01-01T00:00"))


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        (cron("0 0 30 2 *"), 'no day is ever as "0 0 30 2 *" says'),
        (cron("0 0 31 4,6 *"), 'no day is ever as "0 0 31 4,6 *" says'),
        (cron("0 0 29 2 *"), None),
        (cron("0 0 * 2 mon#5"), None),
        (At(local=local("2026-01-01T09:00"), zone=BERLIN), "2026-01-01 09:00 (Europe/Berlin) is in the past"),
        (At(local=local("2027-01-01T09:00"), zone=BERLIN), None),
        (Every(interval=DAY, anchor=utc("2001-01-01"), zone=BERLIN), None),
    ],
)
def test_a_schedule_that_never_fires_is_found(schedule: Schedule, reason: str | None) -> None:
    assert never_fires(schedule, utc("2026-03-27")) == reason


def test_a_single_run_in_a_gap_that_is_skipped_never_fires() -> None:
    once = At(local=local("2027-03-28T02:30"), zone=BERLIN)
    assert never_fires(once, utc("2026-03-27")) is None
    assert never_fires(once, utc("2026-03-27"), ClockChange(gap="skip")) == (
        "2027-03-28 02:30 does not exist in Europe/Berlin, and the gap is skipped"
    )


def test_the_second_of_a_change_is_found() -> None:
    for name in ("Europe/Berlin", "Australia/Lord_Howe", "America/New_York"):
        zone = ZoneInfo(name)
        for period in periods(zone, utc("2027-01-01"), utc("2028-01-01"))[:-1]:
            assert change_between(period.end - DAY / 24 * 23, period.end + MINUTE * 17, zone) == period.end


def test_every_zone_can_be_read() -> None:
    asked = local("2027-03-28T02:30")
    assert all(
        abs(readings(asked, ZoneInfo(name))[0].replace(tzinfo=None) - asked) < DAY for name in available_timezones()
    )
