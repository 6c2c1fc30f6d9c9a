"""Opening hours: weekly hours in a time zone, closed dates, public holidays."""

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from importlib.util import find_spec, module_from_spec
from pkgutil import resolve_name
from zoneinfo import ZoneInfo

from msgspec import Struct

from bridge.errors import did_you_mean

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_CLOSED_DAYS = 3660

_SPAN = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})")

Span = tuple[int, int]
"""From and until, in minutes after midnight; a span over midnight ends after 24 * 60."""

Days = tuple[date, date]
"""The first and the last of days on end."""


class Hours(Struct, frozen=True, kw_only=True):
    """A calendar. `weekly` has the spans of each day of the week, Monday first; `holidays` may be empty.

    A span belongs to the day on which it begins: a night shift that begins before a holiday goes on into it.
    """

    zone: ZoneInfo
    weekly: tuple[tuple[Span, ...], ...]
    closed: tuple[Days, ...] = ()
    holidays: Mapping[date, str] | None = None

    def is_open(self, moment: datetime) -> bool:
        """Whether `moment`, which must know its time zone, lies within the opening hours."""
        if moment.tzinfo is None:
            raise ValueError("a moment without a time zone is not a moment")
        local = moment.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today = local.date()
        return self._spans(today, minute) or self._spans(today - timedelta(days=1), minute + 24 * 60)

    def _spans(self, day: date, minute: int) -> bool:
        return any(start <= minute < end for start, end in self.weekly[day.weekday()]) and not self._is_closed(day)

    def _is_closed(self, day: date) -> bool:
        if any(first <= day <= last for first, last in self.closed):
            return True
        return self.holidays is not None and day in self.holidays


def parse_days(text: str) -> tuple[int, ...]:
    """'mon', 'mon-fri' or 'sat, sun' as numbers, Monday = 0. Raises ValueError."""
    found: list[int] = []
    for part in text.lower().split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        start, end = _day(first), _day(last if dash else first)
        found += [(start + step) % 7 for step in range((end - start) % 7 + 1)]
    return tuple(found)


def _day(word: str) -> int:
    if word not in DAYS:
        raise ValueError(f'"{word}" is no day of the week: one of {", ".join(DAYS)}{did_you_mean(word, DAYS)}')
    return DAYS.index(word)


def parse_span(text: str) -> Span:
    """'09:00-17:30' or, over midnight, '22:00-06:00', in minutes. Raises ValueError."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'"{text}" is no span of hours: write for example "09:00-17:30"')
    hours = (int(found[1]), int(found[3]))
    minutes = (int(found[2]), int(found[4]))
    start, end = (hour * 60 + minute for hour, minute in zip(hours, minutes, strict=True))
    if max(minutes) > 59 or start >= 24 * 60 or end > 24 * 60:
        raise ValueError(f'"{text}" is not within a day: from 00:00 to 24:00')
    if start == end:
        raise ValueError(f'"{text}" has no length; a whole day is "00:00-24:00"')
    return (start, end) if end > start else (start, end + 24 * 60)


def parse_clock(text: str) -> int:
    """'09:30' in minutes after midnight, up to 24:00. Raises ValueError."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None or int(found[2]) > 59 or int(found[1]) * 60 + int(found[2]) > 24 * 60:
        raise ValueError(f'"{text}" is no time of day: write for example "09:00"')
    return int(found[1]) * 60 + int(found[2])


def parse_dates(text: str) -> Days:
    """'2026-12-24' or '2026-12-24..2027-01-01'. Raises ValueError."""
    first, dots, last = (part.strip() for part in text.partition(".."))
    start, end = _date(first), _date(last if dots else first)
    days = (end - start).days
    if not 0 <= days < MAX_CLOSED_DAYS:
        raise ValueError(f'"{text}": the second date is before the first, or more than ten years after it')
    return start, end


def _date(text: str) -> date:
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError(f'"{text}" is no date: write year-month-day, for example "2026-12-24"')


def public_holidays(country: str, region: str | None) -> Mapping[date, str]:
    """The public holidays of a country (ISO 3166 code) or of one of its regions. Raises ValueError."""
    known_countries = _load_holidays()
    if country not in known_countries:
        raise ValueError(f'no holidays are known for the country "{country}": write its code, for example DE or UA')
    holidays = resolve_name("holidays")
    regions: Sequence[str] = getattr(holidays, country).subdivisions
    if region is not None and region not in regions:
        known = ", ".join(regions[:20]) or "none"
        raise ValueError(f'"{country}" has no region "{region}"; known: {known}{did_you_mean(region, regions)}')
    found: Mapping[date, str] = holidays.country_holidays(country, subdiv=region)
    return found


def _load_holidays() -> frozenset[str]:
    """Load the library of holidays, but none of its countries; the codes of those that it knows.

    It takes as long to load as everything else of a calendar, and most rulebooks name no country. With the first
    country it would load all the others, 8 MB of them, because its package imports them: so the package is not run.
    """
    name = "holidays.countries"
    codes = resolve_name("holidays.registry:EntityLoader").get_country_codes()
    spec = find_spec(name)
    if name not in sys.modules and spec is not None:
        sys.modules[name] = module_from_spec(spec)
    return frozenset(codes)


def week(spans: Mapping[int, Sequence[Span]]) -> tuple[tuple[Span, ...], ...]:
    """The spans of each day of the week, for `Hours`."""
    return tuple(tuple(spans.get(day, ())) for day in range(7))
