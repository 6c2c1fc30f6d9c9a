"""The grammar of `*.test.yaml`: a conversation, step by step, and what has to come of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from bridge.rulebook.action_forms import OPERATION, OPERATION_NAME
from bridge.rulebook.build import CALL
from bridge.rulebook.example_forms import AttachmentForm, ContactForm, EventForm, ExpectedReply
from bridge.rulebook.forms import (
    Form,
    Key,
    Name,
    OneOrMany,
    Plain,
    Short,
    Text,
    Wait,
    exactly_one,
    like,
    text_as,
    written,
)
from bridge.rulebook.yaml import shown

HAPPENINGS = ("message", "visited", "typing", "ended", "attachment", "event", "agent", "bot")
"""The steps in which something happens in a conversation."""
STEPS = (*HAPPENINGS, "wait", "at", "expect")
_AT = "2026-03-27T10:00+02:00"
_MOMENT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9:]+)?$"


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f'{shown(value)} is no moment: write for example "{_AT}" or "2026-03-27T10:00"') from None
    if not 1970 <= moment.year < 2200:
        raise ValueError(f"{shown(value)} is not between 1970 and 2199")
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


def _operation(value: str) -> str:
    if value == "call":
        return CALL
    if not OPERATION_NAME.fullmatch(value):
        raise ValueError(f'"{value}" is no operation: write {OPERATION}, for example helpcrunch.assign, or call')
    return value


def _with_arguments(value: object) -> object:
    """The name alone asks for no argument."""
    return {value: {}} if isinstance(value, str) else value


def _word_or(other: str) -> Discriminator:
    return Discriminator(lambda value: "word" if value == "nothing" else other)


MomentOrLocal = Annotated[
    datetime, written(_moment, _AT), like(_MOMENT, f'Write a moment such as "{_AT}", or "2026-03-27T10:00".')
]
"""A moment; without a time zone it is meant in that of the settings."""
Operation = Annotated[str, AfterValidator(_operation)]
Nothing = Annotated[Literal["nothing"], Tag("word")]


class SaidForm(ExpectedReply):
    """What a message must be; all that is written here must hold. `via` is the account that sends it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    quick_replies: list[Text] | None = Field(None, description="The choices it offers, all of them in order.")
    attachments: list[Text] | None = Field(None, description="The addresses of its files, all of them in order.")
    private: bool | None = Field(None, description="true: it is a note for agents.")
    to: dict[str, object] | None = Field(None, min_length=1, description="Whom it is for: these parts of the address.")
    rule: Name | None = Field(None, description="The rule that says it.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must say what is expected of it, for example {contains: price}")
        return self


Said = Annotated[SaidForm, text_as("is", SaidForm)]


def _several(value: object) -> str:
    if value == "nothing":
        return "word"
    return "list" if isinstance(value, list) else "one"


Messages = Annotated[
    Annotated[Said, Tag("one")] | Annotated[list[Said], Field(min_length=1), Tag("list")] | Nothing,
    Discriminator(_several),
]
Broadcasts = Annotated[
    dict[Name, dict[Key, Plain]],
    Field(min_length=1),
    BeforeValidator(_with_arguments, json_schema_input_type=str | dict[str, dict[str, Plain]]),
]
Operations = Annotated[dict[Operation, dict[str, object]], Field(min_length=1), BeforeValidator(_with_arguments)]


class ExpectedForm(Form):
    """What must have come since the last `expect`; everything that is written here must hold."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    reply: Messages | None = Field(
        None, description="One of the messages is this; a list: these are the messages, in this order; or nothing."
    )
    send: Messages | None = Field(None, description="The same, of messages to somebody who is named by `to`.")
    operation: Annotated[Annotated[Operations, Tag("some")] | Nothing, _word_or("some")] | None = Field(
        None, description="These operations are done, with these arguments among theirs; or nothing."
    )
    broadcast: Annotated[Annotated[Broadcasts, Tag("some")] | Nothing, _word_or("some")] | None = Field(
        None, description="These broadcasts are started, with these variables among theirs; or nothing."
    )
    rule: OneOrMany[Name] | None = Field(None, description="These rules fired.")
    remember: dict[Key, Plain] | None = Field(None, min_length=1, description="This is remembered now.")
    forget: OneOrMany[Key] | None = Field(None, description="Nothing is remembered under these names now.")
    scope: Literal["conversation", "contact", "account"] | None = Field(
        None, description="Of remember and forget: whose memory. The conversation's, if nothing is said."
    )

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.model_fields_set - {"scope"}:
            raise ValueError('expects "nothing", or one of reply, send, operation, broadcast, rule, remember, forget')
        if self.scope is not None and self.remember is None and self.forget is None:
            raise ValueError('"scope" goes with remember and forget')
        return self


class StepForm(Form):
    """One step: something happens, time goes on, or something is expected of what came."""

    model_config = ConfigDict(json_schema_extra=exactly_one(STEPS))

    message: Text | None = Field(None, description="The contact writes this.")
    visited: Short | None = Field(None, description="The contact opens this page.")
    typing: Literal["started", "stopped"] | None = Field(None, description="The contact begins to type, or stops.")
    ended: Literal[True] | None = Field(None, description="The chat ends.")
    attachment: AttachmentForm | None = Field(None, description="The contact sends a file.")
    event: EventForm | None = Field(None, description="Anything else happens.")
    agent: Text | None = Field(None, description="An agent writes this.")
    bot: Text | None = Field(None, description="Another bot writes this.")
    wait: Wait | None = Field(None, description="So much time goes by.")
    at: MomentOrLocal | None = Field(None, description="Time goes on until this moment.")
    expect: Annotated[Annotated[ExpectedForm, Tag("some")] | Nothing, _word_or("some")] | None = Field(
        None, description="What has come since the last expect: nothing, or a reply, an operation, a memory."
    )
    conversation: Name | None = Field(None, description="In which conversation, where a test has several.")
    contact: ContactForm | None = Field(None, description="What is known of the contact from now on.")
    account: Name | None = Field(None, description="The account to which it happens.")
    url: Short | None = Field(None, description="The page where the contact is.")

    @property
    def word(self) -> str:
        """What the step is, once it is checked."""
        return next(word for word in STEPS if getattr(self, word) is not None)

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [word for word in STEPS if getattr(self, word) is not None]
        if len(given) != 1:
            hint = f": {', '.join(given)} are a step each, with a dash of its own" if given else ""
            raise ValueError(f"a step is one of {', '.join(STEPS)}{hint}")
        beside = {"expect": ("contact", "url"), "wait": _BESIDE, "at": _BESIDE}.get(given[0], ())
        for key in beside:
            if getattr(self, key) is not None:
                raise ValueError(f'"{key}" does not go with "{given[0]}"')
        return self


_BESIDE = ("conversation", "contact", "account", "url")


class SceneForm(Form):
    """One test."""

    name: Name = Field(description="Unique among the tests; shown where it fails.")
    at: MomentOrLocal | None = Field(None, description=f"When it begins: {_AT}, or local time without the +02:00.")
    account: Name | None = Field(None, description="The account to which all of it happens, unless a step says other.")
    contact: ContactForm | None = Field(None, description="What is known of the contact.")
    memory: dict[Key, Plain] | None = Field(None, description="What is remembered for the conversation before.")
    answers: dict[Operation, object] | None = Field(
        None, min_length=1, description="What operations find: helpcrunch.customer: {id: 17}."
    )
    steps: list[StepForm] = Field(
        min_length=1,
        max_length=10_000,
        description="What happens, one thing after the other, and what has to come of it.",
    )

    @model_validator(mode="after")
    def _expects(self) -> Self:
        if all(step.expect is None for step in self.steps):
            raise ValueError('expects nothing of all that happens: add a step "expect"')
        return self


class SceneFileForm(Form):
    """A file of tests."""

    tests: list[SceneForm] = Field(description="Conversations, each with what has to come of it.")


def plain(form: Form) -> Mapping[str, object]:
    """What was written, without what was left out."""
    return form.model_dump(by_alias=True, exclude_unset=True)
