"""A delivery -> one entry in the visitor's mailbox, which the page reads as a stream."""

import re
from datetime import UTC

from bridge.adapter.protocol import Post, Steps
from bridge.model.delivery import Delivery, Failed, Sent
from bridge.platforms.webchat.account import WebchatAccount

_VISITOR = re.compile(r"[0-9a-f]{32}")


def send(delivery: Delivery, account: WebchatAccount) -> Steps:
    """Put the reply into the mailbox of `to: {visitor: <conversation id>}`, as {text, format, at}.

    The body is the same at every attempt (`at` is when the delivery was made), so a repeat changes nothing.
    """
    visitor = delivery.to.get("visitor")
    if not isinstance(visitor, str) or not _VISITOR.fullmatch(visitor):
        return _never(f"to.visitor: {visitor!r:.80} is not a web chat's conversation id (32 hexadecimal digits)")
    if delivery.reply.private:
        return _never("private: the web chat has no notes that only agents see; leave `private` out")
    body = {
        "text": delivery.reply.text,
        "format": delivery.reply.format,
        "at": delivery.created_at.astimezone(UTC).isoformat(timespec="milliseconds"),
    }
    answer = yield Post(mailbox=visitor, body=body)
    if answer.status != 200:
        return Failed(reason="unavailable", detail=f"the mailbox answered {answer.status}")
    return Sent(reference=str(delivery.id))


def _never(detail: str) -> Failed:
    return Failed(reason="invalid", detail=detail, permanent=True)
