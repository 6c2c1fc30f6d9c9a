"""The bridge calls a real Omnidesk: a call of the chat API in one of its three forms, and what the answer says.

Sources: https://docs.omnidesk.io/omnidesk/api-specification/chat for the calls, and
https://docs.omnidesk.io/omnidesk/live-chat/chatbot-integration for the answer with a `ticketID`.
"""

import base64
from collections.abc import Generator, Mapping
from hashlib import blake2b
from urllib.parse import urlencode

import orjson
from msgspec import Struct

from bridge.adapter import answers
from bridge.adapter.answers import excerpt, failure, is_taken
from bridge.adapter.body import read_object
from bridge.adapter.protocol import HttpAnswer, HttpCall, Step
from bridge.errors import Refused
from bridge.model.delivery import Failed, Sent
from bridge.platforms.omnidesk.account import OmnideskAccount
from bridge.platforms.omnidesk.attachment import FIELD, UNNAMED
from bridge.platforms.omnidesk.operations import OPERATIONS

Called = Generator[Step, HttpAnswer, Sent | Failed]

_PATH = "/api/v2/chat/"
_FORM = "application/x-www-form-urlencoded"
_SAFE = frozenset(
    (
        "requestChatConfig", "checkOriginAndIP", "whitelistedDomainsAndBlacklistedIPs", "requestChatQueue",
        "notifyUserNewChatEvent", "notifyUserEndChat",
    )
)  # fmt: skip
"""What does no harm when it is done twice: questions, and what tells how something is now (typing, ended)."""


class File(Struct, frozen=True, kw_only=True):
    """The file of addAttachment. One that came without a name came as base64, and goes on so."""

    name: str
    type: str
    content: bytes


def make(account: OmnideskAccount, name: str, fields: Mapping[str, object], file: File | None = None) -> Called:
    """Make the call of this name; what it found is the answer's JSON object without its `type`."""
    if account.base_url is None or account.api_key is None:
        return never(
            f"accounts.{account.name}: base_url and api_key are missing, and only with them is Omnidesk called"
        )
    call = OPERATIONS[name]
    url, headers, body = f"{account.base_url}{_PATH}{name}", {"apiKey": account.api_key.reveal()}, None
    try:
        if file is not None:
            url, fields = f"{url}?{urlencode(_texts(fields))}", {}
        if call.method == "POST":
            headers["content-type"], body = _encoded(account.call_format, fields, file)
    except orjson.JSONEncodeError as error:
        return never(f"fields: cannot be written as JSON: {error}")
    answer = yield HttpCall(method=call.method, url=url, headers=headers, body=body, safe=name in _SAFE)
    return _understood(answer)


def _understood(answer: HttpAnswer) -> Sent | Failed:
    """Any 2xx means that Omnidesk did its part, unless it says otherwise; the description promises no content."""
    try:
        told: Mapping[str, object] | None = read_object(answer.body)
    except Refused:
        told = None
    if not is_taken(answer) or (told is not None and told.get("status") == "error"):
        words = told.get("message") if told is not None else None
        return failure(answer, words if isinstance(words, str) else None)
    return Sent(found=None if told is None else {key: value for key, value in told.items() if key != "type"})


def needed(outcome: Sent | Failed, answer_to: str) -> Sent | Failed:
    """The outcome of a question, which is none without an answer."""
    if isinstance(outcome, Sent) and outcome.found is None:
        return Failed(reason="unavailable", detail=f"the answer to {answer_to} is no JSON object, or too large")
    return outcome


def never(detail: str) -> Failed:
    """The detail may quote what a chat server sent, of any length."""
    return answers.never(excerpt(detail))


def _encoded(form: str, fields: Mapping[str, object], file: File | None) -> tuple[str, bytes]:
    """The content type and the body."""
    if file is not None and (form != "multipart" or file.name == UNNAMED):
        fields, file = {**fields, FIELD: base64.b64encode(file.content).decode()}, None
    if form == "json":
        return "application/json", orjson.dumps(fields)
    if form == "form":
        return _FORM, urlencode(_texts(fields)).encode()
    return _multipart(_texts(fields), file)


def _texts(fields: Mapping[str, object]) -> dict[str, str]:
    """The values as a form has them; what is no text is written as JSON writes it."""
    return {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in fields.items()}


def _multipart(fields: Mapping[str, str], file: File | None) -> tuple[str, bytes]:
    """A body by RFC 7578, with names escaped as browsers do (https://html.spec.whatwg.org/#multipart-form-data).

    Its boundary is a digest of what it parts, which therefore cannot hold it, and is the same at every attempt.
    """
    parts = [f'name="{_quoted(name)}"\r\n\r\n'.encode() + value.encode() for name, value in fields.items()]
    if file is not None:
        head = f'name="{FIELD}"; filename="{_quoted(file.name)}"\r\nContent-Type: {file.type}\r\n\r\n'
        parts.append(head.encode() + file.content)
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    boundary = digest.hexdigest()
    line = f"--{boundary}\r\nContent-Disposition: form-data; ".encode()
    body = b"".join(line + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
