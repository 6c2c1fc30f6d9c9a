"""What has to run now, and what was missed: the process may have been down, or asleep, when its time came."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.model.broadcast import Moment
from bridge.model.quantity import say_duration

MOST_SKIPPED = 100
"""At most so many of the moments that were missed are named, the latest; the others are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A moment at which nothing is sent any more, and why."""

    moment: Moment
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """What is to run, and what is not any more. `missed` counts all that were skipped, `skipped` names the latest."""

    run: Moment | None = None
    skipped: tuple[Skipped, ...] = ()
    missed: int = 0


def due(moments: Iterable[Moment], last_run: datetime | None, now: datetime, not_after: timedelta) -> Due:
    """What of `moments` (in order, from where the caller looks back to) is due at `now` and later than `last_run`.

    A moment that is more than `not_after` late is skipped. Of several that are not too late only the latest runs:
    nobody wants the same message twice in a row.
    """
    latest: Moment | None = None
    skipped: deque[Skipped] = deque(maxlen=MOST_SKIPPED)
    missed = 0
    for moment in moments:
        if moment.at > now:
            break
        if last_run is not None and moment.at <= last_run:
            continue
        if latest is not None:
            skipped.append(_skipped(latest, moment, now, not_after))
            missed += 1
        latest = moment
    if latest is not None and now - latest.at > not_after:
        skipped.append(_skipped(latest, None, now, not_after))
        missed += 1
        latest = None
    return Due(run=latest, skipped=tuple(skipped), missed=missed)


def _skipped(moment: Moment, later: Moment | None, now: datetime, not_after: timedelta) -> Skipped:
    late = now - moment.at
    if late > not_after or later is None:
        reason = f"{say_duration(late)} late, and not_after is {say_duration(not_after)}"
    else:
        reason = f"missed, and so was the run of {later.local:%Y-%m-%d %H:%M}, which takes its place"
    return Skipped(moment=moment, reason=reason)
