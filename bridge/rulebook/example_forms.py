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


Moment = Annotated[
    datetime,
    written(_moment, _AT),
    like(
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)$", f'Write a moment with its time zone, such as "{_AT}".'
    ),
]

EVENT_WORDS = ("message", "visited", "typing", "ended", "attachment", "event")


class AttachmentForm(Form):
    """A file that came; what is not said of it is not known."""

    name: Short = Field(description="Its name.")
    type: Short | None = Field(None, description="Its media type, such as image/png.")
    size: Size | None = Field(None, description="Its size: bytes, or such as 500 kB, 1 MiB.")
    url: Short | None = Field(None, description="Where it is.")


class ContactForm(Form):
    """What is known of the contact in an example; further keys are further facts."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Plain] = Field(init=False)

    id: Short | None = Field(None, description="The platform's own id of the contact.")
    name: Short | None = Field(None, description="The name.")
    email: Short | None = Field(None, description="The e-mail address.")
    phone: Short | None = Field(None, description="The telephone number.")
    language: Short | None = Field(None, description="The language: uk, de.")


class EventForm(Form):
    """An event written out, for examples that a single word cannot say."""

    kind: Kind = Field(description="The kind of event.")
    sender: Sender = Field("contact", description="Who caused it.")
    text: str | None = Field(None, description="What was written.")
    url: str | None = Field(None, description="The page.")
    state: Literal["started", "stopped", "expanded", "minimized"] | None = Field(
        None, description="Of typing: started, stopped. Of the widget: expanded, minimized."
    )
    channel: str | None = Field(None, description="The platform's channel.")
    attachment: AttachmentForm | None = None
    raw: dict[str, object] | None = Field(None, description="What the platform sent, as far as rules ask for it.")


class ExpectedReply(Form):
    """What the reply must be. Upper and lower case make no difference, except in `matches`."""

    is_: Text | None = Field(None, alias="is", description="It says just this.")
    contains: Short | None = Field(None, description="It has this anywhere.")
    starts_with: Short | None = Field(None, description="It begins with this.")
    ends_with: Short | None = Field(None, description="It ends with this.")
    matches: Pattern | None = Field(None, description="This RE2 pattern is found in it.")
    via: Name | None = Field(None, description="The account that sends it.")


class ExpectForm(Form):
    """What must come of it: a reply, something remembered, or both."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    reply: ExpectedReply | None = None
    remember: dict[Key, Plain] | None = Field(None, min_length=1, description="This is remembered.")

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
    typing: Literal["started", "stopped"] | None = Field(None, description="The contact began to type, or stopped.")
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
