"""A delivery -> one signed POST to the account's URL."""

from datetime import UTC

import msgspec
import orjson

from bridge.adapter.answers import is_taken, never
from bridge.adapter.dialect import sound
from bridge.adapter.protocol import Steps
from bridge.adapter.repeat import name_of
from bridge.model.delivery import Delivery, Sent
from bridge.platforms.webhook.account import WebhookAccount
from bridge.platforms.webhook.signed import refusal, signed


def send(delivery: Delivery, account: WebhookAccount) -> Steps:
    """Send the reply with all that it has and all that `to:` says. Every attempt has the same id and body.

    Any 2xx is taken, and 410 means that there is nobody any more.
    """
    if account.url is None:
        missing = f"accounts.{account.name}.url: missing, so there is nowhere to send to; add it, then replay"
        return never(missing, "refused")
    try:
        body = _body(delivery)
    except orjson.JSONEncodeError as error:
        return never(f"the reply or its address cannot be written as JSON: {error}"[:300])
    answer = yield signed(account, name_of(delivery, account), account.url, body)
    return Sent() if is_taken(answer) else refusal(answer)


def _body(delivery: Delivery) -> bytes:
    """Raises orjson.JSONEncodeError where an address has a value that is not JSON's."""
    reply = delivery.reply
    return orjson.dumps(
        {
            "type": "reply",
            "timestamp": delivery.created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": {
                "to": dict(delivery.to),
                "text": sound(reply.text),
                "format": reply.format,
                "private": reply.private,
                "attachments": msgspec.to_builtins(reply.attachments),
                "quick_replies": [sound(one) for one in reply.quick_replies],
                "delivery": delivery.id,
                "event": delivery.event,
                "rule": delivery.rule,
            },
        }
    )
