"""A delivery: the durable promise to make one platform call, and what came of it.

    queued -> claimed -> sent | queued (later) | unknown | dead
    queued -> cancelled          unknown -> sent | queued | dead          dead -> queued (replay)

*Unknown* means that the request may have reached the platform and no answer came.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from msgspec import Struct

from bridge.model.event import Address

State = Literal["queued", "claimed", "sent", "unknown", "dead", "cancelled"]
Reason = Literal[
    "rate_limited", "auth", "refused", "not_found", "invalid", "unavailable",
    "network", "timeout", "expired", "template", "unknown",
]  # fmt: skip
Format = Literal["plain", "markdown"]
OnUnknown = Literal["resend", "hold"]

STATES: tuple[State, ...] = get_args(State)
REASONS: tuple[Reason, ...] = get_args(Reason)


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rendered content, ready to be encoded for its platform. Customer values in Markdown text are escaped."""

    text: str
    format: Format = "plain"
    private: bool = False


class Delivery(Struct, frozen=True, kw_only=True):
    """One platform call that has to be made. Times are UTC; `lane` is the order key: one conversation.

    `event` (its number), `rule` and `action` say where it comes from. `attempts` counts those already made.
    """

    id: int
    event: int | None
    rule: str
    action: str
    account: str
    lane: str
    to: Address
    reply: Reply
    created_at: datetime
    expires_at: datetime | None = None
    attempts: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """The platform took it. `reference` is the platform's id of what was sent, where it gave one."""

    reference: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """It was certainly not sent. A permanent failure is not tried again; `retry_after` is in seconds."""

    reason: Reason
    detail: str
    permanent: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """The request may have reached the platform; nobody can say."""

    reason: Reason
    detail: str


Outcome = Sent | Failed | Unknown


class Attempt(Struct, frozen=True, kw_only=True):
    """One try at a delivery: when, how long (seconds), the last HTTP status and answer seen, and the outcome."""

    delivery: int
    at: datetime
    took: float
    outcome: Outcome
    status: int | None = None
    answer: str | None = None


class Settled(Struct, frozen=True, kw_only=True):
    """What becomes of a delivery after an attempt: its new state, when it is due again, and why."""

    state: State
    due_at: datetime | None = None
    reason: Reason | None = None
    detail: str | None = None


FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=5)


def backoff(attempts: int, jitter: float) -> timedelta:
    """How long to wait after the attempt of this number (from 1): doubling, bounded; `jitter` is from 0.5 to 1."""
    doubled: timedelta = FIRST_RETRY * 2 ** min(attempts - 1, 20)
    return min(LONGEST_RETRY, doubled) * jitter


def settle(delivery: Delivery, outcome: Outcome, now: datetime, on_unknown: OnUnknown, jitter: float) -> Settled:
    """The one place that decides what follows from an outcome; see the drawing at the top of this file."""
    if isinstance(outcome, Sent):
        return Settled(state="sent")
    if isinstance(outcome, Unknown) and on_unknown == "hold":
        return Settled(state="unknown", reason=outcome.reason, detail=outcome.detail)
    if isinstance(outcome, Failed) and outcome.permanent:
        return Settled(state="dead", reason=outcome.reason, detail=outcome.detail)
    wait = backoff(delivery.attempts + 1, jitter)
    if isinstance(outcome, Failed) and outcome.retry_after is not None:
        wait = max(wait, timedelta(seconds=outcome.retry_after))
    due_at = now + wait
    if delivery.expires_at is not None and due_at >= delivery.expires_at:
        return Settled(state="dead", reason="expired", detail=f"gave up: {outcome.reason}: {outcome.detail}")
    return Settled(state="queued", due_at=due_at, reason=outcome.reason, detail=outcome.detail)
