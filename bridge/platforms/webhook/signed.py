"""One request that goes out, signed by Standard Webhooks 1.0.0 and kept from leading inside.

The spec: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. The header
`Idempotency-Key` follows the draft https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from bridge.adapter.answers import excerpt, failure
from bridge.adapter.protocol import HttpAnswer, SignedCall
from bridge.adapter.signatures import sign_standard
from bridge.model.delivery import Failed
from bridge.platforms.webhook.account import WebhookAccount, host_of

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


def signed(
    account: WebhookAccount,
    name: str,
    url: str,
    body: bytes | None,
    *,
    method: Method = "POST",
    headers: Mapping[str, str] | None = None,
) -> SignedCall:
    """The request, of the webhook id `name`, with a signature of its own time at every attempt.

    `authorization` is for the account's own receiver only: the same scheme, host and port as `url`.
    """
    said = {**(headers or {}), "idempotency-key": f'"{name}"'}
    if body is not None:
        said["content-type"] = "application/json"
    if account.authorization is not None and account.url is not None and _origin(url) == _origin(account.url):
        said["authorization"] = account.authorization.reveal()

    def sign(at: datetime) -> dict[str, str]:
        return sign_standard(account.secrets, name, at, body or b"")

    return SignedCall(
        method=method,
        url=url,
        headers=said,
        body=body,
        sign=sign,
        safe=method in ("GET", "PUT", "DELETE"),
        guarded=not account.may_be_inside(host_of(url)),
    )


def refusal(answer: HttpAnswer) -> Failed:
    """409 means that an earlier attempt is still at work there (the draft says so), so it is tried again."""
    if answer.status == 409:
        return Failed(reason="unavailable", detail=f"409: {excerpt(answer.body) or 'no explanation'}")
    return failure(answer)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, host_of(url), parts.port or {"http": 80, "https": 443}.get(parts.scheme)
