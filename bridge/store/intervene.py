"""Intervene: what a person does with deliveries. They are chosen by a filter, sent again, or called off."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, or_, select, text, true

from bridge.clock import to_ms
from bridge.model.delivery import State
from bridge.store.lanes import free
from bridge.store.locks import lock
from bridge.store.postgres import is_postgres
from bridge.store.prepared import Prepared
from bridge.store.rows import NOTHING_TO_SAY
from bridge.store.signals import say
from bridge.store.tables import TROUBLE, UNFINISHED, deliveries
from bridge.store.transitions import move

AT_ONCE = 500
"""Deliveries that a person changes in one transaction, so that the server that runs waits for none of them long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which deliveries a person means; what is None does not narrow."""

    numbers: tuple[int, ...] = ()
    states: tuple[State, ...] = ()
    account: str | None = None
    reason: str | None = None
    since: datetime | None = None

    def where(self) -> ColumnElement[bool]:
        parts: list[ColumnElement[bool]] = [deliveries.c.id.in_(self.numbers)] if self.numbers else []
        if self.states:
            parts.append(deliveries.c.state.in_(self.states))
        if self.account:
            parts.append(deliveries.c.account == self.account)
        if self.reason:
            parts.append(deliveries.c.reason == self.reason)
        if self.since:
            parts.append(deliveries.c.created_at >= to_ms(self.since))
        return and_(true(), *parts)


_QUEUED = text("state = 'queued'")
_HAS_SOMETHING = or_(deliveries.c.command.is_not(None), deliveries.c.reply != NOTHING_TO_SAY)
_AGAIN: dict[State, Prepared] = {
    before: Prepared(
        move(before, "queued")
        .where(deliveries.c.id == bindparam("number"))
        .values(
            wake_at=bindparam("due"),
            expires_at=bindparam("until"),
            reason=None,
            detail=None,
            finished_at=None,
            # Whoever says that it is to be sent has looked.
            unsure_since=None,
        )
    )
    for before in ("dead", "unknown")
}


def count_cancellable(connection: Connection, chosen: Filter) -> int:
    """How many of the chosen deliveries are queued."""
    return connection.scalar(select(func.count()).select_from(deliveries).where(chosen.where(), _QUEUED)) or 0


def replay(
    connection: Connection,
    chosen: Filter,
    now: datetime,
    expires_in: Callable[[str], timedelta],
    most: int | None = None,
) -> list[int]:
    """Queue dead and unknown deliveries again, with their time to live begun anew; gives their numbers, the oldest
    first, `most` at most.

    Those are left alone whose text could not be made, which have nothing to send, and what has failed since `now`:
    whoever replays many bit by bit gives each of them one second chance.
    """
    rows = _locked(
        connection,
        select(deliveries.c.id, deliveries.c.account, deliveries.c.lane, deliveries.c.state)
        .where(chosen.where(), text(TROUBLE), _HAS_SOMETHING, deliveries.c.finished_at <= to_ms(now))
        .order_by(deliveries.c.id)
        .limit(most),
    )
    taken = _busy(connection, {row.lane for row in rows})
    for row in rows:
        until = to_ms(now + expires_in(row.account))
        due = None if row.lane in taken else to_ms(now)
        _AGAIN[row.state].run(connection, [{"number": row.id, "due": due, "until": until}])
        taken.add(row.lane)
    if rows:
        say(connection, "deliveries")
    return [row.id for row in rows]


def _locked(connection: Connection, wanted: Select[Any]) -> list[Any]:
    """The rows that are wanted, with their lanes locked: they stay as they are until the transaction ends."""
    rows = connection.execute(wanted).all()
    if not is_postgres(connection):
        return list(rows)
    lanes = {row.lane for row in rows}
    lock(connection, "lane", lanes)
    return [row for row in connection.execute(wanted.with_for_update()) if row.lane in lanes]


def _busy(connection: Connection, lanes: set[str]) -> set[str]:
    """The lanes in which something is unfinished."""
    found = select(deliveries.c.lane).where(text(UNFINISHED), deliveries.c.lane.in_(lanes))
    return set(connection.scalars(found)) if lanes else set()


def cancel(connection: Connection, chosen: Filter, now: datetime, most: int | None = None) -> list[int]:
    """Call off queued deliveries; gives their numbers, the oldest first, `most` at most.

    What is being sent already goes on, and so does what comes after the cancelled in their conversations. What was made
    since `now` is left alone: whoever calls off many bit by bit comes to an end while new ones are made.
    """
    rows = _locked(
        connection,
        select(deliveries.c.id, deliveries.c.lane)
        .where(chosen.where(), _QUEUED, deliveries.c.created_at <= to_ms(now))
        .order_by(deliveries.c.id)
        .limit(most),
    )
    if rows:
        connection.execute(
            move("queued", "cancelled")
            .where(deliveries.c.id.in_([row.id for row in rows]))
            .values(wake_at=None, detail="cancelled by a person", reason=None, finished_at=to_ms(now))
        )
        free(connection, {row.lane for row in rows}, now)
    return [row.id for row in rows]
