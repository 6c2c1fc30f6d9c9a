"""The grammar of actions: what stands in `do`, in `then`, and below `after`."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from bridge.model.rule import Unless
from bridge.rulebook.forms import Form, Key, Name, OneOrMany, Plain, Short, Text, Wait, exactly_one, text_as
from bridge.rulebook.yaml import shown

OPERATION = "<platform>.<operation>"
OPERATION_NAME = re.compile(r"[a-z][a-z0-9]{0,29}\.[a-z][a-z0-9_]{0,49}")

To = Annotated[
    dict[str, Plain | list[Plain]],
    Field(min_length=1, max_length=50, description="To whom, in the words of the account's platform."),
]
Via = Annotated[Name, Field(description="The account that does it, by its name in the settings.")]


def _path(value: str) -> str:
    value = value.strip()
    if value in ("", "."):
        return ""
    if not all(value.split(".")) or len(value) > 200:
        raise ValueError(f'{shown(value)} is no path: names or numbers with dots between, such as "ticket.id"')
    return value


def _whole(value: object) -> object:
    """A name alone remembers the whole answer."""
    return {value: ""} if isinstance(value, str) else value


def _operation(value: str) -> str:
    if not OPERATION_NAME.fullmatch(value):
        raise ValueError(f'"{value}" is no operation: write {OPERATION}, for example helpcrunch.assign')
    return value


def _no_arguments(value: object) -> object:
    return {} if value is None else value


_Kept = Annotated[dict[Key, Annotated[str, AfterValidator(_path)]], Field(min_length=1, max_length=50)]
Keep = Annotated[
    _Kept,
    BeforeValidator(_whole, json_schema_input_type=str | dict[str, str]),
    Field(description="What of the answer the conversation remembers. name: path, or one name for the whole."),
]


class WordingForm(Form):
    """One way to say it."""

    model_config = ConfigDict(json_schema_extra=exactly_one(("text", "template")))

    text: Text | None = Field(None, description="A plain text; a template in place: {{ contact.name }}.")
    template: Short | None = Field(None, description="The name of a file in templates/.")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.text is None) == (self.template is None):
            raise ValueError('needs either "text" or "template"' + (", not both" if self.text else ""))
        return self


class SentFileForm(Form):
    """A file to send; both are templates."""

    url: Short = Field(description="Where it is.")
    name: Short | None = Field(None, description="How it is called.")


_WORDINGS = ("text", "template", "one_of")


class ReplyForm(Form):
    """Write to the conversation, or by another account to somebody."""

    model_config = ConfigDict(json_schema_extra=exactly_one(_WORDINGS))

    text: Text | None = Field(None, description="A plain text; a template in place: {{ contact.name }}.")
    template: Short | None = Field(None, description="The name of a file in templates/.")
    one_of: list[Annotated[WordingForm, text_as("text", WordingForm)]] | None = Field(
        None, min_length=1, max_length=100, description="Several ways to say it; a conversation always hears the same."
    )
    via: Via | None = None
    to: To | None = None
    private: bool = Field(False, description="A note for agents, which the contact does not see.")
    attachments: list[Annotated[SentFileForm, text_as("url", SentFileForm)]] | None = Field(
        None, min_length=1, max_length=20, description="Files to send with it, by their URL."
    )
    quick_replies: list[Short] | None = Field(
        None, min_length=1, max_length=50, description="Answers that the contact can choose. Templates."
    )
    language: Short | None = Field(
        None, description='Takes the translation of a template to this language ("uk"), whatever the contact\'s is.'
    )

    @model_validator(mode="after")
    def _said(self) -> Self:
        given = [f'"{key}"' for key in _WORDINGS if getattr(self, key) is not None]
        if len(given) != 1:
            hint = f", not {' and '.join(given)}" if given else ""
            raise ValueError('needs one of "text", "template", "one_of"' + hint)
        if self.to is not None and self.via is None:
            raise ValueError('"to" needs "via", the account by which it is sent')
        if self.language is not None and self.text is not None:
            raise ValueError('"language" goes with a template: it chooses among its translations')
        return self


class SendForm(ReplyForm):
    """Write to somebody else."""

    via: Via
    to: To


class OperationForm(Form):
    """Have a platform do something. Any other key is an argument of the operation."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, object] = Field(init=False)

    via: Via | None = None
    to: To | None = None
    remember: Keep | None = None
    then: list["ActionForm"] | None = Field(
        None, min_length=1, max_length=100, description="What to do once the platform has done its part."
    )


class CallForm(Form):
    """Call an HTTP endpoint, signed by Standard Webhooks."""

    url: Short = Field(description="The endpoint; its host must be one that the account allows.")
    via: Via | None = None
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = Field(
        None, description="POST, if nothing is said."
    )
    headers: dict[Short, Short] | None = Field(None, min_length=1, max_length=20, description="Further headers.")
    body: object = Field(None, description="What is sent as JSON; texts in it are templates.")
    remember: Keep | None = None
    then: list["ActionForm"] | None = Field(
        None, min_length=1, max_length=100, description="What to do once it has answered."
    )


class StartForm(Form):
    """Start a broadcast; its templates know these variables besides those of its audience."""

    name: Name = Field(description="The name of one of `broadcasts`.")
    variables: dict[Key, Plain] | None = Field(None, min_length=1, max_length=100, description="Texts are templates.")


_VERBS = ("reply", "send", "remember", "forget", "call", "broadcast", "after")


class ActionForm(Form):
    """One action: the key says which."""

    reply: ReplyForm | None = None
    send: SendForm | None = None
    remember: dict[Key, Plain] | None = Field(
        None, min_length=1, max_length=100, description="Keep facts. Texts are templates."
    )
    forget: OneOrMany[Key] | None = Field(None, description="Forget facts.")
    scope: Literal["conversation", "contact", "account"] | None = Field(
        None, description="Of remember and forget: whose memory. The conversation's, if nothing is said."
    )
    call: CallForm | None = None
    broadcast: Annotated[StartForm, text_as("name", StartForm)] | None = Field(
        None, description="Start a broadcast: its name, or {name: ..., variables: {...}}."
    )
    after: Wait | None = Field(None, description="Wait so long, then do what stands in do, if the rule still holds.")
    unless: OneOrMany[Unless] | None = Field(
        None, description="Of after: what makes it be forgotten, if it happens in the conversation first."
    )
    do: list["ActionForm"] | None = Field(None, min_length=1, max_length=100, description="Of after: what to do then.")
    operations: dict[
        Annotated[str, AfterValidator(_operation)], Annotated[OperationForm, BeforeValidator(_no_arguments)]
    ] = Field(default_factory=dict, alias=OPERATION)

    @model_validator(mode="before")
    @classmethod
    def _parted(cls, value: object) -> object:
        """A key with a dot in it is an operation of a platform, `{}` or nothing being its arguments."""
        if not isinstance(value, dict) or not any("." in key for key in value):
            return value
        operations = {key: inner for key, inner in value.items() if "." in key}
        rest = {key: inner for key, inner in value.items() if "." not in key}
        return {**rest, OPERATION: operations}

    @property
    def given(self) -> tuple[str, ...]:
        """What it does, in the words of the file: one thing, once it is checked."""
        written = self.model_fields_set
        return (*[verb for verb in _VERBS if verb in written], *self.operations)

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = self.given
        if len(given) != 1:
            hint = f": {', '.join(given)} are an action each, with a dash of its own" if given else ""
            raise ValueError(f"an action is one of {', '.join(_VERBS)} or {OPERATION}{hint}")
        if self.scope is not None and given[0] not in ("remember", "forget"):
            raise ValueError('"scope" goes with remember and forget')
        if self.after is not None and self.do is None:
            raise ValueError('"after" needs "do", beside it: what to do then')
        for key in ("unless", "do"):
            if getattr(self, key) is not None and self.after is None:
                raise ValueError(f'"{key}" goes with "after"')
        return self
