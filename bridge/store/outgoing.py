"""The deliveries as the worker and a person see them: claim, settle, renew, release, replay, cancel, list.

Each function that changes rows is a `Work`: it runs for many callers in one shared transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, insert, select, text, true, update

from bridge.clock import to_ms
from bridge.model.delivery import Attempt, Delivery, Failed, Sent, Settled, State
from bridge.store.prepared import Prepared, among, as_list
from bridge.store.rows import delivery_from
from bridge.store.tables import TROUBLE, UNFINISHED, WAKING, attempts, deliveries


class Done(Struct, frozen=True, kw_only=True):
    """An attempt at a delivery, what becomes of the delivery, and who may take the next one of its lane."""

    delivery: Delivery
    attempt: Attempt | None
    settled: Settled
    at: datetime
    worker: str
    lease: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Take:
    """A wish for at most `most` deliveries that are due; not of the accounts in `full`.

    What a dead worker held may have been sent. For the accounts in `hold` a person decides; others send again.
    """

    worker: str
    at: datetime
    lease: timedelta
    most: int
    full: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Deliveries a worker holds: to be kept longer, or kept while all others are given back."""

    worker: str
    at: datetime
    lease: timedelta = timedelta(0)
    numbers: tuple[int, ...] = ()


_GOES_ON: tuple[State, ...] = ("queued", "claimed")
_SETTLE = Prepared(
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("number"),
        deliveries.c.state == "claimed",
        deliveries.c.worker == bindparam("who"),
    )
    .values(
        state=bindparam("new_state"),
        wake_at=bindparam("due"),
        worker=None,
        attempts=deliveries.c.attempts + bindparam("tried"),
        reason=bindparam("why"),
        detail=bindparam("what"),
        finished_at=bindparam("finished"),
    )
)
# Two workers may have tried the same delivery, when the lease of one ran out; what the first recorded stays.
_ATTEMPT = Prepared(insert(attempts).prefix_with("OR IGNORE", dialect="sqlite"), [column.name for column in attempts.c])
_CLAIM = Prepared(
    update(deliveries)
    .where(deliveries.c.id == bindparam("number"))
    .values(state="claimed", worker=bindparam("who"), wake_at=bindparam("until"))
)
# The next of each lane: the lowest number that waits, if nothing of the lane is under way.
_NEXT = Prepared(
    select(func.min(deliveries.c.id))
    .where(among(deliveries.c.lane, "lanes"), text(UNFINISHED))
    .group_by(deliveries.c.lane)
)
_BY_NUMBER = select(deliveries).where(deliveries.c.id.in_(bindparam("numbers", expanding=True)))
_DUE = (
    select(deliveries)
    .where(
        text(WAKING),
        deliveries.c.wake_at <= bindparam("now"),
        deliveries.c.account.not_in(bindparam("full", expanding=True)),
    )
    .order_by(deliveries.c.wake_at)
    .limit(bindparam("most"))
)
_NEXT_WAKE = select(func.min(deliveries.c.wake_at)).where(text(WAKING))


def settle(connection: Connection, items: Sequence[Done]) -> list[Delivery | None]:
    """Record attempts and what became of their deliveries; gives each worker the next of the lane, claimed."""
    _SETTLE.run(connection, [_settled_row(item) for item in items])
    tried = [_attempt_row(item.attempt, item.delivery) for item in items if item.attempt is not None]
    if tried:
        _ATTEMPT.run(connection, tried)
    finished = {item.delivery.lane: item for item in items if item.settled.state not in _GOES_ON}
    if not finished:
        return [None] * len(items)
    heads = [number for (number,) in _NEXT.fetch(connection, lanes=as_list(finished))]
    if not heads:
        return [None] * len(items)
    rows = [row for row in connection.execute(_BY_NUMBER, {"numbers": heads}) if row.state == "queued"]
    # A head that waits for a time of its own (a retry) keeps it; the others were only waiting for the lane.
    rows = [row for row in rows if row.wake_at is None]
    if rows:
        _CLAIM.run(connection, [_claim_row(row.id, finished[row.lane]) for row in rows])
    freed = {row.lane: delivery_from(row) for row in rows}
    return [freed.pop(item.delivery.lane, None) if finished.get(item.delivery.lane) is item else None for item in items]


def _settled_row(item: Done) -> dict[str, object]:
    settled = item.settled
    return {
        "number": item.delivery.id,
        "who": item.worker,
        "new_state": settled.state,
        "due": None if settled.due_at is None else to_ms(settled.due_at),
        "tried": 0 if item.attempt is None else 1,
        "why": settled.reason,
        "what": settled.detail,
        "finished": None if settled.state in _GOES_ON else to_ms(item.at),
    }


def _attempt_row(attempt: Attempt, delivery: Delivery) -> dict[str, object]:
    outcome = attempt.outcome
    name = "sent" if isinstance(outcome, Sent) else "failed" if isinstance(outcome, Failed) else "unknown"
    return {
        "delivery": delivery.id,
        "number": delivery.attempts + 1,
        "at": to_ms(attempt.at),
        "took": round(attempt.took * 1000),
        "outcome": name,
        "reason": None if isinstance(outcome, Sent) else outcome.reason,
        "detail": outcome.reference if isinstance(outcome, Sent) else outcome.detail,
        "status": attempt.status,
        "answer": attempt.answer,
    }


def _claim_row(number: int, item: Done | Take) -> dict[str, object]:
    return {"number": number, "who": item.worker, "until": to_ms(item.at + item.lease)}


def claim(connection: Connection, items: Sequence[Take]) -> list[list[Delivery]]:
    """Claim what is due, and what a dead worker held past its lease."""
    return [_claim_for(connection, item) for item in items]


def _claim_for(connection: Connection, item: Take) -> list[Delivery]:
    abandoned = and_(text(WAKING), deliveries.c.state == "claimed", deliveries.c.wake_at <= to_ms(item.at))
    _abandon(connection, abandoned, item)
    rows = connection.execute(_DUE, {"now": to_ms(item.at), "full": item.full, "most": item.most}).all()
    if rows:
        _CLAIM.run(connection, [_claim_row(row.id, item) for row in rows])
    return [delivery_from(row) for row in rows]


def next_wake(connection: Connection) -> int | None:
    """When the next delivery is due or the next lease runs out, in ms; None: nothing waits for a time."""
    at: int | None = connection.scalar(_NEXT_WAKE)
    return at


def renew(connection: Connection, items: Sequence[Held]) -> list[None]:
    """Keep the claims of a worker that is alive."""
    for item in items:
        held = and_(deliveries.c.id.in_(item.numbers), deliveries.c.worker == item.worker)
        connection.execute(update(deliveries).where(held).values(wake_at=to_ms(item.at + item.lease)))
    return [None] * len(items)


def release(connection: Connection, items: Sequence[Held]) -> list[int]:
    """Give back all that a worker claimed but `numbers`, to be taken at once by whoever has room; gives how many."""
    return [_release(connection, _claimed_by(item.worker, item.numbers), item.at) for item in items]


def _claimed_by(worker: str, but: tuple[int, ...]) -> ColumnElement[bool]:
    return and_(
        text(WAKING), deliveries.c.state == "claimed", deliveries.c.worker == worker, deliveries.c.id.not_in(but)
    )


def take_over(connection: Connection, items: Sequence[Take]) -> list[int]:
    """Give back whatever a server that died held. Only for the one server of a file, before it begins."""
    return [_abandon(connection, and_(text(WAKING), deliveries.c.state == "claimed"), item) for item in items]


def _abandon(connection: Connection, held: ColumnElement[bool], item: Take) -> int:
    if item.hold:
        unsure = and_(held, deliveries.c.account.in_(item.hold))
        lanes = connection.scalars(select(deliveries.c.lane).where(unsure)).all()
        connection.execute(
            update(deliveries)
            .where(unsure)
            .values(
                state="unknown",
                reason="unknown",
                detail="the bridge stopped during an attempt; nobody can say whether it was sent",
                finished_at=to_ms(item.at),
                wake_at=None,
                worker=None,
            )
        )
        _free(connection, lanes, item.at)
    return _release(connection, held, item.at)


def _free(connection: Connection, lanes: Sequence[str], now: datetime) -> None:
    """Let lanes go on whose head was taken away: their next waited for nothing else."""
    heads = [number for (number,) in _NEXT.fetch(connection, lanes=as_list(lanes))]
    behind = and_(deliveries.c.id.in_(heads), deliveries.c.wake_at.is_(None))
    connection.execute(update(deliveries).where(behind).values(wake_at=to_ms(now)))


def _release(connection: Connection, held: ColumnElement[bool], now: datetime) -> int:
    back = update(deliveries).where(held).values(state="queued", wake_at=to_ms(now), worker=None)
    return connection.execute(back).rowcount


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which deliveries a person means; what is None does not narrow."""

    numbers: tuple[int, ...] = ()
    states: tuple[State, ...] = ()
    account: str | None = None
    reason: str | None = None
    since: datetime | None = None

    def where(self) -> Any:
        parts: list[Any] = [deliveries.c.id.in_(self.numbers)] if self.numbers else []
        if self.states:
            parts.append(deliveries.c.state.in_(self.states))
        if self.account:
            parts.append(deliveries.c.account == self.account)
        if self.reason:
            parts.append(deliveries.c.reason == self.reason)
        if self.since:
            parts.append(deliveries.c.created_at >= to_ms(self.since))
        return and_(true(), *parts)


def replay(connection: Connection, chosen: Filter, now: datetime, expires_in: Callable[[str], timedelta]) -> list[int]:
    """Queue dead and unknown deliveries again, with their time to live begun anew; gives their numbers."""
    rows = connection.execute(
        select(deliveries.c.id, deliveries.c.account, deliveries.c.lane)
        .where(chosen.where(), text(TROUBLE))
        .order_by(deliveries.c.id)
    ).all()
    lanes = {row.lane for row in rows}
    busy = select(deliveries.c.lane).where(text(UNFINISHED), deliveries.c.lane.in_(lanes))
    taken = set(connection.scalars(busy)) if rows else set()
    for row in rows:
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id == row.id)
            .values(
                state="queued",
                wake_at=None if row.lane in taken else to_ms(now),
                expires_at=to_ms(now + expires_in(row.account)),
                reason=None,
                detail=None,
                finished_at=None,
            )
        )
        taken.add(row.lane)
    return [row.id for row in rows]
