"""When a schedule fires, found by looking at the clock of a zone minute by minute: slow, and too simple to be wrong.

python -m tests.broadcasts.oracle       compares every zone that changes its clocks, over five years
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from functools import cache
from itertools import takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from bridge.broadcasts.schedule import upcoming
from bridge.model.broadcast import ClockChange, Cron

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)


class Case(NamedTuple):
    """A cron expression, and the same said otherwise: local times from `first` on, `step` by `step`, that `fires`."""

    text: str
    first: timedelta
    step: timedelta
    fires: Callable[[datetime], bool] = lambda local: True


SCHEDULES: Mapping[str, Case] = {
    "daily": Case("30 2 * * *", HOUR * 2.5, DAY),
    "midnight": Case("0 0 * * *", HOUR * 0, DAY),
    "hourly": Case("0 * * * *", HOUR * 0, HOUR),
    "weekdays": Case("15 1 * * mon-fri", HOUR * 1.25, DAY, lambda local: local.weekday() < 5),
    "sundays": Case("0 2 * * sun", HOUR * 2, DAY, lambda local: local.weekday() == 6),
    "monthly": Case("30 0 31 * *", HOUR * 0.5, DAY, lambda local: local.day == 31),
    "leap day": Case("0 3 29 2 *", HOUR * 3, DAY, lambda local: (local.month, local.day) == (2, 29)),
    "every 7 minutes": Case("*/7 * * * *", HOUR * 0, MINUTE, lambda local: local.minute % 7 == 0),
}

CHANGES = [
    ClockChange(gap=gap, overlap=overlap) for gap in ("shift", "skip") for overlap in ("first", "second", "both")
]


class Period(NamedTuple):
    """A time (UTC) in which clocks run evenly, and what they show beyond UTC."""

    start: datetime
    end: datetime
    offset: timedelta


@cache
def periods(zone: ZoneInfo, first: datetime = FIRST, last: datetime = LAST) -> list[Period]:
    """The even periods of a zone: an hour at a time, and minute by minute where the hours differ."""
    found: list[Period] = []
    start = moment = first
    offset = offset_at(zone, first)
    while moment < last:
        moment += HOUR
        if offset_at(zone, moment) != offset:
            minute = moment - HOUR
            while offset_at(zone, minute) == offset:
                minute += MINUTE
            found.append(Period(start, minute, offset))
            start, offset = minute, offset_at(zone, minute)
    return [*found, Period(start, moment, offset)]


def offset_at(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def expected(even: list[Period], case: Case, clock_change: ClockChange) -> list[datetime]:
    """The moments of all local times that fire, in order: those that are read once, twice or never on the clock."""
    found: set[datetime] = set()
    shown = [(p, (p.start + p.offset).replace(tzinfo=None), (p.end + p.offset).replace(tzinfo=None)) for p in even]
    local = datetime.combine(shown[0][1], time.min) + case.first
    while local < shown[-1][2]:
        if case.fires(local):
            here = local.replace(tzinfo=UTC)
            at = [here - period.offset for period, start, end in shown if start <= local < end]
            before = [period for period, _, end in shown if end <= local]
            if not at and before and clock_change.gap == "shift":
                found.add(here - before[-1].offset)
            elif len(at) < 2 or clock_change.overlap == "both":
                found.update(at)
            else:
                found.add(at[0] if clock_change.overlap == "first" else at[1])
        local += case.step
    return sorted(found)


def compare(zone: ZoneInfo, even: list[Period], which: str, clock_change: ClockChange) -> int:
    """How many moments were compared, in the inner part of the periods; raises AssertionError for a difference."""
    case = SCHEDULES[which]
    after, before = even[0].start + 2 * DAY, even[-1].end - 2 * DAY
    wanted = [at for at in expected(even, case, clock_change) if after < at < before]
    got = list(takewhile(lambda m: m.at < before, upcoming(Cron(text=case.text, zone=zone), after, clock_change)))
    difference = sorted({moment.at for moment in got} ^ set(wanted))
    assert [moment.at for moment in got] == wanted, (zone.key, which, clock_change, difference[:3])
    assert len({moment.key for moment in got}) == len(got), (zone.key, which, clock_change, "two have the same key")
    return len(got)


def around(zone: ZoneInfo, change: datetime) -> list[Period]:
    """The periods about a change, for schedules that fire too often for five years."""
    return periods(zone, change - 3 * DAY, change + 3 * DAY)


def changing_zones() -> Iterator[tuple[ZoneInfo, list[Period]]]:
    """Every zone that changes its clocks in these years, with its periods."""
    for name in sorted(available_timezones()):
        even = periods(ZoneInfo(name))
        if len(even) > 1:
            yield ZoneInfo(name), even


def main() -> None:
    """Zones with the same changes are the same to a schedule: of each kind one is compared."""
    kinds: dict[tuple[Period, ...], list[ZoneInfo]] = {}
    for zone, even in changing_zones():
        kinds.setdefault(tuple(even), []).append(zone)
    moments = 0
    for kind, zones in kinds.items():
        for clock_change in CHANGES:
            for which in SCHEDULES.keys() - {"every 7 minutes"}:
                moments += compare(zones[0], list(kind), which, clock_change)
            for one in kind[:-1]:
                moments += compare(zones[0], around(zones[0], one.end), "every 7 minutes", clock_change)
        sys.stdout.write(f"{', '.join(zone.key for zone in zones)}: {moments:,}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{sum(map(len, kinds.values()))} zones, {len(kinds)} kinds, {moments:,} moments\n")


if __name__ == "__main__":
    main()
