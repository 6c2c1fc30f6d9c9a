"""The times of a schedule: each local time once, and where clocks change, as the broadcast's `clock_change` says.

`cronsim` names the local times of a cron expression. What moment each of them is, is decided here, because its own way
with clock changes is Debian's: it depends on how the expression is written.
"""

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from bridge.broadcasts.local_time import earliest_local, local_of, readings
from bridge.model.broadcast import USUAL, At, ByHand, ClockChange, Cron, Every, Moment, Schedule, moment_of

NOTES = 3
"""At most so many clock changes are told of one moment."""

_SECOND = timedelta(seconds=1)


def upcoming(schedule: Schedule, after: datetime, clock_change: ClockChange = USUAL) -> Iterator[Moment]:
    """The moments of `schedule` later than `after`, in their order, each once.

    A run that is moved to the moment of another one is merged with it. Raises ValueError for an `after` that does not
    know its time zone.
    """
    if after.tzinfo is None:
        raise ValueError("a moment without a time zone is not a moment")
    match schedule:
        case ByHand():
            return iter(())
        case Every():
            return _every(schedule, after)
        case At(local=local, zone=zone):
            locals_: Iterable[datetime] = [local]
        case Cron(zone=zone):
            locals_ = _named_by_cron(schedule, earliest_local(after, zone))
    return _merged(_in_order(locals_, zone, clock_change), after)


def never_fires(schedule: Schedule, now: datetime, clock_change: ClockChange = USUAL) -> str | None:
    """Why a schedule will not fire after `now`, or None if it will. By hand is no schedule that could fail to."""
    if isinstance(schedule, ByHand) or next(upcoming(schedule, now, clock_change), None) is not None:
        return None
    if isinstance(schedule, Cron):
        return f'no day is ever as "{schedule.text}" says'
    if isinstance(schedule, At):
        first, second = readings(schedule.local, schedule.zone)
        if first > second and clock_change.gap == "skip":
            return f"{_day_time(schedule.local)} does not exist in {schedule.zone.key}, and the gap is skipped"
        return f"{_day_time(schedule.local)} ({schedule.zone.key}) is in the past"
    return "it has no time"


def _every(schedule: Every, after: datetime) -> Iterator[Moment]:
    number = max(0, (after - schedule.anchor) // schedule.interval + 1)
    while True:
        yield moment_of((schedule.anchor + number * schedule.interval).astimezone(UTC), schedule.zone)
        number += 1


def _named_by_cron(schedule: Cron, start: datetime) -> Iterable[datetime]:
    """The local times from `start` on; none where the days of the expression are in no month."""
    try:
        return CronSim(schedule.text, start - _SECOND)
    except CronSimError:
        return ()


class _Planned(NamedTuple):
    """A moment that waits for its turn; of several at one time the one that clocks really show comes first."""

    at: datetime
    shifted: bool
    local: datetime
    note: str | None = None
    dropped: bool = False
    second: bool = False

    def moment(self, notes: list[str]) -> Moment:
        key = self.local.isoformat(timespec="minutes") + (" (2)" if self.second else "")
        more = [] if len(notes) <= NOTES else [f"and {len(notes) - NOTES} more"]
        return Moment(local=self.local, at=self.at, key=key, note="; ".join([*notes[:NOTES], *more]) or None)


def _in_order(locals_: Iterable[datetime], zone: ZoneInfo, clock_change: ClockChange) -> Iterator[_Planned]:
    """The moments of local times, which come in their own order: around a clock change that is not the order in UTC."""
    waiting: list[_Planned] = []
    for local in locals_:
        both = readings(local, zone)
        # No local time from this one on can be a moment before the earlier reading of this one.
        while waiting and waiting[0].at < min(both):
            yield heapq.heappop(waiting)
        for planned in _planned(local, zone, clock_change, *both):
            heapq.heappush(waiting, planned)
    while waiting:
        yield heapq.heappop(waiting)


def _planned(
    local: datetime, zone: ZoneInfo, clock_change: ClockChange, first: datetime, second: datetime
) -> Iterator[_Planned]:
    if first == second:
        yield _Planned(first, False, local)
    elif first > second:
        moved = local_of(first, zone)
        to = f"{moved:%H:%M}" if moved.date() == local.date() else _day_time(moved)
        skip = clock_change.gap == "skip"
        note = f"{local:%H:%M} does not exist on {local:%Y-%m-%d}: {'skipped' if skip else f'moved to {to}'}"
        yield _Planned(first, True, local, note, dropped=skip)
    else:
        twice = f"{local:%H:%M} comes twice on {local:%Y-%m-%d}: "
        if clock_change.overlap == "both":
            yield _Planned(first, False, local, twice + "this is the first")
            yield _Planned(second, False, local, twice + "this is the second", second=True)
        else:
            taken = first if clock_change.overlap == "first" else second
            yield _Planned(taken, False, local, twice + f"the {clock_change.overlap} is taken")


def _merged(planned: Iterator[_Planned], after: datetime) -> Iterator[Moment]:
    """One moment for all at the same time, if later than `after`. What was dropped is told with the next moment."""
    group: list[_Planned] = []
    notes: list[str] = []
    for one in planned:
        if group and group[0].at != one.at:
            yield from _one(group, notes)
            group = []
        if one.at > after:
            group.append(one)
    yield from _one(group, notes)


def _one(group: list[_Planned], notes: list[str]) -> Iterator[Moment]:
    kept = [planned for planned in group if not planned.dropped]
    for planned in group:
        merged = planned.shifted and not planned.dropped and planned is not kept[0]
        notes += [planned.note + (" and merged" if merged else "")] if planned.note else []
    if kept:
        yield kept[0].moment(notes)
        notes.clear()


def _day_time(local: datetime) -> str:
    return local.strftime("%Y-%m-%d %H:%M")
