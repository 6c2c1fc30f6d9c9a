"""The grammar of a rule file, stated once, as strict pydantic models; that of actions and examples is beside it.

What a value must be for one certain field (a number, a duration, a word of a list) is in `fields.py`, because it
depends on the field; everything else about the shape of a file is here. `wording.py` turns failures into sentences.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from bridge.errors import did_you_mean
from bridge.model.event import Kind, Sender
from bridge.rulebook.action_forms import ActionForm
from bridge.rulebook.calendars import Span, parse_clock, parse_dates, parse_days, parse_span, public_holidays
from bridge.rulebook.example_forms import ExampleForm
from bridge.rulebook.forms import (
    Duration,
    Form,
    Name,
    Number,
    OneOrMany,
    Pattern,
    Plain,
    Quiet,
    Short,
    Text,
    like,
    text_as,
    written,
)

_CLOCK = "[0-9]{1,2}:[0-9]{2}"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
Dates = Annotated[
    tuple[date, date],
    written(parse_dates, "2026-12-24"),
    like(rf"^\s*{_DAY}\s*(\.\.\s*{_DAY}\s*)?$", 'Write "2026-12-24", or "2026-12-31..2027-01-02".'),
]
SpanText = Annotated[
    tuple[int, int],
    written(parse_span, "09:00-17:30"),
    like(rf"^\s*{_CLOCK}\s*-\s*{_CLOCK}\s*$", 'Write a span such as "09:00-17:30".'),
]
ClockText = Annotated[int, written(parse_clock, "09:00"), like(rf"^\s*{_CLOCK}\s*$", 'Write a time such as "09:00".')]


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(value, sorted(available_timezones())) or ", for example Europe/Kyiv"
        raise ValueError(f'"{value}" is no time zone{hint}') from None
    return value


class MatcherForm(Form):
    """What is asked of one field; everything that is written here must hold."""

    is_: Plain | None = Field(None, alias="is", description="It is this value.")
    in_: OneOrMany[Plain] | None = Field(None, alias="in", description="It is one of these values.")
    words: OneOrMany[Short] | None = Field(None, description="It has one of these words or phrases, as whole words.")
    contains: OneOrMany[Short] | None = Field(None, description="It has one of these pieces anywhere.")
    starts_with: OneOrMany[Short] | None = Field(None, description="It begins with one of these.")
    ends_with: OneOrMany[Short] | None = Field(None, description="It ends with one of these.")
    matches: Pattern | None = Field(
        None, description="This RE2 pattern is found in it. (?i) at its start ignores case."
    )
    path: OneOrMany[Short] | None = Field(None, description="Its path: * is anything in a segment, ** any segments.")
    host: OneOrMany[Short] | None = Field(None, description="Its host: * is anything.")
    query: dict[str, OneOrMany[Short]] | None = Field(None, min_length=1, description="Values of query parameters.")
    above: Number | None = Field(None, description="It is more than this.")
    below: Number | None = Field(None, description="It is less than this.")
    at_least: Number | None = Field(None, description="It is this or more.")
    at_most: Number | None = Field(None, description="It is this or less.")
    exists: bool | None = Field(None, description="true: it is known; false: it is not.")


def _matchers(value: object) -> object:
    """A value alone means `is`, a list means `in`."""
    if isinstance(value, dict):
        if not value:
            raise ValueError("must not be empty")
        return value
    return {"in": value} if isinstance(value, list) else {"is": value}


class TimeForm(Form):
    """What is asked of the time of day, where the calendar is, or in the time zone of the settings."""

    is_: SpanText | None = Field(None, alias="is", description="It is within this span: 22:00-06:00.")
    in_: OneOrMany[SpanText] | None = Field(None, alias="in", description="It is within one of these spans.")
    above: ClockText | None = Field(None, description="It is after this.")
    below: ClockText | None = Field(None, description="It is before this.")
    at_least: ClockText | None = Field(None, description="It is this or later.")
    at_most: ClockText | None = Field(None, description="It is this or earlier.")
    calendar: Name | None = Field(None, description="The calendar whose time zone counts.")

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.model_fields_set - {"calendar"}:
            raise ValueError('needs a span such as "22:00-06:00", or above, below, at_least or at_most')
        return self


TimeAsked = Annotated[TimeForm, BeforeValidator(_matchers, json_schema_input_type=OneOrMany[SpanText] | TimeForm)]


class CalendarAskForm(Form):
    """Whether a calendar is open, or closed."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    open: Name | None = Field(None, description="This calendar is open.")
    closed: Name | None = Field(None, description="This calendar is closed.")

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.open is None and self.closed is None:
            raise ValueError('needs "open" or "closed" and the name of a calendar')
        return self


def _calendar_ask(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"must be written {{open: {value}}} or {{closed: {value}}}")
    return value


class WhenForm(Form):
    """Conditions: every line must hold. Any other key is the name of a field."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[MatcherForm, BeforeValidator(_matchers)]] = Field(init=False)

    all_: list["WhenForm"] | None = Field(None, alias="all", min_length=1, description="All of these must hold.")
    any_: list["WhenForm"] | None = Field(None, alias="any", min_length=1, description="One of these must hold.")
    not_: "WhenForm | None" = Field(None, alias="not", description="These must not hold together.")
    if_: Text | None = Field(None, alias="if", description="A Jinja expression, asked after all other lines.")
    time: TimeAsked | None = Field(None, description="The time of day: 22:00-06:00, or above, below, ... a time.")
    calendar: Annotated[CalendarAskForm, BeforeValidator(_calendar_ask)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        if value == {}:
            raise ValueError('must not be empty; without "when" a rule always holds')
        return value


class LimitForm(Form):
    """At most so often."""

    times: int = Field(ge=1, le=1000, description="How often it may fire.")
    per: Literal["conversation", "contact", "account", "rule"] = Field(
        "conversation", description="What is counted; rule: all of its firings together."
    )
    within: Duration | None = Field(None, description="Counted in this time; without it, for ever.")


class RuleForm(Form):
    """When this happens in a chat, do that."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["do"]}, {"required": ["stop"]}]})

    name: Name = Field(description="Unique in the rulebook; shown wherever the rule appears.")
    on: OneOrMany[Kind] = Field(description="A kind of event, or a list of them.")
    account: OneOrMany[Name] | None = Field(None, description="Only events of this account, or of these.")
    sender: OneOrMany[Sender] = Field(["contact"], description="Who caused the event; the contact, if nothing is said.")
    when: WhenForm | None = None
    limit: LimitForm | None = None
    burst: Quiet | None = Field(
        None, description="Wait until the contact was quiet for so long, and answer all of their messages as one."
    )
    even_if_human: bool = Field(False, description="true: it answers while a human is active in the conversation, too.")
    do: list[ActionForm] | None = Field(None, min_length=1, max_length=100, description="Actions, done in order.")
    stop: bool = Field(False, description="true: no later rule sees the event.")
    priority: int = Field(0, ge=-1_000_000, le=1_000_000, description="Higher comes first.")
    examples: list[ExampleForm] | None = Field(None, max_length=1000, description="What should happen and what not.")

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.do is None and not self.stop:
            raise ValueError('does nothing: give it "do", or "stop: true"')
        return self


class HolidaysForm(Form):
    """The public holidays of a country (its ISO 3166 code), or of one of its regions."""

    country: Name = Field(description="Its ISO 3166 code: DE.")
    region: Name | None = Field(None, description="One of its regions: BE.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        public_holidays(self.country, self.region)
        return self


class CalendarForm(Form):
    """`hours` name days ("mon-fri", "sat") and their spans; a day that is not named is closed."""

    timezone: Annotated[str, AfterValidator(_zone)] | None = Field(None, description="Such as Europe/Kyiv.")
    hours: dict[str, OneOrMany[SpanText]] = Field(description='Days and their hours: mon-fri: "09:00-17:00".')
    closed: list[Dates] | None = Field(
        None, max_length=1000, description="Dates, or first..last, on which it is closed."
    )
    holidays: Annotated[HolidaysForm, text_as("country", HolidaysForm)] | None = Field(
        None, description="The public holidays of a country, on which it is closed: UA, or {country: DE, region: BE}."
    )

    @model_validator(mode="after")
    def _each_day_once(self) -> Self:
        self.spans()
        return self

    def spans(self) -> dict[int, Sequence[Span]]:
        """The spans of each day of the week that is named, Monday = 0."""
        found: dict[int, Sequence[Span]] = {}
        for days, spans in self.hours.items():
            for day in parse_days(days):
                if day in found:
                    raise ValueError(f'"hours" names a day twice, the second time in "{days}"')
                found[day] = spans
        return found


class FileForm(Form):
    """A rule file."""

    rules: list[RuleForm] | None = Field(None, description="When this happens in a chat, do that.")
    calendars: dict[Name, CalendarForm] | None = Field(None, description="Opening hours, by name.")
