"""`omnidesk.forward`: what a chat server told the bridge is passed on to a real Omnidesk, as it was told."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from bridge.adapter.account import Options
from bridge.adapter.answers import failure
from bridge.adapter.protocol import ReadFile, Steps
from bridge.errors import Refused
from bridge.model.event import Address, Event, Kind
from bridge.platforms.omnidesk.account import OmnideskAccount
from bridge.platforms.omnidesk.body import check_others
from bridge.platforms.omnidesk.calls import File, make, never
from bridge.platforms.omnidesk.fields import Number
from bridge.platforms.omnidesk.operations import OPERATIONS

NAME = "omnidesk.forward"

Notification = Literal[
    "notifyUserNewChatMessage", "notifyUserNewChatEvent", "notifyUserVisited", "notifyUserEndChat", "addAttachment"
]

_CALLS: Mapping[Kind, Notification] = {
    "message": "notifyUserNewChatMessage",
    "typing": "notifyUserNewChatEvent",
    "widget": "notifyUserNewChatEvent",
    "visited": "notifyUserVisited",
    "ended": "notifyUserEndChat",
    "attachment": "addAttachment",
}
_UNKNOWN_TYPE = "application/octet-stream"
_PART_OF_A_WORD = "'\N{RIGHT SINGLE QUOTATION MARK}"


class KeptFile(Options):
    """A file that the bridge keeps."""

    url: str
    name: str


class Forward(Options):
    """All of it comes from the event; a rule need not give anything."""

    call: Notification | None = None
    fields: dict[str, Any] = Field(default_factory=dict)
    file: KeptFile | None = None


def of_event(event: Event) -> Mapping[str, object]:
    """The call that the chat server made, as arguments. Raises ValueError for what is no call of the chat API."""
    call = _CALLS.get(event.kind)
    if event.platform != "omnidesk" or call is None or "chatSessionID" not in event.raw:
        raise ValueError(
            f"only what a chat server told by the Omnidesk chat API is passed on; this is a {event.kind} event of "
            f"{event.platform}"
        )
    if len(event.messages) > 1:
        raise ValueError("several messages are not passed on as one: leave `burst` out of the rule that passes them on")
    given: dict[str, object] = {"call": call, "fields": dict(event.raw)}
    if call == "addAttachment":
        if event.attachment is None or event.attachment.url is None:
            raise ValueError("the event has no file")
        given["file"] = {"url": event.attachment.url, "name": event.attachment.name}
    return given


def forward(arguments: Forward, to: Address, account: OmnideskAccount) -> Steps:
    """Whom it is for stands in the fields: `to` is not read."""
    if arguments.call is None:
        return never("call: missing; what is passed on comes from an event of the Omnidesk chat API")
    try:
        fields = _fields(arguments.call, arguments.fields, account)
    except Refused as refusal:
        return never(refusal.message)
    if arguments.call != "addAttachment":
        return (yield from make(account, arguments.call, fields))
    if arguments.file is None:
        return never("file: missing; addAttachment needs one")
    kept = yield ReadFile(url=arguments.file.url)
    if kept.status != 200:
        why = "is not kept any more" if kept.status == 404 else "cannot be read, or is too large to be passed on"
        return failure(kept, f"the attachment {why}")
    file = File(name=arguments.file.name, type=kept.headers.get("content-type", _UNKNOWN_TYPE), content=kept.body)
    return (yield from make(account, arguments.call, fields, file))


def _fields(call: Notification, sent: dict[str, object], account: OmnideskAccount) -> dict[str, object]:
    """The fields as Omnidesk takes them; those that the description does not name go on too. Raises Refused."""
    known = OPERATIONS[call]
    fields = known.read(sent)
    check_others(sent, known.names)
    if account.forward_chat_server is not None:
        fields["chatServer"] = account.forward_chat_server
    tokens = account.chat_account_tokens
    if "chatAccountToken" in fields and tokens and fields["chatAccountToken"] not in tokens:
        fields["chatAccountToken"] = tokens[0]
    if account.plain_names and "customerName" in fields:
        fields["customerName"] = plain_name(str(fields["customerName"]))
    for one in known.fields:
        number = fields.get(one.name)
        if isinstance(one, Number) and one.most is not None and isinstance(number, int) and number > one.most:
            del fields[one.name]
    others = {name: value for name, value in sent.items() if name not in known.names}
    return {name: value for name, value in {**fields, **others}.items() if value not in (None, "")}


def plain_name(name: str) -> str:
    """A name in the letters of the description's pattern (A-Z, digits, blanks): "Anne-Marie O'Conór" -> "Anne Marie
    OConor". Nothing is left of a name in another script."""
    letters = (c for c in unicodedata.normalize("NFKD", name) if c not in _PART_OF_A_WORD)
    plain = "".join(c if c.isascii() and c.isalnum() else "" if unicodedata.combining(c) else " " for c in letters)
    return " ".join(plain.split())
