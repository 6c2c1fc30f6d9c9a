"""A broadcast: one text for many. When it goes out, to whom, how fast, and what one firing of it is.

Broadcast = Schedule (when) + Audience (who) + Wording (what) + rate, quiet hours and whatever else holds it back
Moment      one time at which a schedule fires
Run         one firing
Recipient   one person of the audience, as planned into a run
Batch       some of them, with a cursor from which the rest can be read
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from bridge.errors import Place, Problem
from bridge.model.delivery import OnUnknown
from bridge.model.event import Address
from bridge.model.quantity import Rate
from bridge.model.wording import Condition, Wording

Gap = Literal["shift", "skip"]
Overlap = Literal["first", "second", "both"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockChange:
    """What becomes of a run whose local time does not exist (`gap`) or comes twice (`overlap`).

    `shift` moves it by as much as the clock jumps: 02:30 to 03:30 where an hour is missing.
    """

    gap: Gap = "shift"
    overlap: Overlap = "first"


USUAL = ClockChange()


@dataclass(frozen=True, kw_only=True, slots=True)
class Cron:
    """At the local times of `zone` that a cron expression of five fields names."""

    text: str
    zone: ZoneInfo


@dataclass(frozen=True, kw_only=True, slots=True)
class At:
    """Once, at a local time (without a time zone of its own) of `zone`."""

    local: datetime
    zone: ZoneInfo


@dataclass(frozen=True, kw_only=True, slots=True)
class Every:
    """Again and again after the same span of real time, counted from `anchor` (UTC). `zone` is for showing it."""

    interval: timedelta
    anchor: datetime
    zone: ZoneInfo


@dataclass(frozen=True, kw_only=True, slots=True)
class ByHand:
    """Never by itself: a person or a rule starts it."""


Schedule = Cron | At | Every | ByHand


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One time at which a schedule fires.

    `local` is what the schedule says (it may not exist); `at` is when that is, in UTC. `key` names the moment: it is
    the same in every process and with every version of the time zone data. `note` says what a clock change did to it.
    """

    local: datetime
    at: datetime
    key: str
    note: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class QuietHours:
    """From `start` until just before `end`, local time; over midnight where `end` is not after `start`."""

    start: time
    end: time

    def covers(self, local: time) -> bool:
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


BadLines = Literal["skip", "stop"]
FileFormat = Literal["csv", "jsonl"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileAudience:
    """The people of a file: CSV with a header, or JSON Lines. What it says of each becomes variables.

    `key` are the columns that make two lines the same person; none: the address does. `language` and `timezone` are
    columns, looked at if the file has them.
    """

    path: str
    format: FileFormat = "csv"
    separator: str = ","
    key: tuple[str, ...] = ()
    language: str = "language"
    timezone: str = "timezone"
    bad_lines: BadLines = "skip"


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerFilter:
    """One line of a HelpCrunch customer search."""

    field: str
    operator: str
    value: str | int | float | bool


@dataclass(frozen=True, kw_only=True, slots=True)
class HelpCrunchAudience:
    """The customers that a search of this account finds: those for whom all lines hold, or any (`match`)."""

    account: str
    filter: tuple[CustomerFilter, ...]
    match: Literal["all", "any"] = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChaynsAudience:
    """The members of UAC groups: one call with the groups' ids, or with `each` a delivery for every member."""

    account: str
    uac_groups: tuple[int, ...]
    each: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class MetAudience:
    """Everybody whom the bridge has met in a conversation of these accounts (none: of all) and `when` holds for.

    `written` is `when` as it was written, as JSON, so that a run can keep it.
    """

    accounts: frozenset[str] = frozenset()
    when: Condition | None = field(default=None, compare=False)
    written: str | None = None


Audience = FileAudience | HelpCrunchAudience | ChaynsAudience | MetAudience


@dataclass(frozen=True, kw_only=True, slots=True)
class SkipIf:
    """Recipients for whom this expression holds are skipped. `holds` is given what a template sees."""

    place: Place
    text: str
    holds: Callable[[Mapping[str, object]], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Broadcast:
    """One text for many.

    `to` says which columns are the recipient's address: `to:` key of the platform -> column; none: the columns that
    have the names of such keys. Woken up later than `not_after`, a run is skipped. `pause_if_failed` is the share (0 to
    1) of failed deliveries above which a run waits for a person.
    """

    name: str
    place: Place
    schedule: Schedule
    schedule_place: Place
    via: str
    audience: str
    wording: Wording
    clock_change: ClockChange = USUAL
    not_after: timedelta = timedelta(hours=1)
    to: Mapping[str, str] = field(default_factory=dict)
    rate: Rate | None = None
    quiet_hours: QuietHours | None = None
    skip_if: SkipIf | None = None
    on_unknown: OnUnknown = "hold"
    pause_if_failed: float = 0.2


RunState = Literal["asked", "planning", "running", "paused", "done", "cancelled", "skipped", "failed"]
AskedBy = Literal["schedule", "rule", "person"]


class Asked(Struct, frozen=True, kw_only=True):
    """A wish for a run. It is unique by broadcast and moment, whoever asks: three replicas make one run.

    `moment` is the key of the schedule's moment, or whatever names a start by a person or by a rule; `at` is when it is
    to begin. Templates know `variables` besides those of each recipient. With `only` it goes to that address alone, as
    the first recipient would get it. `skip` says why it is noted only, and nothing is sent. `rule` is the one
    that asks.
    """

    broadcast: str
    moment: str
    at: datetime
    asked_by: AskedBy = "schedule"
    variables: Mapping[str, object] = {}
    only: Address = {}
    skip: str | None = None
    rule: str | None = None


class Run(Struct, frozen=True, kw_only=True):
    """One firing of a broadcast.

    asked -> planning -> running -> done                     asked, planning -> failed (it cannot be planned)
    planning, running -> paused -> planning, running         asked, planning, running, paused -> cancelled
    done, paused -> running (retry)                          (new) -> skipped (too late)

    `plan` is the broadcast as it was when the run began, and `cursor` how far its audience is planned, as JSON.
    `duplicates` counts recipients who were planned already. `detail` says why it stands where it does.
    """

    id: int
    asked: Asked
    state: RunState
    plan: str | None = None
    cursor: str | None = None
    planned_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duplicates: int = 0
    forgiven: int = 0
    detail: str | None = None


class Recipient(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One person of an audience.

    Two recipients with the same `key` are one person. `address` is in the words of the platform's `to:` keys. What is
    not known of a person is not among the `variables`. `line` is where the file says it, 0 without a file. `skip` is
    why nothing is sent to them, where whoever named them knows a reason; `memory` is the key of what is remembered of
    them, where the bridge has met them.
    """

    key: str
    address: Address
    variables: Mapping[str, object] = {}
    language: str | None = None
    zone: str | None = None
    line: int = 0
    skip: str | None = None
    memory: str | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """Some people of an audience, and how far that is (None: it is all); a problem stands for who cannot be read."""

    people: Sequence[Recipient | Problem]
    cursor: str | None


def moment_of(at: datetime, zone: ZoneInfo) -> Moment:
    """A moment that a span of real time leads to: it is named by its time in UTC, which comes only once."""
    local = at.astimezone(zone).replace(tzinfo=None)
    return Moment(local=local, at=at, key=at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
