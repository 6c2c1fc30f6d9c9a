"""What a webhook account can do beside replies: call any HTTP endpoint that it may, signed as its replies are."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, Field, field_validator, model_validator

from bridge.adapter.account import Options
from bridge.adapter.answers import is_taken, never
from bridge.adapter.body import read_json
from bridge.adapter.protocol import HttpAnswer, Operation, Steps
from bridge.adapter.repeat import digest, name_of
from bridge.errors import Refused
from bridge.model.delivery import Delivery, Sent
from bridge.model.event import Address
from bridge.platforms.webhook.account import WebhookAccount, check_url, host_of
from bridge.platforms.webhook.signed import Method, refusal, signed

LONGEST_BODY = 256 * 1024
"""Bytes of a body that is sent, as JSON; our own bound."""
LONGEST_ANSWER = 32 * 1024
"""Bytes of an answer's JSON that rules may look into."""
MOST_HEADERS = 20

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}", re.ASCII)
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?", re.ASCII)
# Hop by hop (RFC 9110 section 7.6.1), those that say where a message ends or whom it is for, and those that we set.
_NOT_FOR_RULES = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
        "content-length", "expect", "host", "content-type", "content-encoding", "idempotency-key", "webhook-id",
        "webhook-timestamp", "webhook-signature",
    }
)  # fmt: skip
# Rules are read by many, and shown in traces.
_SECRETS = frozenset({"authorization", "proxy-authorization", "proxy-authenticate", "cookie"})


class Call(Options):
    """A request. `url` is the account's own where none is given; `body` is any JSON."""

    url: Annotated[str, AfterValidator(check_url)] | None = None
    method: Method = "POST"
    headers: dict[str, str] = Field(default_factory=dict, max_length=MOST_HEADERS)
    body: Any = None

    @field_validator("method", mode="before")
    @classmethod
    def _in_capitals(cls, given: object) -> object:
        return given.upper() if isinstance(given, str) else given

    @field_validator("headers")
    @classmethod
    def _may_be_set(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f'"{name[:60]}" is not the name of a header')
            if name.lower() in _SECRETS:
                raise ValueError(
                    f"{name} is a secret, which has no place in a rule: write `authorization` into the account"
                )
            if name.lower() in _NOT_FOR_RULES:
                raise ValueError(f"{name} is not for rules to set")
            if len(value) > 1000 or not _VALUE.fullmatch(value):
                raise ValueError(f"{name}: its value is 1 to 1000 printable ASCII characters")
        return {name.lower(): value for name, value in headers.items()}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.body is not None and self.method == "GET":
            raise ValueError("body: a GET has none; put it into the URL, or write another method")
        self.written()
        return self

    def written(self) -> bytes | None:
        """The body as it is sent. Raises ValueError for what is not JSON, or too long."""
        if self.body is None:
            return None
        try:
            body = orjson.dumps(self.body)
        except orjson.JSONEncodeError as error:
            raise ValueError(f"body: cannot be written as JSON: {error}"[:300]) from None
        if len(body) > LONGEST_BODY:
            raise ValueError(f"body: {len(body)} bytes, at most {LONGEST_BODY} are sent")
        return body


def call(arguments: Call, to: Address, account: WebhookAccount) -> Steps:
    """The same where no delivery gives it a name: equal requests then have the same id."""
    content = orjson.dumps([arguments.method, arguments.url, arguments.headers]) + (arguments.written() or b"")
    return _call(arguments, account, f"{account.name}-{digest(content)}")


def call_of_delivery(arguments: Call, delivery: Delivery, account: WebhookAccount) -> Steps:
    return _call(arguments, account, name_of(delivery, account))


def _call(arguments: Call, account: WebhookAccount, name: str) -> Steps:
    url = arguments.url or account.url
    if url is None:
        return never(f"url: missing; write it in the rule, or into accounts.{account.name}.url", "refused")
    if not account.may_call(host_of(url)):
        where = f"accounts.{account.name}.call_hosts"
        return never(f"url: {host_of(url)} may not be called; if it should, add it to {where}", "refused")
    body, headers = arguments.written(), arguments.headers
    answer = yield signed(account, name, url, body, method=arguments.method, headers=headers)
    if not is_taken(answer):
        return refusal(answer)
    return Sent(found={"status": answer.status, "body": _json(answer)})


def _json(answer: HttpAnswer) -> object:
    """What was answered; None for what is no JSON, too long, or cannot be kept. The call has been made in any case."""
    if len(answer.body) > LONGEST_ANSWER or b"\\u0000" in answer.body:
        return None
    try:
        return read_json(answer.body)
    except Refused:
        return None


OPERATIONS: Mapping[str, Operation[WebhookAccount]] = {
    "call": Operation(
        arguments=Call,
        steps=call,
        of_delivery=call_of_delivery,
        about="Call an HTTP endpoint, signed; its answer may be remembered.",
        finds=("status", "body"),
        always=("status",),
    ),
}
