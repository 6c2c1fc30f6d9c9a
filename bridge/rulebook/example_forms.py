"""The grammar of examples: an event, and what is expected to come of it."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from bridge.model.event import Kind, Sender
from bridge.rulebook.forms import Form, Key, Name, Pattern, Plain, Short, Size, Text, exactly_one, like, written
from bridge.rulebook.yaml import shown

_AT = "2026-03-27T10:00+02:00"


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f'{shown(value)} is no moment: write for example "{_AT}"') from None
    if moment.tzinfo is None:
        raise ValueError(f'{shown(value)} does not say in which time zone: end it with "+02:00" or with "Z"')
    if not 1970 <= moment.year < 2200:
        raise ValueError(f"{shown(value)} is not between 1970 and 2199")
    return moment.astimezone(UTC)


Moment = Annotated[datetime, written(_moment, _AT), like("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)$")]

EVENT_WORDS = ("message", "visited", "typing", "ended", "attachment", "event")


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


class ExpectedReply(Form):
    """What the reply must be. Upper and lower case make no difference, except in `matches`."""

    is_: Text | None = Field(None, alias="is")
    contains: Short | None = None
    starts_with: Short | None = None
    ends_with: Short | None = None
    matches: Pattern | None = None
    via: Name | None = None


class ExpectForm(Form):
    """What must come of it: a reply, something remembered, or both."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    reply: ExpectedReply | None = None
    remember: dict[Key, Plain] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.reply is None and self.remember is None:
            raise ValueError('expects "nothing", a reply or something remembered')
        return self


class ExampleForm(Form):
    """One event and what is expected of it; `replybridge check` tries it."""

    model_config = ConfigDict(json_schema_extra=exactly_one(EVENT_WORDS))

    message: Text | None = Field(None, description="The contact wrote this.")
    visited: Short | None = Field(None, description="The contact opened this page.")
    typing: Literal["started", "stopped"] | None = None
    ended: Literal[True] | None = Field(None, description="The chat ended.")
    attachment: AttachmentForm | None = Field(None, description="The contact sent a file.")
    event: EventForm | None = Field(None, description="Anything else.")
    contact: ContactForm | None = Field(None, description="What is known of the contact.")
    memory: dict[Key, Plain] | None = Field(None, description="What is remembered for the conversation before.")
    account: Name | None = Field(None, description="The account the event comes from.")
    url: Short | None = Field(None, description="The page where the contact is.")
    at: Moment | None = Field(None, description="When it happens: 2026-03-27T10:00+02:00.")
    expect: Annotated[
        Annotated[ExpectForm, Tag("mapping")] | Annotated[Literal["nothing"], Tag("word")],
        Discriminator(lambda value: "word" if isinstance(value, str) else "mapping"),
    ] = Field(description="nothing, or a reply, or something remembered.")

    @model_validator(mode="after")
    def _one_event(self) -> Self:
        if sum(getattr(self, word) is not None for word in EVENT_WORDS) != 1:
            raise ValueError(f"needs one event: one of {', '.join(EVENT_WORDS)}")
        return self
