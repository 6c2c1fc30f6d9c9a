"""A delivery -> one entry in the visitor's mailbox, which the page reads as a stream."""

import re
from datetime import UTC

from bridge.adapter.ability import unsayable
from bridge.adapter.answers import never
from bridge.adapter.protocol import Ability, Post, Steps
from bridge.model.delivery import Delivery, Failed, Reply, Sent
from bridge.platforms.webchat.account import WebchatAccount

CAN: frozenset[Ability] = frozenset({"attachments", "quick_replies"})
MOST = 20
"""Files and quick replies of one reply, each; more do not fit below a message."""
LONGEST_NAME = 300
LONGEST_CHOICE = 200

_URL = re.compile(r"https?://[^/\s]\S{0,2000}")
_VISITOR = re.compile(r"[0-9a-f]{32}")


def send(delivery: Delivery, account: WebchatAccount) -> Steps:
    """Put the reply into the mailbox of `to: {visitor: <conversation id>}`.

    That is {text, format, at}, and where there are any {attachments: [{name, url}], quick_replies: [text]}; the same
    at every attempt (`at` is when the delivery was made), so a repeat changes nothing.
    """
    visitor = delivery.to.get("visitor")
    if not isinstance(visitor, str) or not _VISITOR.fullmatch(visitor):
        return never(f"to.visitor: {visitor!r:.80} is not a web chat's conversation id (32 hexadecimal digits)")
    if (why := unsayable(delivery.reply, "webchat", CAN)) is not None:
        return never(why)
    try:
        beside = _beside(delivery.reply)
    except ValueError as error:
        return never(str(error))
    body = {
        "text": delivery.reply.text,
        "format": delivery.reply.format,
        "at": delivery.created_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        **beside,
    }
    answer = yield Post(mailbox=visitor, body=body)
    if answer.status != 200:
        return Failed(reason="unavailable", detail=f"the mailbox answered {answer.status}")
    return Sent(reference=str(delivery.id))


def _beside(reply: Reply) -> dict[str, object]:
    """The files, and the quick replies, of which the visitor may send one. Raises ValueError naming a wrong one."""
    for what, given in (("attachments", reply.attachments), ("quick_replies", reply.quick_replies)):
        if len(given) > MOST:
            raise ValueError(f"{what}: {len(given)}, at most {MOST} are shown")
    for number, one in enumerate(reply.attachments):
        if one.url is None or not _URL.fullmatch(one.url):
            raise ValueError(f"attachments.{number}.url: it is an address that begins with http:// or https://")
        if not one.name.strip() or len(one.name) > LONGEST_NAME:
            raise ValueError(f"attachments.{number}.name: it is a text of 1 to {LONGEST_NAME} characters")
    for number, text in enumerate(reply.quick_replies):
        if not text.strip() or len(text) > LONGEST_CHOICE:
            raise ValueError(f"quick_replies.{number}: it is a text of 1 to {LONGEST_CHOICE} characters")
    files = [{"name": one.name, "url": one.url} for one in reply.attachments]
    shown = {"attachments": files, "quick_replies": list(reply.quick_replies)}
    return {name: value for name, value in shown.items() if value}
