"""Where a clock changes: which moments a local time is, and which local times never are."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


def readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Both moments (UTC) that `local` can mean: by the offset before a clock change and by the one after it (PEP 495).

    They are the same for an ordinary time. The first is earlier for a time that comes twice, and later for one that
    does not exist: then it is `local` moved on by as much as the clock jumps.
    """
    before = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    after = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return before, after


def local_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """What clocks show at `moment`, without a time zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def earliest_local(after: datetime, zone: ZoneInfo) -> datetime:
    """A local time before which none can be, or be moved to, a moment later than `after`.

    It is before what clocks show at `after` only within a day of a change. No zone changes its clocks twice in a day.
    """
    offsets = [(after + days * _DAY).astimezone(zone).utcoffset() or timedelta(0) for days in (-1, 0, 1)]
    return local_of(after, zone) - (max(offsets) - min(offsets))


def change_between(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The second (UTC) at which the clocks of `zone` change, once, after `low` and not after `high`."""
    first = low.astimezone(zone).utcoffset()
    least, most = 0, (high - low) // timedelta(seconds=1)
    while most - least > 1:
        middle = (least + most) // 2
        if (low + timedelta(seconds=middle)).astimezone(zone).utcoffset() == first:
            least = middle
        else:
            most = middle
    return low + timedelta(seconds=most)
