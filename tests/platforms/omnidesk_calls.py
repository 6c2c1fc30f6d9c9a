"""Calls of the Omnidesk chat API, with sensible defaults, so that a test says only what it is about."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from bridge.adapter.protocol import Answer, Awaited, Carried, Notice, Standing, Webhook
from bridge.errors import Refused
from bridge.platforms.omnidesk import adapter
from bridge.platforms.omnidesk.account import OmnideskAccount

KEY = "one-of-our-api-keys"
OMNIDESK_KEY = "key-made-in-omnidesk"
TOKEN = "tok1234567890"
SERVER = "https://chat.example.com"
SESSION = "abcdef-0123456789"
NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
STANDING = Standing(online=True, open=5, waiting=2)
JSON = "application/json"

FIELDS: Mapping[str, Mapping[str, object]] = {
    "requestChatConfig": {"chatServer": SERVER, "chatAccountToken": TOKEN},
    "notifyUserNewChatMessage": {
        "chatServer": SERVER,
        "chatSessionID": SESSION,
        "chatAccountToken": TOKEN,
        "message": "How much is it?",
    },
    "notifyUserNewChatEvent": {"chatServer": SERVER, "chatSessionID": SESSION, "event": "startedtyping"},
    "notifyUserVisited": {"chatServer": SERVER, "chatSessionID": SESSION, "url": "https://shop.example/pricing"},
    "notifyUserEndChat": {"chatServer": SERVER, "chatSessionID": SESSION},
    "addAttachment": {"chatServer": SERVER, "chatSessionID": SESSION, "chatAccountToken": TOKEN},
    "checkOriginAndIP": {
        "chatServer": SERVER,
        "chatAccountToken": TOKEN,
        "origin": "shop.example",
        "ip": "198.51.100.7",
    },
    "whitelistedDomainsAndBlacklistedIPs": {},
    "requestChatQueue": {"chatAccountToken": TOKEN},
}
"""The least that each operation takes."""

MESSAGE = "notifyUserNewChatMessage"


def an_account(**options: Any) -> OmnideskAccount:
    given: dict[str, Any] = {"name": "site", "api_keys": [KEY], "chat_servers": [SERVER]}
    return OmnideskAccount.model_validate({**given, **options})


def a_client(url: str = "https://company.omnidesk.com", **options: Any) -> OmnideskAccount:
    """An account that calls a real Omnidesk, and nothing else."""
    given: dict[str, Any] = {"name": "desk", "base_url": url, "api_key": OMNIDESK_KEY, "chat_account_tokens": [TOKEN]}
    return OmnideskAccount.model_validate({**given, **options})


def a_webhook(operation: str, body: bytes = b"", content_type: str = JSON, **changes: Any) -> Webhook:
    given: dict[str, Any] = {
        "method": "GET" if operation == "whitelistedDomainsAndBlacklistedIPs" else "POST",
        "path": f"/api/v2/chat/{operation}",
        "operation": operation,
        "headers": {"apikey": KEY, "content-type": content_type},
        "body": body,
        "received_at": NOON,
    }
    return Webhook(**{**given, **changes})


def a_call(operation: str, **fields: object) -> Webhook:
    """The operation with its least fields, changed by `fields` (None leaves one out), sent as JSON."""
    said = {name: value for name, value in {**FIELDS[operation], **fields}.items() if value is not None}
    if operation != "addAttachment":
        return a_webhook(operation, orjson.dumps(said))
    query = {name: str(value) for name, value in said.items()}
    return a_webhook(operation, orjson.dumps({"file": base64.b64encode(b"bytes").decode()}), query=query)


def parse(webhook: Webhook, **options: Any) -> Notice:
    return adapter.parse(webhook, an_account(**options))


def refusal(webhook: Webhook, **options: Any) -> tuple[int, str]:
    """The status and message with which a call is turned away."""
    with pytest.raises(Refused) as caught:
        adapter.parse(webhook, an_account(**options))
    return caught.value.status, caught.value.message


def answered(notice: Notice, standing: Standing = STANDING) -> Any:
    """The JSON that the caller reads."""
    answer = notice.answer.otherwise if isinstance(notice.answer, Awaited) else notice.answer
    if not isinstance(answer, Answer):
        assert not isinstance(answer, Carried)
        answer = answer(standing)
    assert (answer.status, answer.content_type) == (200, JSON)
    return orjson.loads(answer.body)


def a_form(fields: Mapping[str, str], boundary: str = "b0undary") -> tuple[str, bytes]:
    """A multipart body of plain fields, and its content type."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return f"multipart/form-data; boundary={boundary}", "".join([*parts, f"--{boundary}--\r\n"]).encode()
