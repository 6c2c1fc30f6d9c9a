"""Signatures of webhooks: hexadecimal HMAC-SHA1 of the body, and Standard Webhooks 1.0.0 in both directions.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. Its
reference library is not used, because it asks the machine's own clock and meets hostile headers with other errors.
"""

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from bridge.adapter.secret import Secret
from bridge.errors import Refused

TOLERANCE = timedelta(minutes=5)
"""How far a signature's time may be from ours, as in the reference libraries."""

MOST_SIGNATURES = 20
"""Signatures of one webhook that are looked at; each stands for one of the sender's secrets."""

_ID = re.compile(r"[!-\-/-~]{1,200}")
_TIME = re.compile(r"[0-9]{1,12}")


def is_signed_sha1(given: str, secrets: Iterable[Secret], body: bytes) -> bool:
    """Whether `given` is the hexadecimal HMAC-SHA1 of `body` by one of `secrets`; the time says nothing about which."""
    found = False
    for secret in secrets:
        wanted = hmac.digest(secret.reveal().encode(), body, "sha1").hex()
        found |= hmac.compare_digest(wanted.encode(), given.lower().encode("utf-8", "surrogatepass"))
    return found


def standard_key(secret: Secret) -> bytes:
    """The HMAC key: what `whsec_` and base64 stand for, or the bytes of any other text.

    Raises ValueError, without the secret, for a `whsec_` that is not 24 to 64 bytes and for asymmetric keys.
    """
    text = secret.reveal()
    if text.startswith(("whsk_", "whpk_")):
        raise ValueError("asymmetric keys (whsk_, whpk_) are not supported: use a secret that begins with whsec_")
    if not text.startswith("whsec_"):
        return text.encode()
    coded = text.removeprefix("whsec_")
    try:
        key = b64decode(coded + "=" * (-len(coded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("what follows whsec_ is not base64: copy the secret again") from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"what follows whsec_ is {len(key)} bytes in base64; it must be 24 to 64: copy it again")
    return key


def sign_standard(secrets: Iterable[Secret], name: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a webhook sent at `at`, signed by every one of `secrets` so that they can be rotated.

    `name` is the webhook's id, the same at every attempt, with no `.` in it.
    """
    seconds = str(int(at.timestamp()))
    signatures = (b64encode(_digest(secret, name, seconds, body)).decode() for secret in secrets)
    return {
        "webhook-id": name,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def check_standard(headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret], now: datetime) -> str:
    """The id of a webhook that one of `secrets` has signed, `TOLERANCE` around `now`.

    Raises Refused(401) naming the header.
    """
    name, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    # The signed content is joined by dots, so one within the id would let an id and a time be read in two ways.
    if not _ID.fullmatch(name):
        raise Refused(401, "webhook-id: missing, or not 1 to 200 visible ASCII characters without a dot")
    if not _TIME.fullmatch(seconds):
        raise Refused(401, "webhook-timestamp: missing, or not whole seconds since 1970")
    if abs(int(seconds) - now.timestamp()) > TOLERANCE.total_seconds():
        raise Refused(401, "webhook-timestamp: more than 5 minutes from our clock; send the webhook with a new one")
    given = [
        _decoded(one) for one in headers.get("webhook-signature", "").split(" ", MOST_SIGNATURES)[:MOST_SIGNATURES]
    ]
    wanted = [_digest(secret, name, seconds, body) for secret in secrets]
    # Every pair is compared, so the time says nothing about which secret it was.
    if sum(hmac.compare_digest(one, other) for one in given for other in wanted) == 0:
        raise Refused(401, "webhook-signature: missing, or not made with one of the account's secrets")
    return name


def _digest(secret: Secret, name: str, seconds: str, body: bytes) -> bytes:
    return hmac.digest(standard_key(secret), f"{name}.{seconds}.".encode() + body, "sha256")


def _decoded(signature: str) -> bytes:
    """The bytes of a `v1` signature; none for another version (others may follow) and for what is not base64."""
    version, _, coded = signature.partition(",")
    if version != "v1" or len(coded) > 100:
        return b""
    try:
        return b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        return b""
