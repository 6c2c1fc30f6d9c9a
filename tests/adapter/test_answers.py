"""What an answer other than success means, when to come again, and what of it a person gets to read."""

import math
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.answers import EXCERPT, LONGEST_WAIT, excerpt, failure, is_taken, never, object_in, retry_after
from bridge.adapter.protocol import HttpAnswer
from bridge.model.delivery import REASONS, Failed, Reason
from tests.values import NOON

STATUSES = st.integers(-1, 1000)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30))  # noqa: DTZ001 - the zone is given below


@pytest.mark.parametrize(("status", "taken"), [(199, False), (200, True), (204, True), (299, True), (300, False)])
def test_any_2xx_is_a_yes(status: int, taken: bool) -> None:
    assert is_taken(HttpAnswer(status=status)) is taken


@pytest.mark.parametrize(
    ("body", "members"),
    [(b'{"id": 5}', {"id": 5}), (b"[]", {}), (b"null", {}), (b"", {}), (b"\xff", {}), (b'{"id"' * 100_000, {})],
)
def test_what_is_no_object_has_no_members(body: bytes, members: dict[str, object]) -> None:
    assert object_in(body) == members


# The classes of failure.


def test_what_need_not_be_tried_is_permanent() -> None:
    assert never("no text") == Failed(reason="invalid", detail="no text", permanent=True)
    assert never("no such chat", "not_found") == Failed(reason="not_found", detail="no such chat", permanent=True)


@pytest.mark.parametrize(
    ("statuses", "reason", "permanent"),
    [
        ((401, 403, 407), "auth", True),
        ((404, 410), "not_found", True),
        ((400, 405, 406, 409, 411, 413, 414, 415, 422), "invalid", True),
        ((402, 418, 423, 426, 431, 451, 499), "refused", True),
        ((300, 301, 302, 303, 304, 307, 308), "refused", True),
        ((200, 204), "invalid", True),
        ((408,), "timeout", False),
        ((429,), "rate_limited", False),
        ((425, 500, 501, 502, 503, 504, 599), "unavailable", False),
        ((0, 100, 103, 600, 999), "unavailable", False),
    ],
)
def test_each_status_has_its_class(statuses: tuple[int, ...], reason: str, permanent: bool) -> None:
    for status in statuses:
        failed = failure(HttpAnswer(status=status))
        assert (failed.reason, failed.permanent, failed.retry_after) == (reason, permanent, None), status


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, "rate_limited"), (503, "unavailable"), (408, "timeout"), (409, "invalid"), (413, "invalid"), (403, "auth")],
)
def test_who_says_when_to_come_again_is_asked_again(status: int, reason: Reason) -> None:
    failed = failure(HttpAnswer(status=status, headers={"retry-after": " 7 "}))
    assert failed == Failed(reason=reason, detail=f"{status}: no explanation", permanent=False, retry_after=7.0)


def test_a_redirect_stays_refused_whatever_it_says() -> None:
    failed = failure(HttpAnswer(status=301, headers={"retry-after": "7"}))
    assert (failed.permanent, failed.retry_after) == (True, None)


@given(STATUSES, st.text(), st.binary(), st.none() | st.text())
def test_any_answer_is_some_failure(status: int, after: str, body: bytes, detail: str | None) -> None:
    failed = failure(HttpAnswer(status=status, headers={"retry-after": after}, body=body), detail)
    assert failed.reason in REASONS
    assert failed.detail.startswith(f"{status}: ")
    assert failed.detail.isprintable()
    assert len(failed.detail) <= len(f"{status}: ") + EXCERPT
    assert failed.retry_after is None or (0 <= failed.retry_after <= LONGEST_WAIT and not failed.permanent)


@pytest.mark.parametrize(
    ("body", "detail", "words"),
    [
        (b"", None, "500: no explanation"),
        (b" \n", None, "500: no explanation"),
        (b"Bad\r\n  Gateway\x00", None, "500: Bad Gateway"),
        (b'{"errors":[]}', "unauthorized: Unauthorized", "500: unauthorized: Unauthorized"),
        (b"the body", "", "500: the body"),
    ],
)
def test_the_words_of_a_failure(body: bytes, detail: str | None, words: str) -> None:
    assert failure(HttpAnswer(status=500, body=body), detail).detail == words


# When to come again.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("00000000000000000000007", 7.0),
        ("86401", 86_400.0),
        ("9" * 5000, 86_400.0),
        ("Fri, 27 Mar 2026 12:02:00 GMT", 120.0),
        ("Friday, 27-Mar-26 12:02:00 GMT", 120.0),
        ("Fri Mar 27 12:02:00 2026", 120.0),
        ("Fri, 27 Mar 2026 14:02:00 +0200", 120.0),
        ("Fri, 27 Mar 2026 11:59:59 GMT", 0.0),
        ("Sun, 27 Mar 2044 12:00:00 GMT", 86_400.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("+7", None),
        ("1.5", None),
        ("٧", None),
        ("7 s", None),
        ("Fri, 99 Mar 2026 12:02:00 GMT", None),
        ("Fri, 27 Mar 2026 12:02:00 +9999", None),
        ("Fri, 27 Mar 99999999999999999999 12:02:00 GMT", None),
        ("Fri, 27 Mar 2026 12:02:00 GMT" + " " * 100 + "x", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, NOON) == seconds


def test_without_the_header_nothing_is_known() -> None:
    assert retry_after({"ratelimit": '"default";r=0;t=30', "x-ratelimit-reset": "30"}, NOON) is None


@given(MOMENTS, MOMENTS, st.integers(-12, 14))
def test_a_date_means_the_time_until_then(until: datetime, now: datetime, offset: int) -> None:
    until, now = until.replace(tzinfo=UTC, microsecond=0), now.replace(tzinfo=UTC)
    text = format_datetime(until.astimezone(timezone(timedelta(hours=offset))))
    wait = retry_after({"retry-after": text}, now)
    assert wait == min(max(0, math.ceil((until - now).total_seconds())), LONGEST_WAIT)


@given(
    st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,9} \d\d:\d\d:\d\d [-+]?\w{1,6}")
)
def test_whatever_stands_there_is_a_wait_or_nothing(text: str) -> None:
    wait = retry_after({"retry-after": text}, NOON)
    assert wait is None or 0 <= wait <= LONGEST_WAIT


# What a person gets to read.


@pytest.mark.parametrize(
    ("body", "limit", "shown"),
    [
        (b"", 10, ""),
        (b"  ok \r\n\t fine ", 10, "ok fine"),
        (b"0123456789", 10, "0123456789"),
        (b"0123456789A", 10, "012345678…"),
        ("ціна".encode(), 4, "ціна"),
        ("ціна!".encode(), 4, "цін…"),
        (b"\xff\x00a", 10, "� a"),
        ("a\u202eb\u2028c\u200bd".encode(), 10, "a b c d"),
        (b" " * 1000 + b"far away", 10, "…"),
        ("ціна!", 4, "цін…"),
        ("9 \ud83d€", 10, "9 ?€"),
    ],
)
def test_an_excerpt(body: bytes | str, limit: int, shown: str) -> None:
    assert excerpt(body, limit) == shown


@given(
    st.binary(max_size=2000) | st.text(max_size=600).map(lambda text: text.encode(errors="replace")),
    st.integers(1, 400),
)
def test_an_excerpt_is_one_printable_line(body: bytes, limit: int) -> None:
    shown = excerpt(body, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    assert shown == " ".join(shown.split())
    whole = body.decode(errors="replace")
    if whole.isprintable() and len(whole) <= limit and len(body) <= 4 * limit:
        assert shown == " ".join(whole.split())
