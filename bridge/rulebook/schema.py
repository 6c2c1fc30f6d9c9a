"""The grammar of a rule file, stated once, as strict pydantic models.

What a value must be for one certain field (a number, a duration, a word of a list) is in `fields.py`, because it
depends on the field; everything else about the shape of a file is here. `wording.py` turns failures into sentences.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Annotated, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from bridge.errors import did_you_mean
from bridge.model.event import Kind, Sender
from bridge.model.quantity import parse_duration, parse_size
from bridge.rulebook.calendars import Span, parse_dates, parse_days, parse_span, public_holidays
from bridge.rulebook.patterns import compile_pattern
from bridge.rulebook.yaml import shown

NOT_YET = frozenset({
    "broadcasts", "audiences",
    "burst", "even_if_human",
    "send", "after", "call", "broadcast",
    "private", "attachments", "quick_replies", "language", "one_of",
})  # fmt: skip
"""Words of the language that this version does not know yet; they are refused by name."""

T = TypeVar("T")


class Form(BaseModel):
    """A mapping in a rule file: unknown keys are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


def _plain(value: object) -> object:
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"must be a text, a number, true or false; not {shown(value)}")
    return value


def _quantity(value: object) -> object:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError(f'must be a number, a duration such as "10m" or a size such as "1 MiB"; not {shown(value)}')
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _name(value: str) -> str:
    if value != value.strip() or not value.isprintable() or not 1 <= len(value) <= 100:
        raise ValueError("is a name of 1 to 100 characters in one line, without blanks around it")
    return value


def _key(value: str) -> str:
    if not value.isidentifier() or len(value) > 100:
        raise ValueError(f'"{value}" is no name for a fact: use letters, digits and "_", no digit first')
    return value


def _written(parse: Callable[[str], object], example: str) -> BeforeValidator:
    """A text that `parse` reads; it raises ValueError for one that it cannot."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError(f'must be written like "{example}", not {shown(value)}')
        return parse(value)

    return BeforeValidator(read)


def _some_time(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than nothing")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(value, sorted(available_timezones())) or ", for example Europe/Kyiv"
        raise ValueError(f'"{value}" is no time zone{hint}') from None
    return value


def _pattern(value: str) -> str:
    compile_pattern(value)
    return value


Plain = Annotated[str | int | float | bool, BeforeValidator(_plain)]
Text = Annotated[str, Field(max_length=20_000), AfterValidator(_text)]
Short = Annotated[str, Field(max_length=500), AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_name)]
Key = Annotated[str, AfterValidator(_key)]
Pattern = Annotated[str, AfterValidator(_text), AfterValidator(_pattern)]
Number = Annotated[str | int | float, BeforeValidator(_quantity)]
OneOrMany = Annotated[list[T], BeforeValidator(_listed), Field(min_length=1, max_length=10_000)]
Size = Annotated[
    int, BeforeValidator(lambda value: parse_size(value) if isinstance(value, str) else value), Field(ge=0)
]
Duration = Annotated[timedelta, _written(parse_duration, "24h"), AfterValidator(_some_time)]


class MatcherForm(Form):
    """What is asked of one field; everything that is written here must hold."""

    is_: Plain | None = Field(None, alias="is")
    in_: OneOrMany[Plain] | None = Field(None, alias="in")
    words: OneOrMany[Short] | None = None
    contains: OneOrMany[Short] | None = None
    starts_with: OneOrMany[Short] | None = None
    ends_with: OneOrMany[Short] | None = None
    matches: Pattern | None = None
    path: OneOrMany[Short] | None = None
    host: OneOrMany[Short] | None = None
    query: dict[str, OneOrMany[Short]] | None = Field(None, min_length=1)
    above: Number | None = None
    below: Number | None = None
    at_least: Number | None = None
    at_most: Number | None = None
    exists: bool | None = None


def _matchers(value: object) -> object:
    """A value alone means `is`, a list means `in`."""
    if isinstance(value, dict):
        if not value:
            raise ValueError("must not be empty")
        return value
    return {"in": value} if isinstance(value, list) else {"is": value}


class WhenForm(Form):
    """Conditions: every line must hold. Any other key is the name of a field."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[MatcherForm, BeforeValidator(_matchers)]] = Field(init=False)

    all_: list["WhenForm"] | None = Field(None, alias="all", min_length=1)
    any_: list["WhenForm"] | None = Field(None, alias="any", min_length=1)
    not_: "WhenForm | None" = Field(None, alias="not")
    if_: Text | None = Field(None, alias="if")

    @model_validator(mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        if value == {}:
            raise ValueError('must not be empty; without "when" a rule always holds')
        return value


class LimitForm(Form):
    times: int = Field(ge=1, le=1000)
    per: Literal["conversation", "contact", "account", "rule"] = "conversation"
    within: Duration | None = None


class ReplyForm(Form):
    text: Text | None = None
    template: Short | None = None
    via: Name | None = None
    to: dict[str, Plain | list[Plain]] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.text is None) == (self.template is None):
            raise ValueError('needs either "text" or "template"' + (", not both" if self.text else ""))
        if self.to is not None and self.via is None:
            raise ValueError('"to" needs "via", the account by which it is sent')
        return self


class ActionForm(Form):
    """One action: the key says which."""

    reply: ReplyForm | None = None
    remember: dict[Key, Plain] | None = Field(None, min_length=1)
    forget: OneOrMany[Key] | None = None
    scope: Literal["conversation", "contact", "account"] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in ("reply", "remember", "forget") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("an action is one of reply, remember, forget" + (f"; not {given}" if given else ""))
        if self.scope is not None and given == ["reply"]:
            raise ValueError('"scope" goes with remember and forget')
        return self


class AttachmentForm(Form):
    name: Short
    type: Short | None = None
    size: Size | None = None


class ContactForm(Form):
    """What is known of the contact in an example; further keys are further facts."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Plain] = Field(init=False)

    id: Short | None = None
    name: Short | None = None
    email: Short | None = None
    phone: Short | None = None
    language: Short | None = None


class EventForm(Form):
    """An event written out, for examples that a single word cannot say."""

    kind: Kind
    sender: Sender = "contact"
    text: str | None = None
    url: str | None = None
    state: Literal["started", "stopped", "expanded", "minimized"] | None = None
    channel: str | None = None
    attachment: AttachmentForm | None = None
    raw: dict[str, object] | None = None


EVENT_WORDS = ("message", "visited", "typing", "ended", "attachment", "event")


class ExpectedReply(Form):
    is_: Text | None = Field(None, alias="is")
    contains: Short | None = None
    starts_with: Short | None = None
    ends_with: Short | None = None
    matches: Pattern | None = None
    via: Name | None = None


class ExpectForm(Form):
    reply: ExpectedReply | None = None
    remember: dict[Key, Plain] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.reply is None and self.remember is None:
            raise ValueError('expects "nothing", a reply or something remembered')
        return self


class ExampleForm(Form):
    message: Text | None = None
    visited: Short | None = None
    typing: Literal["started", "stopped"] | None = None
    ended: Literal[True] | None = None
    attachment: AttachmentForm | None = None
    event: EventForm | None = None
    contact: ContactForm | None = None
    memory: dict[Key, Plain] | None = None
    account: Name | None = None
    url: Short | None = None
    expect: Annotated[
        Annotated[ExpectForm, Tag("mapping")] | Annotated[Literal["nothing"], Tag("word")],
        Discriminator(lambda value: "word" if isinstance(value, str) else "mapping"),
    ]

    @model_validator(mode="after")
    def _one_event(self) -> Self:
        if sum(getattr(self, word) is not None for word in EVENT_WORDS) != 1:
            raise ValueError(f"needs one event: one of {', '.join(EVENT_WORDS)}")
        return self


class RuleForm(Form):
    name: Name
    on: OneOrMany[Kind]
    account: OneOrMany[Name] | None = None
    sender: OneOrMany[Sender] = Field(["contact"])
    when: WhenForm | None = None
    limit: LimitForm | None = None
    do: list[ActionForm] | None = Field(None, min_length=1, max_length=100)
    stop: bool = False
    priority: int = Field(0, ge=-1_000_000, le=1_000_000)
    examples: list[ExampleForm] | None = Field(None, max_length=1000)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.do is None and not self.stop:
            raise ValueError('does nothing: give it "do", or "stop: true"')
        return self


Dates = Annotated[tuple[date, ...], _written(parse_dates, "2026-12-24")]
SpanText = Annotated[tuple[int, int], _written(parse_span, "09:00-17:30")]


class HolidaysForm(Form):
    country: Name
    region: Name | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        public_holidays(self.country, self.region)
        return self


class CalendarForm(Form):
    """`hours` name days ("mon-fri", "sat") and their spans; a day that is not named is closed."""

    timezone: Annotated[str, AfterValidator(_zone)] | None = None
    hours: dict[str, OneOrMany[SpanText]]
    closed: list[Dates] | None = None
    holidays: Annotated[HolidaysForm, BeforeValidator(lambda v: {"country": v} if isinstance(v, str) else v)] | None = (
        None
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

    rules: list[RuleForm] | None = None
    calendars: dict[Name, CalendarForm] | None = None
