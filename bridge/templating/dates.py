"""Dates and times in words: the `date` filter. The pattern is read here, because the C library's own reads widths
like `%999999999d`, and speaks another language on another machine."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bridge.templating.filters import text_of, wrong
from bridge.templating.meter import METER, RenderError

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_PARTS: Mapping[str, Callable[[datetime], str]] = {
    "%Y": lambda at: f"{at.year:04}",
    "%y": lambda at: f"{at.year % 100:02}",
    "%m": lambda at: f"{at.month:02}",
    "%-m": lambda at: str(at.month),
    "%d": lambda at: f"{at.day:02}",
    "%-d": lambda at: str(at.day),
    "%H": lambda at: f"{at.hour:02}",
    "%-H": lambda at: str(at.hour),
    "%I": lambda at: f"{at.hour % 12 or 12:02}",
    "%-I": lambda at: str(at.hour % 12 or 12),
    "%M": lambda at: f"{at.minute:02}",
    "%S": lambda at: f"{at.second:02}",
    "%p": lambda at: "AM" if at.hour < 12 else "PM",
    "%A": lambda at: _DAYS[at.weekday()],
    "%a": lambda at: _DAYS[at.weekday()][:3],
    "%B": lambda at: _MONTHS[at.month - 1],
    "%b": lambda at: _MONTHS[at.month - 1][:3],
    "%u": lambda at: str(at.isoweekday()),
    "%Z": lambda at: at.tzname() or "",
    "%%": lambda at: "%",
}
_PART = re.compile(r"%-?.?", re.DOTALL)


def date_filter(timezone: tzinfo) -> Callable[..., str]:
    """The `date` filter, for which times are those of `timezone` unless it is told another one."""

    def show(value: object, pattern: object = "%Y-%m-%d", zone: object = None) -> str:
        moment = _moment(value)
        local = moment if moment.tzinfo is None else moment.astimezone(timezone if zone is None else _zone(zone))
        text = text_of(pattern, "date")
        METER.get().text(len(text) * 5)
        return _PART.sub(lambda part: _part(part[0], local), text)

    return show


def _part(part: str, at: datetime) -> str:
    if part not in _PARTS:
        raise RenderError(f'date does not know "{part}"; it knows {" ".join(_PARTS)}')
    return _PARTS[part](at)


def _moment(value: object) -> datetime:
    """A moment from what a template may hold; a day without a time has no time zone, a time without one is in UTC."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = datetime.fromisoformat(value) if ":" in value else date.fromisoformat(value)
        except ValueError:
            raise RenderError(
                'date needs a date, and this text is none: write it like "2026-12-01T09:00+02:00"'
            ) from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day is the same in every time zone
    raise wrong(value, "date needs a date")


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(text_of(name, "date"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RenderError('date does not know this time zone; write it like "Europe/Kyiv"') from None
