"""What follows from an outcome: the state machine, every way."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.delivery import (
    LONGEST_RETRY,
    REASONS,
    Failed,
    OnUnknown,
    Outcome,
    Sent,
    Settled,
    Unknown,
    backoff,
    settle,
    told,
)
from tests.values import NOON, a_delivery

BUSY = Failed(reason="unavailable", detail="503")
LOST = Unknown(reason="timeout", detail="no answer")


def outcomes() -> st.SearchStrategy[Outcome]:
    reasons = st.sampled_from(REASONS)
    waits = st.none() | st.floats(0, 100_000)
    failed = st.builds(Failed, reason=reasons, detail=st.text(), permanent=st.booleans(), retry_after=waits)
    return st.one_of(st.builds(Sent), failed, st.builds(Unknown, reason=reasons, detail=st.text()))


@pytest.mark.parametrize(
    ("outcome", "on_unknown", "state"),
    [
        (Sent(reference="17"), "resend", "sent"),
        (BUSY, "resend", "queued"),
        (Failed(reason="invalid", detail="400", permanent=True), "resend", "dead"),
        (LOST, "resend", "queued"),
        (LOST, "hold", "unknown"),
        (BUSY, "hold", "queued"),
    ],
)
def test_an_outcome_leads_to_a_state(outcome: Outcome, on_unknown: OnUnknown, state: str) -> None:
    assert settle(a_delivery(), outcome, NOON, on_unknown, 1).state == state


def test_the_wait_doubles_and_is_bounded() -> None:
    assert [backoff(n, 1).total_seconds() for n in (1, 2, 3, 9, 10, 10_000)] == [1, 2, 4, 256, 300, 300]


def test_the_platform_may_ask_for_a_longer_wait_and_not_for_a_shorter_one() -> None:
    long, short = (Failed(reason="rate_limited", detail="429", retry_after=wait) for wait in (90.0, 0.0))
    assert settle(a_delivery(), long, NOON, "resend", 1).due_at == NOON + timedelta(seconds=90)
    assert settle(a_delivery(), short, NOON, "resend", 1).due_at == NOON + timedelta(seconds=1)


def test_what_cannot_be_sent_in_time_is_given_up_and_says_why() -> None:
    delivery = a_delivery(expires_at=NOON + timedelta(seconds=1))
    assert settle(delivery, BUSY, NOON, "resend", 1) == Settled(
        state="dead", reason="expired", detail="gave up: unavailable: 503"
    )


NOT_THERE = Failed(reason="network", detail="it is not in the chat")
CANNOT_TELL = Unknown(reason="unknown", detail="too many messages")
LATE = {"expires_at": NOON}


def test_of_what_can_be_asked_about_the_doubt_is_kept() -> None:
    """Whatever `on_unknown` says, and however late: the question may still be answered."""
    began = NOON - timedelta(seconds=15)
    for policy in ("resend", "hold"):
        settled = settle(a_delivery(**LATE), LOST, NOON, policy, 1, ask_about=began)
        assert (settled.state, settled.unsure_since) == ("queued", began)
    earlier = a_delivery(unsure_since=NOON - timedelta(hours=1))
    assert settle(earlier, LOST, NOON, "hold", 1, ask_about=began).unsure_since == earlier.unsure_since
    assert settle(earlier, BUSY, NOON, "hold", 1).unsure_since == earlier.unsure_since


@pytest.mark.parametrize(
    ("found", "lives", "on_unknown", "state"),
    [
        (Sent(reference="17"), {}, "resend", "sent"),
        (Sent(), LATE, "hold", "sent"),
        (NOT_THERE, {}, "hold", None),
        (NOT_THERE, LATE, "hold", "dead"),
        (CANNOT_TELL, {}, "resend", None),
        (CANNOT_TELL, {}, "hold", "unknown"),
        (CANNOT_TELL, LATE, "resend", "unknown"),
        (LOST, {}, "resend", "queued"),
        (LOST, {}, "hold", "queued"),
        (LOST, LATE, "resend", "unknown"),
    ],
)
def test_what_the_platform_tells_decides(
    found: Outcome, lives: dict[str, Any], on_unknown: OnUnknown, state: str | None
) -> None:
    since = NOON - timedelta(minutes=1)
    settled = told(a_delivery(unsure_since=since, **lives), found, NOON, on_unknown, 1)
    assert (None if settled is None else settled.state) == state
    if settled is not None and settled.state == "queued":
        assert (settled.unsure_since, settled.due_at) == (since, NOON + timedelta(seconds=1))


@given(
    outcome=outcomes(),
    attempts=st.integers(0, 1000),
    on_unknown=st.sampled_from(("resend", "hold")),
    jitter=st.floats(0.5, 1),
    lives=st.none() | st.integers(1, 10_000),
)
def test_only_the_drawn_transitions_exist(
    outcome: Outcome, attempts: int, on_unknown: OnUnknown, jitter: float, lives: int | None
) -> None:
    expires_at = None if lives is None else NOON + timedelta(seconds=lives)
    settled = settle(a_delivery(attempts=attempts, expires_at=expires_at), outcome, NOON, on_unknown, jitter)
    assert settled.state in ("sent", "queued", "unknown", "dead")
    assert (settled.state == "queued") == (settled.due_at is not None)
    assert (settled.state == "sent") == isinstance(outcome, Sent)
    if settled.due_at is not None:
        assert settled.due_at > NOON
        assert expires_at is None or settled.due_at < expires_at
        asked = outcome.retry_after if isinstance(outcome, Failed) else None
        assert settled.due_at - NOON <= max(LONGEST_RETRY, timedelta(seconds=asked or 0))
