"""Tally: how many of a run's recipients stand where, and how many runs there are."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, func, select, text, union_all

from bridge.clock import to_ms
from bridge.store.tables import ACTIVE, OF_A_RUN, deliveries, runs

LOOKED_BACK = 1000
"""A run that has waited for a person through so many later ones is not counted any more."""


def counts(connection: Connection, run: int) -> Mapping[str, int]:
    """How many of a run's deliveries are in each state; "planned" are those queued that wait for their turn."""
    waits = deliveries.c.not_before.is_not(None)
    of_run = select(deliveries.c.state, waits.label("waits"), func.count().label("many"))
    rows = connection.execute(
        of_run.where(text(OF_A_RUN), deliveries.c.run == run).group_by(deliveries.c.state, waits)
    ).all()
    return {("planned" if row.waits and row.state == "queued" else row.state): row.many for row in rows}


class Why(Struct, frozen=True, kw_only=True):
    """Why some of a run's recipients got nothing; `example` is what is told of one of them besides."""

    state: str
    why: str
    count: int
    example: str | None = None


def reasons(connection: Connection, run: int) -> list[Why]:
    """Why a run's recipients got nothing, the most frequent first, 20 at most."""
    why = func.coalesce(deliveries.c.reason, deliveries.c.detail, "")
    rows = connection.execute(
        select(
            deliveries.c.state,
            why.label("why"),
            func.count().label("many"),
            func.min(deliveries.c.detail).label("example"),
        )
        .where(text(OF_A_RUN), deliveries.c.run == run, deliveries.c.state.in_(("cancelled", "dead", "unknown")))
        .group_by(deliveries.c.state, why)
        .order_by(func.count().desc())
        .limit(20)
    )
    return [
        Why(state=row.state, why=row.why, count=row.many, example=None if row.example == row.why else row.example)
        for row in rows
    ]


def unmade(connection: Connection, run: int) -> int:
    """How many of a run's recipients got nothing because their text could not be made."""
    of_run = text(OF_A_RUN), deliveries.c.run == run, deliveries.c.state == "dead"
    found: int | None = connection.scalar(
        select(func.count()).where(*of_run, deliveries.c.reason == "template").select_from(deliveries)
    )
    return found or 0


def sent_since(connection: Connection, run: int, since: datetime) -> int:
    """How many of a run's deliveries were sent after a moment."""
    of_run = text(OF_A_RUN), deliveries.c.run == run, deliveries.c.state == "sent"
    found: int | None = connection.scalar(
        select(func.count()).where(*of_run, deliveries.c.finished_at > to_ms(since)).select_from(deliveries)
    )
    return found or 0


def failed(connection: Connection, run: int) -> int:
    """How many of a run's deliveries have failed, or nobody knows of, whom no person has forgiven yet."""
    many = _count(connection, run, ("dead", "unknown"))
    return many - (connection.scalar(select(runs.c.forgiven).where(runs.c.id == run)) or 0)


def sent(connection: Connection, run: int, most: int | None = None) -> int:
    """How many of a run's deliveries were sent; more than `most` are not counted."""
    return _count(connection, run, ("sent",), most)


def _count(connection: Connection, run: int, states: tuple[str, ...], most: int | None = None) -> int:
    found = select(deliveries.c.state).where(text(OF_A_RUN), deliveries.c.run == run, deliveries.c.state.in_(states))
    return connection.scalar(select(func.count()).select_from(found.limit(most).subquery())) or 0


def going(connection: Connection) -> Mapping[tuple[str, str], int]:
    """How many runs there are that are not over: (broadcast, state) -> count."""
    found: dict[tuple[str, str], int] = {}
    for _, broadcast, state in _going(connection):
        found[broadcast, state] = found.get((broadcast, state), 0) + 1
    return found


def recipients(connection: Connection) -> Mapping[tuple[str, str], int]:
    """How many recipients of the runs that are not over stand where: (broadcast, state) -> count."""
    found: dict[tuple[str, str], int] = {}
    for run, broadcast, _ in _going(connection):
        for state, many in counts(connection, run).items():
            found[broadcast, state] = found.get((broadcast, state), 0) + many
    return found


def _going(connection: Connection) -> list[tuple[int, str, str]]:
    """The number, broadcast and state of each run that is not over.

    Runs that are paused have no index: they are looked for among the newest, so that it takes no longer in a year.
    """
    wanted = select(runs.c.id, runs.c.broadcast, runs.c.state)
    newest = select(func.max(runs.c.id) - LOOKED_BACK).scalar_subquery()
    paused = wanted.where(runs.c.id > newest, runs.c.state == "paused")
    rows = connection.execute(union_all(wanted.where(text(ACTIVE)), paused))
    return [(row.id, row.broadcast, row.state) for row in rows]
