"""The options of a webhook account: who may send to it, where in a body things are, and where replies go."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator
from pydantic import Field as Option

from bridge.adapter.account import Account
from bridge.adapter.base_url import quoted_url
from bridge.adapter.mapping import Field, KnownKind, PathOption
from bridge.adapter.secret import Secret, SecretOption
from bridge.adapter.signatures import standard_key
from bridge.platforms.webhook.fields import Scheme, default_paths

LONGEST_URL = 4000

_UPWARDS = re.compile(r"[/\\](?:\.|%2e){1,2}(?:[/\\]|\Z)", re.IGNORECASE)
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::(?P<port>[0-9]{1,5}))?(?:[/?][!-~]*)?", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", re.ASCII)
_TOKEN = re.compile(r"[!-~]( ?[!-~])*", re.ASCII)


def _secret(secret: Secret) -> Secret:
    standard_key(secret)
    if not secret.reveal().isascii() or not secret.reveal().isprintable():
        raise ValueError("a secret has no line ends or letters outside ASCII: copy it again")
    return secret


def _authorization(secret: Secret) -> Secret:
    if not _TOKEN.fullmatch(secret.reveal()):
        raise ValueError("a header has no line ends or letters outside ASCII: write for example Bearer and a token")
    return secret


def check_url(text: str) -> str:
    """Raises ValueError for what is no absolute http or https URL."""
    found = _URL.fullmatch(text) if len(text) <= LONGEST_URL and "#" not in text else None
    if found is None or not 0 < int(found["port"] or 443) < 65536:
        raise ValueError(f'{quoted_url(text)} is not a URL to send to: write for example "https://crm.example/in"')
    if _UPWARDS.search(text.partition("?")[0]):
        # A customer's "../admin" in a template's URL would lead to another endpoint than the rule's author meant.
        raise ValueError(f'"{text[:80]}" has a part "." or "..": give what comes from customers the filter urlencode')
    return text


def host_of(url: str) -> str:
    """The host of a checked URL, in lower case."""
    return urlsplit(url).hostname or ""


def _is_plainly_inside(host: str) -> bool:
    """Whether that can be told without looking the name up, which the door does at each call."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _host(text: str) -> str:
    host = text.lower()
    if not _HOST.fullmatch(host):
        raise ValueError(f'"{text[:80]}" is not a host: write its name alone, for example "crm.internal"')
    return host


def _hosts(text: str) -> str:
    host = text.lower()
    if host != "*" and not _HOST.fullmatch(host.removeprefix("*.")):
        raise ValueError(
            f'"{text[:80]}" is not a host: write "api.example.com", "*.example.com", or "*" for all public ones'
        )
    return host


class WebhookAccount(Account):
    """Anything that can POST. doc.md describes every option."""

    platform: Literal["webhook"] = "webhook"
    scheme: Scheme = "standard"
    secrets: list[Annotated[SecretOption, AfterValidator(_secret)]] = Option(min_length=1)
    header: str = Option(default="authorization", pattern=r"^[a-z0-9-]{1,100}$")
    url: Annotated[str, AfterValidator(check_url)] | None = None
    authorization: Annotated[SecretOption, AfterValidator(_authorization)] | None = None
    call_hosts: list[Annotated[str, AfterValidator(_hosts)]] = Option(default_factory=list)
    internal_hosts: list[Annotated[str, AfterValidator(_host)]] = Option(default_factory=list)
    fields: dict[Field, PathOption] = Option(default_factory=dict)
    kinds: dict[str, KnownKind] = Option(default_factory=dict)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if "id" in self.fields and self.scheme != "header":
            raise ValueError(
                'fields.id: with this scheme the sender\'s own id is used; leave it out, or scheme = "header"'
            )
        if self.scheme == "standard" and self.header != "authorization":
            raise ValueError('header: Standard Webhooks has its own headers; leave it out, or scheme = "header"')
        host = host_of(self.url) if self.url is not None else ""
        if _is_plainly_inside(host) and not self.may_be_inside(host):
            raise ValueError(
                f'url: {host} is not a public address; if it should be called, internal_hosts = ["{host}"]'
            )
        return self

    def may_call(self, host: str) -> bool:
        """Whether rules may call this host: the one of `url`, or one of the lists."""
        return (
            (self.url is not None and host == host_of(self.url))
            or host in self.internal_hosts
            or any(
                allowed in ("*", host) or (allowed.startswith("*.") and host.endswith(allowed[1:]))
                for allowed in self.call_hosts
            )
        )

    def may_be_inside(self, host: str) -> bool:
        return host in self.internal_hosts

    def path(self, field: Field) -> str:
        """Where in a body the field is."""
        return self.fields.get(field) or default_paths(self.scheme)[field]
