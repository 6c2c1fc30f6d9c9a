"""Quiet hours: when a message may reach somebody, by the clock where they live."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bridge.broadcasts.local_time import change_between, local_of, readings
from bridge.model.broadcast import QuietHours


def next_allowed(moment: datetime, zone: ZoneInfo, quiet: QuietHours | None) -> datetime:
    """The first moment from `moment` on (in UTC) at which it is not quiet in `zone`.

    Clock changes are kept to: where the end of the quiet hours is jumped over, they end at the jump.
    """
    now = moment.astimezone(UTC)
    while quiet is not None and quiet.covers(local_of(now, zone).time()):
        now = _end_or_change(now, zone, quiet)
    return now


def _end_or_change(now: datetime, zone: ZoneInfo, quiet: QuietHours) -> datetime:
    """The end of the quiet hours, or before it a clock change that leads back to when they had not begun."""
    end = _end(now, zone, quiet)
    if now.astimezone(zone).utcoffset() == end.astimezone(zone).utcoffset():
        return end
    change = change_between(now, end, zone)
    return end if quiet.covers(local_of(change, zone).time()) else change


def _end(now: datetime, zone: ZoneInfo, quiet: QuietHours) -> datetime:
    """The next moment at which clocks show the end of the quiet hours, or jump over it."""
    local = local_of(now, zone)
    end = datetime.combine(local, quiet.end)
    first, second = readings(end if end > local else end + timedelta(days=1), zone)
    if first > second:
        return change_between(second, first, zone)
    return first if first > now else second
