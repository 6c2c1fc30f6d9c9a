"""The options of an account that stands in for Omnidesk: who may call us, and how replies go back."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from bridge.adapter.account import Account
from bridge.adapter.secret import Secret, SecretOption

_BASE_URL = re.compile(
    r"(https?)://([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::([0-9]{1,5}))?(/[a-z0-9.:/-]*)?", re.ASCII | re.IGNORECASE
)
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*")
_MESSAGE_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAPPED = IPv6Network("::ffff:0:0/96")

Network = IPv4Network | IPv6Network
Word = Literal["session", "message", "id", "account_token"]


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
        # A URL with a user may hold a password.
        shown = "a URL with a user" if "@" in text else f'"{text[:80]}"'
        raise ValueError(f'{shown} is not a base URL: write for example "https://chat.example.com"')
    return base


def _domain(text: str) -> str:
    wild = "*." if text.startswith("*.") else ""
    host = host_name(text.removeprefix(wild))
    if host is None:
        raise ValueError(f'"{text[:80]}" is not a domain: write for example "shop.example" or "*.shop.example"')
    return wild + host


def _network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        network = ip_network(value)
    except ValueError as error:
        raise ValueError(f"{error}: write for example 203.0.113.7 or 203.0.113.0/24") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


def _message_path(text: str) -> str:
    if not _MESSAGE_PATH.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise ValueError(f'"{text[:80]}" is not a path: write for example "/messageForCustomer"')
    return text


Token = Annotated[str, Field(pattern=r"^[a-zA-Z0-9]{10,255}$")]
FieldName = Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]


def _guessed_fields() -> dict[Word, str]:
    """The hook's fields are not published; these names are what the rest of the API calls the same things."""
    return {"session": "chatSessionID", "message": "message"}


class OmnideskAccount(Account):
    """A chat server that speaks the Omnidesk chat API to us. doc.md describes every option."""

    platform: Literal["omnidesk"] = "omnidesk"
    api_keys: list[SecretOption] = Field(min_length=1)
    chat_account_tokens: list[Token] = Field(default_factory=list)
    chat_servers: list[Annotated[str, AfterValidator(_chat_server)]] = Field(min_length=1)
    whitelisted_domains: list[Annotated[str, AfterValidator(_domain)]] = Field(default_factory=list)
    blacklisted_ips: list[Annotated[Network, BeforeValidator(_network)]] = Field(default_factory=list)
    greeting: str | None = Field(default=None, min_length=1, max_length=2000)
    max_text: int = Field(default=10_000, ge=1, le=100_000)
    message_path: Annotated[str, AfterValidator(_message_path)] = "/messageForCustomer"
    message_format: Literal["json", "form"] = "json"
    message_fields: dict[Word, FieldName] = Field(default_factory=_guessed_fields)
    message_api_key: SecretOption | None = None

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
