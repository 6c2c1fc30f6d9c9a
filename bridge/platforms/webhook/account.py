"""The options of a webhook account: who may send to it, where in a body things are, and where replies go."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator
from pydantic import Field as Option

from bridge.adapter.account import Account
from bridge.adapter.secret import Secret, SecretOption
from bridge.adapter.signatures import standard_key
from bridge.platforms.webhook.fields import PATH, Field, Scheme, default_paths

_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?][!-~]*)?", re.ASCII)

KnownKind = Literal[
    "message", "typing", "visited", "ended", "opened", "attachment", "widget", "assigned", "rated", "contact", "other"
]


def _secret(secret: Secret) -> Secret:
    standard_key(secret)
    if not secret.reveal().isascii() or not secret.reveal().isprintable():
        raise ValueError("a secret has no line ends or letters outside ASCII: copy it again")
    return secret


def _url(text: str) -> str:
    if not _URL.fullmatch(text) or "#" in text:
        shown = "a URL with a user" if "@" in text else f'"{text[:80]}"'
        raise ValueError(f'{shown} is not a URL to send to: write for example "https://crm.example/in"')
    return text


def _path(text: str) -> str:
    if not PATH.fullmatch(text):
        raise ValueError(f'"{text[:80]}" is not a path: write names joined by dots, for example "data.ticket.id"')
    return text


class WebhookAccount(Account):
    """Anything that can POST. doc.md describes every option."""

    platform: Literal["webhook"] = "webhook"
    scheme: Scheme = "standard"
    secrets: list[Annotated[SecretOption, AfterValidator(_secret)]] = Option(min_length=1)
    header: str = Option(default="authorization", pattern=r"^[a-z0-9-]{1,100}$")
    url: Annotated[str, AfterValidator(_url)] | None = None
    fields: dict[Field, Annotated[str, AfterValidator(_path)]] = Option(default_factory=dict)
    kinds: dict[str, KnownKind] = Option(default_factory=dict)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if "id" in self.fields and self.scheme != "header":
            raise ValueError(
                'fields.id: with this scheme the sender\'s own id is used; leave it out, or scheme = "header"'
            )
        if self.scheme == "standard" and self.header != "authorization":
            raise ValueError('header: Standard Webhooks has its own headers; leave it out, or scheme = "header"')
        return self

    def path(self, field: Field) -> str:
        """Where in a body the field is."""
        return self.fields.get(field) or default_paths(self.scheme)[field]
