"""The options of an Omnidesk account: who may call us, how replies go back, and the real Omnidesk that we call."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from bridge.adapter import mapping
from bridge.adapter.account import Account, Duration
from bridge.adapter.base_url import quoted_url
from bridge.adapter.mapping import KnownKind, PathOption
from bridge.adapter.network import NetworkOption
from bridge.adapter.secret import Secret, SecretOption, one_word
from bridge.adapter.signatures import standard_key
from bridge.model.event import Sender

_BASE_URL = re.compile(
    r"(https?)://([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::([0-9]{1,5}))?(/[a-z0-9.:/-]*)?", re.ASCII | re.IGNORECASE
)
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*")
_MESSAGE_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_LONGEST_WAIT = timedelta(seconds=20)
_DEFAULT_PORTS = {"http": 80, "https": 443}

Word = Literal["session", "message", "id", "account_token"]

# Standard Webhooks recommends these two; where Omnidesk's webhooks have the rest is not published.
_WEBHOOK_FIELDS: dict[mapping.Field, str] = {"kind": "type", "at": "timestamp"}


def base_url(text: str) -> str | None:
    """The one spelling of a chat server's base URL (lower-case host, no default port, no `/` at the end), or None.

    Only what the API's own pattern for chatServer can say is a base URL here: no user, query, `_` or `%`.
    """
    found = _BASE_URL.fullmatch(text)
    if found is None:
        return None
    scheme, host, port, path = found[1].lower(), found[2].lower(), found[3], (found[4] or "").rstrip("/")
    # A path with "." or ".." could climb out of an allowed base; "//" hides an empty part.
    if set(path.split("/")[1:]) & {"", ".", ".."} or (port is not None and not 0 < int(port) < 65536):
        return None
    explicit = f":{int(port)}" if port is not None and int(port) != _DEFAULT_PORTS[scheme] else ""
    return f"{scheme}://{host}{explicit}{path}"


def host_name(text: str) -> str | None:
    """The one spelling of a host name: lower case, IDNA's ASCII form, no dot at the end; None for anything else."""
    try:
        host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return None
    return host if len(host) <= 253 and _DOMAIN.fullmatch(host) else None


def _chat_server(text: str) -> str:
    base = base_url(text)
    if base is None:
        raise ValueError(f'{quoted_url(text)} is not a base URL: write for example "https://chat.example.com"')
    return base


def _domain(text: str) -> str:
    wild = "*." if text.startswith("*.") else ""
    host = host_name(text.removeprefix(wild))
    if host is None:
        raise ValueError(f'"{text[:80]}" is not a domain: write for example "shop.example" or "*.shop.example"')
    return wild + host


def _message_path(text: str) -> str:
    if not _MESSAGE_PATH.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise ValueError(f'"{text[:80]}" is not a path: write for example "/messageForCustomer"')
    return text


def _webhook_secret(secret: Secret) -> Secret:
    standard_key(secret)
    return secret


def _short(within: timedelta) -> timedelta:
    if within > _LONGEST_WAIT:
        raise ValueError('must be at most "20s", for a chat server waits for the answer; "0" does not wait')
    return within


Token = Annotated[str, Field(pattern=r"^[a-zA-Z0-9]{10,255}$")]
BaseUrl = Annotated[str, AfterValidator(_chat_server)]
FieldName = Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]


def _guessed_fields() -> dict[Word, str]:
    """The hook's fields are not published; these names are what the rest of the API calls the same things."""
    return {"session": "chatSessionID", "message": "message"}


class OmnideskAccount(Account):
    """A chat server that calls us, a real Omnidesk that we call, and its webhooks: each alone, or together.

    doc.md describes every option.
    """

    platform: Literal["omnidesk"] = "omnidesk"
    chat_account_tokens: list[Token] = Field(default_factory=list)

    # The stand-in for Omnidesk, which chat servers call.
    api_keys: list[SecretOption] = Field(default_factory=list)
    chat_servers: list[BaseUrl] = Field(default_factory=list)
    whitelisted_domains: list[Annotated[str, AfterValidator(_domain)]] = Field(default_factory=list)
    blacklisted_ips: list[NetworkOption] = Field(default_factory=list)
    greeting: str | None = Field(default=None, min_length=1, max_length=2000)
    max_text: int = Field(default=10_000, ge=1, le=100_000)
    ticket_within: Annotated[Duration, AfterValidator(_short)] = timedelta(seconds=3)
    message_path: Annotated[str, AfterValidator(_message_path)] = "/messageForCustomer"
    message_format: Literal["json", "form"] = "json"
    message_fields: dict[Word, FieldName] = Field(default_factory=_guessed_fields)
    message_api_key: SecretOption | None = None

    # The client of a real Omnidesk.
    base_url: BaseUrl | None = None
    api_key: Annotated[SecretOption, one_word("a key")] | None = None
    call_format: Literal["multipart", "form", "json"] = "multipart"
    forward_chat_server: BaseUrl | None = None
    plain_names: bool = True

    # Omnidesk's own webhooks.
    webhook_secrets: list[Annotated[SecretOption, AfterValidator(_webhook_secret)]] = Field(default_factory=list)
    webhook_fields: dict[mapping.Field, PathOption] = Field(default_factory=dict)
    webhook_kinds: dict[str, KnownKind] = Field(default_factory=dict)
    webhook_senders: dict[str, Sender] = Field(default_factory=dict)

    @field_validator("message_fields")
    @classmethod
    def _complete(cls, fields: dict[Word, str], info: ValidationInfo) -> dict[Word, str]:
        for word in ("session", "message"):
            if word not in fields:
                raise ValueError(f'"{word}" is missing: without it a reply cannot be understood')
        if len(set(fields.values())) < len(fields):
            raise ValueError("two values share one field name")
        if "account_token" in fields and not info.data.get("chat_account_tokens"):
            raise ValueError('"account_token" needs a token: put it into chat_account_tokens')
        return fields

    @field_validator("webhook_fields")
    @classmethod
    def _has_no_id(cls, fields: dict[mapping.Field, str]) -> dict[mapping.Field, str]:
        if "id" in fields:
            raise ValueError('"id" is the header webhook-id: leave it out')
        return fields

    @model_validator(mode="after")
    def _can_do_something(self) -> Self:
        if self.api_keys and not self.chat_servers:
            raise ValueError('chat_servers: missing; write for example ["https://chat.example.com"]')
        if self.chat_servers and not self.api_keys:
            raise ValueError('api_keys: missing; write for example [{ env = "SITE_API_KEY" }]')
        if self.base_url is not None and self.api_key is None:
            raise ValueError("api_key: missing; it is made in Omnidesk, with the permission API_CHAT")
        if self.api_key is not None and self.base_url is None:
            raise ValueError('base_url: missing; write for example "https://company.omnidesk.com"')
        if not (self.api_keys or self.api_key or self.webhook_secrets):
            raise ValueError(
                "api_keys and chat_servers (a chat server calls the bridge), base_url and api_key (the bridge calls "
                "Omnidesk) or webhook_secrets (Omnidesk's webhooks): one of these is needed"
            )
        return self

    def webhook_path(self, field: mapping.Field) -> str | None:
        """Where in the body of one of Omnidesk's webhooks the field is, if that is known."""
        return self.webhook_fields.get(field) or _WEBHOOK_FIELDS.get(field)

    def credentials(self) -> tuple[Secret, ...]:
        return tuple(self.api_keys)

    def callback(self, chat_server: str) -> str | None:
        """The base URL to call back for what a request or a `to:` names, or None where chat_servers does not allow it.

        An entry of chat_servers allows itself and every path below it.
        """
        if chat_server in self.chat_servers:
            return chat_server
        base = base_url(chat_server)
        if base is not None and any(base == allowed or base.startswith(allowed + "/") for allowed in self.chat_servers):
            return base
        return None
