"""The grammar of `schedule`, `clock_change` and `quiet_hours`, and the values that they say."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from bridge.errors import did_you_mean
from bridge.model.broadcast import At, ByHand, ClockChange, Cron, Every, QuietHours, Schedule
from bridge.rulebook.forms import Form, Wait, exactly_one, like, written
from bridge.rulebook.yaml import shown

FIRST_MONDAY = datetime(2001, 1, 1)  # noqa: DTZ001 - it is a local time, wherever the broadcast is
"""What `every` counts from unless told otherwise, so that "every: 1w" is Mondays at midnight."""

_PARTS = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31, or L for the last"),
    ("month", "1-12 or jan-dec"),
    ("day of the week", "mon, tue, wed, thu, fri, sat, sun, or 0-7 with Sunday 0 and 7; a range ends after it begins"),
)
_ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - whatever day: it is only asked whether the expression can be read
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}")
_QUIET = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_YEARS = range(2000, 2201)


def parse_cron(text: str) -> str:
    """A cron expression of five fields, its blanks made single. Raises ValueError naming the part that is wrong.

    One whose day is in no month ("0 0 30 2 *") can be read: that it never fires is found by who looks at its times.
    """
    parts = text.split()
    if len(parts) != len(_PARTS) or len(text) > 200:
        raise ValueError(
            f"{shown(text)} is no cron schedule: it has five parts (minute, hour, day of the month, month, day of the "
            f'week), for example "0 9 * * mon" for Mondays at 09:00'
        )
    for number, (name, known) in enumerate(_PARTS):
        alone = ["*"] * len(_PARTS)
        alone[number] = parts[number]
        try:
            CronSim(" ".join(alone), _ANY_DAY)
        except CronSimError:
            raise ValueError(f"{shown(parts[number])} is no {name} of a cron schedule: {known}") from None
    return " ".join(parts)


def parse_local(text: str) -> datetime:
    """'2026-12-01T09:00' or '2026-12-01 09:00', without a time zone. Raises ValueError."""
    if _LOCAL.fullmatch(text):
        try:
            local = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f'"{text}" is no time: {error}') from None
        if local.year not in _YEARS:
            raise ValueError(f'"{text}" is not between {_YEARS[0]} and {_YEARS[-1]}')
        return local
    hint = " (the time zone has a key of its own: timezone)" if re.search(r":\d\d.*(Z|[+-]\d)", text[:100]) else ""
    raise ValueError(f'{shown(text)} is no local time: write for example "2026-12-01T09:00"{hint}')


def parse_quiet(text: str) -> QuietHours:
    """'21:00-08:00' or '00:00-07:30'. Raises ValueError."""
    found = _QUIET.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'{shown(text)} are no quiet hours: write for example "21:00-08:00"')
    hours, minutes = (int(found[1]), int(found[3])), (int(found[2]), int(found[4]))
    last = hours[1] * 60 + minutes[1]
    if max(minutes) > 59 or hours[0] > 23 or last > 24 * 60:
        raise ValueError(f'"{text}" is not within a day: from 00:00 to 24:00')
    start, end = time(hours[0], minutes[0]), time(last // 60 % 24, minutes[1])
    if start == end:
        raise ValueError(f'"{text}" leaves no time at which a message may be sent, or all of it: leave it out')
    return QuietHours(start=start, end=end)


def parse_zone(text: str) -> ZoneInfo:
    """A time zone by its name in the tz database. Raises ValueError."""
    if text not in available_timezones():
        hint = did_you_mean(text[:100], sorted(available_timezones())) or ", for example Europe/Kyiv"
        raise ValueError(f"{shown(text)} is no time zone{hint}")
    return ZoneInfo(text)


def _not_too_often(interval: timedelta) -> timedelta:
    if interval < timedelta(minutes=1):
        raise ValueError("must be at least 1m")
    return interval


CronText = Annotated[str, written(parse_cron, "0 9 * * mon"), like(r"^\s*(\S+\s+){4}\S+\s*$")]
LocalTime = Annotated[
    datetime, written(parse_local, "2026-12-01T09:00"), like("^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}$")
]
Zone = Annotated[ZoneInfo, written(parse_zone, "Europe/Kyiv"), like("^[A-Za-z0-9_+/-]+$")]
Quiet = Annotated[
    QuietHours, written(parse_quiet, "21:00-08:00"), like(r"^\s*[0-9]{1,2}:[0-9]{2}\s*-\s*[0-9]{1,2}:[0-9]{2}\s*$")
]
Span = Annotated[Wait, AfterValidator(_not_too_often)]


class ClockChangeForm(Form):
    """What becomes of a run at a local time that does not exist, or that comes twice."""

    gap: Literal["shift", "skip"] = Field("shift", description="In the missing hour: later by as much, or not at all.")
    overlap: Literal["first", "second", "both"] = Field("first", description="In the repeated hour: when it runs.")

    def build(self) -> ClockChange:
        return ClockChange(gap=self.gap, overlap=self.overlap)


class ScheduleForm(Form):
    """When a broadcast goes out by itself: one of cron, at and every."""

    model_config = ConfigDict(json_schema_extra=exactly_one(("cron", "at", "every")))

    cron: CronText | None = Field(None, description="Minute, hour, day of the month, month, day of the week.")
    at: LocalTime | None = Field(None, description="Once, at this local time.")
    every: Span | None = Field(None, description="Again after so much real time, whatever the clocks do.")
    from_: LocalTime | None = Field(None, alias="from", description="The local time that `every` counts from.")
    timezone: Zone | None = Field(None, description="Such as Europe/Kyiv.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in ("cron", "at", "every") if getattr(self, name) is not None]
        if len(given) != 1:
            more = f", not {' and '.join(given)}" if given else "; a broadcast started by hand has no schedule at all"
            raise ValueError(f"needs one of cron, at, every{more}")
        if self.from_ is not None and self.every is None:
            raise ValueError('"from" goes with every')
        return self

    def build(self, default_zone: ZoneInfo) -> Schedule:
        """The schedule that the form says, in `default_zone` unless it names its own."""
        zone = self.timezone or default_zone
        if self.cron is not None:
            return Cron(text=self.cron, zone=zone)
        if self.at is not None:
            return At(local=self.at, zone=zone)
        if self.every is not None:
            anchor = (self.from_ or FIRST_MONDAY).replace(tzinfo=zone).astimezone(UTC)
            return Every(interval=self.every, anchor=anchor, zone=zone)
        return ByHand()
