"""What a platform's answer means, above all when it is not the one hoped for. Pure: an answer in, a failure out.

Source of the meanings: RFC 9110 (https://www.rfc-editor.org/rfc/rfc9110.html#name-status-codes), for 425 RFC 8470 and
for 429 RFC 6585. The `RateLimit` draft is not read: none of the platforms documents it.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from bridge.adapter.protocol import HttpAnswer
from bridge.model.delivery import Failed, Reason

LONGEST_WAIT = 86_400
"""Seconds: who asks for a longer wait is asked again after this one."""

EXCERPT = 300
"""Characters of an answer that are kept for a person to read."""

_SECONDS = re.compile(r"[0-9]+")
_LONGEST_DATE = 60
_PERMANENT: Mapping[int, Reason] = {
    400: "invalid",
    401: "auth",
    403: "auth",
    404: "not_found",
    405: "invalid",
    406: "invalid",
    407: "auth",
    409: "invalid",
    410: "not_found",
    411: "invalid",
    413: "invalid",
    414: "invalid",
    415: "invalid",
    422: "invalid",
}
_TEMPORARY: Mapping[int, Reason] = {408: "timeout", 425: "unavailable", 429: "rate_limited"}


def is_taken(answer: HttpAnswer) -> bool:
    """Whether the platform says that it did what was asked: any 2xx."""
    return 200 <= answer.status < 300


def object_in(body: bytes) -> dict[str, Any]:
    """The members of the JSON object that an answer is; none where it is anything else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def never(detail: str, reason: Reason = "invalid") -> Failed:
    """The failure of what need not be tried, now or later: `detail` says what is wrong with it."""
    return Failed(reason=reason, detail=detail, permanent=True)


def failure(answer: HttpAnswer, detail: str | None = None) -> Failed:
    """The failure that an answer other than success stands for; `detail` is the platform's own words, if any were read.

    Where the platform says when to come again, the failure is temporary and says so too (the door has turned a date
    into seconds). A redirect is permanent: it could lead anywhere, with the account's secrets in hand. So is a
    success that the adapter calls a failure, because the platform may have acted on it.
    """
    wait = _seconds(answer.headers.get("retry-after", ""))
    words = _one_line(detail or "", EXCERPT) or excerpt(answer.body) or "no explanation"
    words = f"{answer.status}: {words}"
    if answer.status in _TEMPORARY:
        return Failed(reason=_TEMPORARY[answer.status], detail=words, retry_after=wait)
    if 200 <= answer.status < 400:
        return Failed(reason="invalid" if answer.status < 300 else "refused", detail=words, permanent=True)
    if 400 <= answer.status < 500:
        reason = _PERMANENT.get(answer.status, "refused")
        return Failed(reason=reason, detail=words, permanent=wait is None, retry_after=wait)
    return Failed(reason="unavailable", detail=words, retry_after=wait)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by the header `retry-after` in either form (RFC 9110 section 10.2.3); None where it says nothing.

    `headers` have lower-case names. A date in the past is 0; nothing is above `LONGEST_WAIT`.
    """
    text = headers.get("retry-after", "").strip()
    seconds = _seconds(text)
    if seconds is not None or not text or len(text) > _LONGEST_DATE:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return float(min(max(0, math.ceil((moment - now).total_seconds())), LONGEST_WAIT))


def _seconds(text: str) -> float | None:
    text = text.strip()
    if not _SECONDS.fullmatch(text):
        return None
    digits = text.lstrip("0") or "0"
    # Python refuses to read numbers of thousands of digits; all of more than nine mean the longest wait anyway.
    return float(LONGEST_WAIT if len(digits) > 9 else min(int(digits), LONGEST_WAIT))


def excerpt(said: bytes | str, limit: int = EXCERPT) -> str:
    """The beginning of what was said as one printable line of at most `limit` (1 or more) characters, for a person.

    What is not UTF-8 is shown as U+FFFD, half a surrogate pair as `?`; a cut is shown as `…`.
    """
    body = said.encode(errors="replace") if isinstance(said, str) else said
    head = body[: 4 * limit]
    return _one_line(head.decode(errors="replace") + "…" * (len(body) > len(head)), limit)


def _one_line(text: str, limit: int) -> str:
    """At most four times `limit` characters are looked at. Blanks, and what cannot be printed, become one blank."""
    head = text[: 4 * limit + 1]
    line = " ".join(head.split())
    if not line.isprintable():
        line = " ".join("".join(letter if letter.isprintable() else " " for letter in line).split())
    return line if len(line) <= limit and len(head) == len(text) else line[: limit - 1] + "…"
