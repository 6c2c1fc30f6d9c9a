"""A delivery -> one POST to the account's URL, signed by Standard Webhooks 1.0.0.

The spec: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. The header
`Idempotency-Key` follows the draft https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/.
"""

from datetime import UTC, datetime

import orjson

from bridge.adapter.answers import excerpt, failure
from bridge.adapter.protocol import SignedCall, Steps
from bridge.adapter.signatures import sign_standard
from bridge.clock import to_ms
from bridge.model.delivery import Delivery, Failed, Sent
from bridge.platforms.webhook.account import WebhookAccount


def send(delivery: Delivery, account: WebhookAccount) -> Steps:
    """Send the reply with all that `to:` says. Every attempt has the same id and body; its signature has its own time.

    Any 2xx is taken, and 410 means that there is nobody any more. 409 means that an earlier attempt is still at work
    there (the draft says so), so it is tried again.
    """
    if account.url is None:
        detail = f"accounts.{account.name}.url: missing, so there is nowhere to send to; add it, then replay"
        return Failed(reason="refused", detail=detail, permanent=True)
    try:
        body = _body(delivery)
    except orjson.JSONEncodeError as error:
        return Failed(reason="invalid", detail=f"to: cannot be written as JSON: {error}"[:300], permanent=True)
    name = _name(delivery, account)

    def sign(at: datetime) -> dict[str, str]:
        return sign_standard(account.secrets, name, at, body)

    headers = {"content-type": "application/json", "idempotency-key": f'"{name}"'}
    answer = yield SignedCall(method="POST", url=account.url, headers=headers, body=body, sign=sign)
    if 200 <= answer.status < 300:
        return Sent()
    if answer.status == 409:
        return Failed(reason="unavailable", detail=f"409: {excerpt(answer.body) or 'no explanation'}")
    return failure(answer)


def _name(delivery: Delivery, account: WebhookAccount) -> str:
    """The same at every attempt, and another for the same number in a store that was begun anew."""
    return f"{account.name}-{delivery.id}-{to_ms(delivery.created_at)}"


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
                "delivery": delivery.id,
                "event": delivery.event,
                "rule": delivery.rule,
            },
        }
    )


def _sound(text: str) -> str:
    """Half a surrogate pair, which no rule should lose a reply for, becomes `?`."""
    return text.encode(errors="replace").decode()
