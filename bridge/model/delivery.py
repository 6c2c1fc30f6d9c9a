"""A delivery: the durable promise to make one platform call, and what came of it.

    (new) -> queued | claimed | dead | cancelled
    queued -> claimed -> sent | queued (later) | unknown | dead
    queued -> cancelled (by a person)          unknown | dead -> queued (replay, by a person)

`TRANSITIONS` is this drawing as a table, and the store's statements are made from it (`store/transitions.py`).

*Unknown* means that the request may have reached the platform and no answer came. Where the platform can be asked, the
delivery goes back to queued with `unsure_since`, and the next turn begins with the question (`told`).

Order is kept within a lane: a delivery is begun when those before it are finished, that is, sent, unknown, dead or
cancelled. So a head that waits for its next try holds its followers; one that is given up does not, because what was
said after it is still worth saying. A replayed delivery comes when nothing of its lane is under way, after whatever
was sent meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from msgspec import Struct

from bridge.model.conversation import Timer
from bridge.model.event import Address, Attachment

State = Literal["queued", "claimed", "sent", "unknown", "dead", "cancelled"]
Reason = Literal[
    "rate_limited", "auth", "refused", "not_found", "invalid", "unavailable",
    "network", "timeout", "expired", "template", "unknown",
]  # fmt: skip
Format = Literal["plain", "markdown"]
OnUnknown = Literal["resend", "hold"]
Urgency = Literal["live", "follow_up", "broadcast"]
"""What a delivery answers to: an event of just now, a follow-up whose time has come, or a broadcast's run."""

STATES: tuple[State, ...] = get_args(State)
REASONS: tuple[Reason, ...] = get_args(Reason)
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
"""The most urgent first."""
BEGINNINGS: frozenset[State] = frozenset({"queued", "claimed", "dead", "cancelled"})
"""The states in which a delivery may be made: those of what cannot be rendered, or is held back, are final at once."""
TRANSITIONS: Mapping[State, frozenset[State]] = {
    "queued": frozenset({"claimed", "cancelled"}),
    "claimed": frozenset({"sent", "queued", "unknown", "dead"}),
    "unknown": frozenset({"queued"}),
    "dead": frozenset({"queued"}),
    "sent": frozenset(),
    "cancelled": frozenset(),
}
"""All that may become of a delivery in a state; there is no other way."""


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rendered content, ready to be encoded for its platform. Customer values in Markdown text are escaped.

    `private` is a note that the contact does not see. `attachments` have a URL. `quick_replies` are texts to choose
    from.
    """

    text: str
    format: Format = "plain"
    private: bool = False
    attachments: tuple[Attachment, ...] = ()
    quick_replies: tuple[str, ...] = ()


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operation of a platform that is to be done: "helpcrunch.assign" with its checked arguments.

    `keep` says which facts of the answer the conversation (its key in the store) remembers: name -> dotted path in what
    was found, "" for the whole. `then` is the timer that is armed there once it is done, due at once: the actions that
    come after it.
    """

    operation: str
    arguments: Mapping[str, object] = {}
    conversation: str = ""
    keep: Mapping[str, str] = {}
    then: Timer | None = None


class Delivery(Struct, frozen=True, kw_only=True):
    """One platform call that has to be made. Times are UTC; `lane` is the order key: one conversation.

    What is less urgent waits for what is more, but never within a lane: a broadcast to many has a lane for each of its
    recipients, so that no conversation waits for it. `event` (its number), `rule` and `action` say where it comes
    from. With a `command` it is an operation, and `reply` is empty. `attempts` counts those already made.
    `unsure_since` is when an attempt began of which nobody knows whether it arrived. `on_unknown` takes the
    place of what the account says.
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
    command: Command | None = None
    unsure_since: datetime | None = None
    urgency: Urgency = "live"
    on_unknown: OnUnknown | None = None


NOTHING = Reply(text="")


def unstored(
    to: Address, account: str, at: datetime, *, reply: Reply = NOTHING, command: Command | None = None
) -> Delivery:
    """A delivery that no store has: it only names what is done, and platforms tell such by the moment `at`."""
    return Delivery(
        id=0,
        event=None,
        rule="by hand",
        action="0",
        account=account,
        lane=account,
        to=to,
        reply=reply,
        command=command,
        created_at=at,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """The platform took it. `reference` is the platform's id of what was sent, where it gave one.

    `found` is what an operation looked up, as plain JSON values, bounded in size.
    """

    reference: str | None = None
    found: object = None


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
    """One try at a delivery: when, how long (seconds), the last HTTP status and answer seen, and the outcome.

    `note` says what kind of try it was, where it was not simply a call: the platform was asked about an earlier one, or
    the reply went into the answer of a webhook.
    """

    delivery: int
    at: datetime
    took: float
    outcome: Outcome
    status: int | None = None
    answer: str | None = None
    note: str | None = None


class Settled(Struct, frozen=True, kw_only=True):
    """What becomes of a delivery after an attempt: its new state, when it is due again, and why.

    `unsure_since` is when an attempt began of which the platform will be asked what came of it.
    """

    state: State
    due_at: datetime | None = None
    reason: Reason | None = None
    detail: str | None = None
    unsure_since: datetime | None = None


PASSING: frozenset[Reason] = frozenset({"rate_limited", "unavailable", "network", "timeout"})
"""Reasons that pass by themselves."""
FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=5)


def backoff(attempts: int, jitter: float) -> timedelta:
    """How long to wait after the attempt of this number (from 1): doubling, bounded; `jitter` is from 0.5 to 1."""
    doubled: timedelta = FIRST_RETRY * 2 ** min(attempts - 1, 20)
    return min(LONGEST_RETRY, doubled) * jitter


def settle(
    delivery: Delivery,
    outcome: Outcome,
    now: datetime,
    on_unknown: OnUnknown,
    jitter: float,
    *,
    ask_about: datetime | None = None,
) -> Settled:
    """What follows from the outcome of an attempt; see the drawing at the top of this file.

    `ask_about` is when the attempt began, where the platform can be asked what came of it; elsewhere `on_unknown`
    decides.
    """
    if isinstance(outcome, Sent):
        return Settled(state="sent")
    if isinstance(outcome, Unknown):
        if ask_about is not None:
            return _ask_later(delivery, outcome, now, jitter, delivery.unsure_since or ask_about)
        if on_unknown == "hold":
            return Settled(state="unknown", reason=outcome.reason, detail=outcome.detail)
    elif outcome.permanent:
        return Settled(state="dead", reason=outcome.reason, detail=outcome.detail)
    due_at = now + _wait(delivery, outcome, jitter)
    if delivery.expires_at is not None and due_at >= delivery.expires_at:
        return Settled(state="dead", reason="expired", detail=f"gave up: {outcome.reason}: {outcome.detail}")
    # What an earlier attempt came to is no clearer now.
    return Settled(
        state="queued",
        due_at=due_at,
        reason=outcome.reason,
        detail=outcome.detail,
        unsure_since=delivery.unsure_since,
    )


def told(delivery: Delivery, found: Outcome, now: datetime, on_unknown: OnUnknown, jitter: float) -> Settled | None:
    """What follows from what the platform tells of an attempt whose answer never came. None: send it now.

    Failed means that it was certainly not sent. A question that could not be put now is put again later; only for what
    the platform cannot tell does `on_unknown` decide. The platform is asked even when it is too late to send.
    """
    if isinstance(found, Sent):
        return Settled(state="sent")
    late = delivery.expires_at is not None and now >= delivery.expires_at
    if isinstance(found, Failed):
        return Settled(state="dead", reason="expired", detail=f"too late to send: {found.detail}") if late else None
    if late or (on_unknown == "hold" and found.reason not in PASSING):
        return Settled(state="unknown", reason=found.reason, detail=found.detail)
    if found.reason in PASSING:
        return _ask_later(delivery, found, now, jitter, delivery.unsure_since or now)
    return None


def _ask_later(delivery: Delivery, outcome: Unknown, now: datetime, jitter: float, since: datetime) -> Settled:
    due_at = now + _wait(delivery, outcome, jitter)
    return Settled(state="queued", due_at=due_at, reason=outcome.reason, detail=outcome.detail, unsure_since=since)


def _wait(delivery: Delivery, outcome: Failed | Unknown, jitter: float) -> timedelta:
    wait = backoff(delivery.attempts + 1, jitter)
    asked = outcome.retry_after if isinstance(outcome, Failed) else None
    return wait if asked is None else max(wait, timedelta(seconds=asked))
