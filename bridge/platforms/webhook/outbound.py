"""A delivery -> one signed POST to the account's URL."""

from datetime import UTC

import msgspec
import orjson

from bridge.adapter.protocol import Steps
from bridge.model.delivery import Delivery, Failed, Sent
from bridge.platforms.webhook.account import WebhookAccount
from bridge.platforms.webhook.signed import name_of, refusal, signed


def send(delivery: Delivery, account: WebhookAccount) -> Steps:
    """Send the reply with all that it has and all that `to:` says. Every attempt has the same id and body.

    Any 2xx is taken, and 410 means that there is nobody any more.
    """
    if account.url is None:
        detail = f"accounts.{account.name}.url: missing, so there is nowhere to send to; add it, then replay"
        return Failed(reason="refused", detail=detail, permanent=True)
    try:
        body = _body(delivery)
    except orjson.JSONEncodeError as error:
        return Failed(
            reason="invalid",
            detail=f"the reply or its address cannot be written as JSON: {error}"[:300],
            permanent=True,
        )
    answer = yield signed(account, name_of(delivery, account), account.url, body)
    return Sent() if 200 <= answer.status < 300 else refusal(answer)


def _body(delivery: Delivery) -> bytes:
    """Raises orjson.JSONEncodeError where an address has a value that is not JSON's."""
    reply = delivery.reply
    return orjson.dumps(
        {
            "type": "reply",
            "timestamp": delivery.created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": {
                "to": dict(delivery.to),
                "text": _sound(reply.text),
                "format": reply.format,
                "private": reply.private,
                "attachments": msgspec.to_builtins(reply.attachments),
                "quick_replies": [_sound(one) for one in reply.quick_replies],
                "delivery": delivery.id,
                "event": delivery.event,
                "rule": delivery.rule,
            },
        }
    )


def _sound(text: str) -> str:
    """Half a surrogate pair, which no rule should lose a reply for, becomes `?`."""
    return text.encode(errors="replace").decode()
