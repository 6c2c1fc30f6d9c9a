"""What runs after a late awakening, and what is skipped with its reason."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broadcasts.due import MOST_SKIPPED, Due, due
from bridge.broadcasts.schedule import upcoming
from bridge.model.broadcast import Cron, Moment

HOUR = timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moments(text: str, after: str, count: int = 1000) -> list[Moment]:
    return list(islice(upcoming(Cron(text=text, zone=ZoneInfo("UTC")), utc(after)), count))


def told(found: Due) -> tuple[str | None, list[tuple[str, str]]]:
    return (None if found.run is None else found.run.key, [(one.moment.key, one.reason) for one in found.skipped])


@pytest.mark.parametrize(
    ("now", "run", "skipped"),
    [
        ("2026-03-27T08:59:59", None, []),
        ("2026-03-27T09:00", "2026-03-27T09:00", []),
        ("2026-03-27T09:20", "2026-03-27T09:00", []),
        ("2026-03-27T11:00", "2026-03-27T09:00", []),
        ("2026-03-27T12:00", None, [("2026-03-27T09:00", "3h late, and not_after is 2h")]),
    ],
)
def test_late_is_sent_too_late_is_skipped(now: str, run: str | None, skipped: list[tuple[str, str]]) -> None:
    daily = moments("0 9 * * *", "2026-03-26T09:00")
    assert told(due(daily, utc("2026-03-26T09:00"), utc(now), 2 * HOUR)) == (run, skipped)


def test_of_several_that_were_missed_only_the_latest_runs() -> None:
    half_hourly = moments("*/30 * * * *", "2026-03-27T08:00")
    found = due(half_hourly, None, utc("2026-03-27T10:10"), HOUR)
    assert told(found) == (
        "2026-03-27T10:00",
        [
            ("2026-03-27T08:30", "1h 40m late, and not_after is 1h"),
            ("2026-03-27T09:00", "1h 10m late, and not_after is 1h"),
            ("2026-03-27T09:30", "missed, and so was the run of 2026-03-27 10:00, which takes its place"),
        ],
    )
    assert found.missed == 3


def test_what_ran_does_not_run_again() -> None:
    hourly = moments("0 * * * *", "2026-03-27T08:00")
    assert due(hourly, utc("2026-03-27T09:00"), utc("2026-03-27T09:30"), HOUR) == Due()


def test_of_very_many_only_the_last_are_named() -> None:
    minutely = moments("* * * * *", "2026-03-27T08:00")
    found = due(minutely, None, utc("2026-03-27T20:00"), HOUR)
    assert found.run is not None
    assert (found.run.key, found.missed, len(found.skipped)) == ("2026-03-27T20:00", 719, MOST_SKIPPED)
    assert found.skipped[-1].moment.key == "2026-03-27T19:59"


@given(
    since=st.integers(0, 600),
    down=st.integers(0, 600),
    not_after=st.integers(1, 300),
    every=st.sampled_from(["*/7 * * * *", "0 * * * *", "0 */5 * * *"]),
)
def test_each_moment_runs_or_is_skipped_once_whenever_the_process_looks(
    since: int, down: int, not_after: int, every: str
) -> None:
    start = utc("2026-03-27T00:00")
    listed = moments(every, "2026-03-26T23:59", 300)
    looks = [start + timedelta(minutes=since), start + timedelta(minutes=since + down)]
    last, seen, count = start - HOUR, [], 0
    for now in looks:
        found = due(listed, last, now, timedelta(minutes=not_after))
        seen += [one.moment.at for one in found.skipped] + ([found.run.at] if found.run else [])
        count += found.missed + (found.run is not None)
        assert found.run is None or now - found.run.at <= timedelta(minutes=not_after)
        last = max([last, *seen])
    assert count == len([moment for moment in listed if moment.at <= looks[-1]])
    assert seen == sorted(set(seen))
