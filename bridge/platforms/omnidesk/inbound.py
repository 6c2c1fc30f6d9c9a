"""What a chat server calls -> events, and the answers it reads. The operations are in operations.py.

Calls name an operation in their path; Omnidesk's own webhooks (webhooks.py) come by another path, which has none.
"""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from typing import Any

import orjson
from msgspec import Struct
from msgspec.structs import replace

from bridge.adapter.protocol import Answer, Awaited, Notice, Webhook
from bridge.adapter.repeat import REPEAT_WITHIN
from bridge.adapter.secret import any_is
from bridge.errors import Refused
from bridge.model.event import NOBODY, Attachment, Contact, Event, Kind
from bridge.platforms.omnidesk import answers
from bridge.platforms.omnidesk.account import OmnideskAccount
from bridge.platforms.omnidesk.attachment import FIELD, file_size, merge, take_file
from bridge.platforms.omnidesk.body import LARGEST, Body, check_others, read_body
from bridge.platforms.omnidesk.fields import shorten
from bridge.platforms.omnidesk.forward import NAME as FORWARD
from bridge.platforms.omnidesk.operations import find
from bridge.platforms.omnidesk.webhooks import parse_webhook, verify_webhook

_LIVE_CHAT = 8
_KEY_HEADER, _KEY_QUERY = "apikey", "apiKey"
_STATES: Mapping[str, tuple[Kind, str]] = {
    "startedtyping": ("typing", "started"),
    "stoppedtyping": ("typing", "stopped"),
    "expandedchat": ("widget", "expanded"),
    "minimizedchat": ("widget", "minimized"),
}
_NOTED = answers.result("Event noted.")
_VISITED = answers.result("Visit noted.")
_ENDED = answers.result("Chat ended.")
_ADDED = answers.result("Attachment added.")


class Call(Struct, frozen=True, kw_only=True):
    """One checked call: `said` are the fields the operation knows, `raw` all that were sent."""

    webhook: Webhook
    account: OmnideskAccount
    said: dict[str, Any]
    raw: dict[str, object]
    body: Body
    chat_server: str = ""


def credential(webhook: Webhook) -> str | None:
    """The API key: the header `apiKey`, or the query parameter of that name where there is no such header."""
    return webhook.headers.get(_KEY_HEADER) or webhook.query.get(_KEY_QUERY) or None


def verify(webhook: Webhook, account: OmnideskAccount) -> None:
    """Raises Refused(401) unless the call carries one of the account's API keys; a webhook has a signature instead."""
    if not webhook.operation:
        verify_webhook(webhook, account)
        return
    given = credential(webhook)
    if given is None:
        raise Refused(401, "apiKey: missing; send the header apiKey")
    if not any_is(account.api_keys, given):
        raise Refused(401, "apiKey: wrong; it is none of the account's api_keys")


def parse(webhook: Webhook, account: OmnideskAccount) -> Notice:
    """One call -> its event, if it has one, and its answer.

    Raises Refused: 400 naming the field, 404 for an unknown operation, 405 for a wrong method, 413, 415.
    """
    if not webhook.operation:
        return parse_webhook(webhook, account)
    operation = find(webhook.operation, webhook.method)
    if operation.file is None:
        _check_size(len(webhook.body))
    body = read_body(webhook.headers.get("content-type", ""), webhook.body) if operation.method == "POST" else Body()
    given = body.fields
    if operation.file is not None:
        _check_size(len(webhook.body) - file_size(body))
        given = merge(dict(webhook.query), body)
    # Events are stored and shown, and the key must not be in them, wherever in the call it was put.
    given.pop(_KEY_QUERY, None)
    for name in body.files:
        if operation.file is None or name != operation.file.name:
            raise Refused(400, f"{shorten(name)[1:-1]}: a file is given where a text is expected")
    said = operation.read(given)
    check_others(given, operation.names)
    call = Call(
        webhook=webhook,
        account=account,
        said=said,
        raw=given,
        body=body,
        chat_server=_check_caller(said, account),
    )
    return _MEANINGS[operation.name](call)


def _check_caller(said: Mapping[str, Any], account: OmnideskAccount) -> str:
    """The base URL of the chat server, which must be one that may be called back. Raises Refused(400)."""
    token = said.get("chatAccountToken")
    if token is not None and account.chat_account_tokens and token not in account.chat_account_tokens:
        raise Refused(400, "chatAccountToken: not one of the account's chat_account_tokens")
    named = said.get("chatServer")
    if named is None:
        return ""
    base = account.callback(named)
    if base is None:
        raise Refused(400, f"chatServer: {shorten(named)} is not allowed; to allow it, add it to chat_servers")
    return base


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise Refused(413, f"body: {size} bytes of fields, at most {LARGEST} are taken")


def _message(call: Call) -> Notice:
    said = call.said
    text, number = said["message"], said.get("messageNumber")
    if len(text) > call.account.max_text:
        raise Refused(400, f"message: {len(text)} characters, at most {call.account.max_text} are taken (max_text)")
    # Control characters are refused in every field, so NUL keeps the three apart.
    key = None if number is None else _digest(f"{said['chatSessionID']}\0{number}\0{text}".encode())
    event = _event(
        call,
        "message",
        key=key,
        contact=Contact(name=said.get("customerName"), email=said.get("emailAddress"), phone=said.get("phoneNumber")),
        text=text,
        url=said.get("url"),
        channel=str(said.get("channelID", _LIVE_CHAT)),
    )
    return Notice(events=(event,), answer=_with_ticket(call))


def _with_ticket(call: Call) -> Answer | Awaited:
    """The answer to a message: with Omnidesk's own ticket, where a rule passes the message on and it comes in time."""
    sent, within = answers.message_sent(call.said["chatSessionID"]), call.account.ticket_within
    if not within:
        return sent
    return Awaited(
        operation=FORWARD, within=within.total_seconds(), answer=partial(answers.forwarded, sent), otherwise=sent
    )


def _chat_event(call: Call) -> Notice:
    kind, state = _STATES[call.said["event"]]
    return Notice(events=(_event(call, kind, state=state),), answer=_NOTED)


def _visited(call: Call) -> Notice:
    return Notice(events=(_event(call, "visited", url=call.said["url"]),), answer=_VISITED)


def _ended(call: Call) -> Notice:
    return Notice(events=(_event(call, "ended"),), answer=_ENDED)


def _attachment(call: Call) -> Notice:
    upload = take_file(call.body)
    raw = {name: value for name, value in call.raw.items() if name != FIELD}
    call = replace(call, raw=raw)
    event = _event(
        call,
        "attachment",
        content=(upload.name.encode(), upload.content),
        contact=Contact(phone=call.said.get("phoneNumber")),
        attachment=Attachment(name=upload.name, size=len(upload.content)),
    )
    return Notice(events=(event,), uploads=(upload,), answer=_ADDED)


def _check(call: Call) -> Notice:
    return Notice(answer=answers.check(call.account, call.said["origin"], call.said["ip"]))


_MEANINGS: Mapping[str, Callable[[Call], Notice]] = {
    "requestChatConfig": lambda call: Notice(answer=answers.config(call.account)),
    "notifyUserNewChatMessage": _message,
    "notifyUserNewChatEvent": _chat_event,
    "notifyUserVisited": _visited,
    "notifyUserEndChat": _ended,
    "addAttachment": _attachment,
    "checkOriginAndIP": _check,
    "whitelistedDomainsAndBlacklistedIPs": lambda call: Notice(answer=answers.lists(call.account)),
    "requestChatQueue": lambda call: Notice(answer=answers.queue),
}


def _event(
    call: Call,
    kind: Kind,
    *,
    key: str | None = None,
    content: tuple[bytes, ...] = (),
    contact: Contact = NOBODY,
    text: str | None = None,
    url: str | None = None,
    state: str | None = None,
    channel: str | None = None,
    attachment: Attachment | None = None,
) -> Event:
    """Without a `key`, the fields and further `content` make one, and counts as a repeat for a short time only."""
    session = call.said["chatSessionID"]
    return Event(
        account=call.account.name,
        platform="omnidesk",
        kind=kind,
        sender="contact",
        conversation=session,
        key=f"{kind}:{key or _digest(_canonical(call.raw), *content)}",
        at=call.webhook.received_at,
        repeat_within=None if key else REPEAT_WITHIN,
        address={"session": session, "chat_server": call.chat_server},
        contact=contact,
        text=text,
        url=url,
        state=state,
        channel=channel,
        attachment=attachment,
        raw=call.raw,
    )


def _canonical(fields: dict[str, object]) -> bytes:
    """The fields as bytes: the same for a multipart body and its repeat, which has another boundary."""
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def _digest(*parts: bytes) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(b"%d:%b" % (len(part), part))
    return digest.hexdigest()
