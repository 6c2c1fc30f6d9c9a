"""Conditions on the moment itself: whether a calendar is open, and what time of day it is somewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from msgspec import Struct

from bridge.model.facts import Facts
from bridge.model.rule import Calendar
from bridge.rulebook.calendars import Span
from bridge.rulebook.conditions import Anchor, Groups

DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether the calendar of a name is open (`wanted`), or closed."""

    name: str
    wanted: bool
    calendar: Calendar = field(compare=False, repr=False)

    @property
    def wants(self) -> str:
        return f"calendar {self.name} is {_state(self.wanted)}"

    def holds(self, facts: Facts, groups: Groups) -> bool:
        return self.calendar.is_open(facts.now) == self.wanted

    def why_not(self, facts: Facts, groups: Groups | None = None) -> str | None:
        if self.holds(facts, {}):
            return None
        return f"calendar: {self.name} is {_state(not self.wanted)} at {facts.now:%Y-%m-%d %H:%M} UTC"

    def alternatives(self) -> Sequence[frozenset[Anchor]]:
        return ()


class TimeOfDay(Struct, frozen=True):
    """The time of day in a zone lies within one of `spans` (minutes after midnight; one may go on over midnight)."""

    zone: ZoneInfo
    spans: tuple[Span, ...]

    @property
    def wants(self) -> str:
        return f"time is {self._said} in {self.zone.key}"

    @property
    def _said(self) -> str:
        return " or ".join(f"{clock(start)}-{clock(end)}" for start, end in self.spans)

    def holds(self, facts: Facts, groups: Groups) -> bool:
        minute = self._minute(facts)
        return any(start <= minute < end or start <= minute + DAY < end for start, end in self.spans)

    def why_not(self, facts: Facts, groups: Groups | None = None) -> str | None:
        if self.holds(facts, {}):
            return None
        return f"time: {clock(self._minute(facts))} in {self.zone.key} is not {self._said}"

    def alternatives(self) -> Sequence[frozenset[Anchor]]:
        return ()

    def minutes(self) -> frozenset[int]:
        """All minutes of the day at which it holds."""
        return frozenset(minute % DAY for start, end in self.spans for minute in range(start, end))

    def _minute(self, facts: Facts) -> int:
        local = facts.now.astimezone(self.zone)
        return local.hour * 60 + local.minute


def clock(minute: int) -> str:
    """Minutes after midnight as a clock shows them; the end of a day is 24:00."""
    if minute > DAY:
        minute -= DAY
    return f"{minute // 60:02}:{minute % 60:02}"


def _state(is_open: bool) -> str:
    return "open" if is_open else "closed"
