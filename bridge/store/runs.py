"""The runs of broadcasts: asked for, begun, held, let go on, ended. Each function that changes rows is a `Work`."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, insert, select, text, update

from bridge.clock import from_ms, to_ms
from bridge.model.broadcast import Asked, Run, RunState
from bridge.model.delivery import State
from bridge.model.event import Address
from bridge.store.locks import lock
from bridge.store.numbers import numbers
from bridge.store.rows import address_from, dump
from bridge.store.signals import say
from bridge.store.tables import ACTIVE, OF_A_RUN, deliveries, runs, schedules
from bridge.store.tally import counts
from bridge.store.transitions import move, stay

CUT_OFF = "the run was cancelled"
NEVER_SENT = "the run failed before anything was sent"
"""Why a recipient of a run that was cancelled, or has failed, got nothing."""

_asked = msgspec.json.Decoder(Asked).decode


def ask(connection: Connection, items: Sequence[Asked]) -> list[int | None]:
    """Note wishes for runs; gives their numbers, None for one that somebody has asked for already."""
    lock(connection, "broadcast", {asked.broadcast for asked in items})
    return [_ask(connection, asked) for asked in items]


def _ask(connection: Connection, asked: Asked) -> int | None:
    same = select(runs.c.id).where(runs.c.broadcast == asked.broadcast, runs.c.moment == asked.moment)
    if connection.scalar(same) is not None:
        return None
    number = next(numbers(connection, "runs"))
    row = {
        "id": number,
        "broadcast": asked.broadcast,
        "moment": asked.moment,
        "state": "asked" if asked.skip is None else "skipped",
        "asked_by": asked.asked_by,
        "at": to_ms(asked.at),
        "asked": dump(asked),
        "next_turn": 0,
        "duplicates": 0,
        "forgiven": 0,
        "detail": asked.skip,
    }
    connection.execute(insert(runs).values(row))
    say(connection, "runs")
    return number


class Look(Struct, frozen=True, kw_only=True):
    """The schedule of a broadcast was looked at up to `at`: what was due is asked for, in the same transaction.

    `before` is up to when it had been looked at. Where that is not so any more, somebody else has looked meanwhile.
    `missed` counts what was due and is too late; of that `due` may name the latest only.
    """

    broadcast: str
    schedule: str
    at: datetime
    before: datetime | None
    due: tuple[Asked, ...] = ()
    missed: int = 0


def looked(connection: Connection, items: Sequence[Look]) -> list[tuple[int, ...]]:
    """Note that schedules were looked at; gives the numbers of the new runs."""
    lock(connection, "broadcast", {look.broadcast for look in items})
    return [_looked(connection, look) for look in items]


def _looked(connection: Connection, look: Look) -> tuple[int, ...]:
    known = looked_at(connection).get(look.broadcast)
    values = {"schedule": look.schedule, "looked_at": to_ms(look.at)}
    if known is None:
        connection.execute(insert(schedules).values(broadcast=look.broadcast, **values))
    elif known == (look.schedule, look.before) or look.before is None:
        connection.execute(update(schedules).where(schedules.c.broadcast == look.broadcast).values(values))
    else:
        return ()
    return tuple(number for asked in look.due if (number := _ask(connection, asked)) is not None)


def looked_at(connection: Connection) -> dict[str, tuple[str, datetime]]:
    """By broadcast: its schedule as it was, and up to when it was looked at."""
    rows = connection.execute(select(schedules.c.broadcast, schedules.c.schedule, schedules.c.looked_at))
    return {row.broadcast: (row.schedule, from_ms(row.looked_at)) for row in rows}


class Change(Struct, frozen=True, kw_only=True):
    """A run goes from one of some states to another."""

    run: int
    come_from: tuple[RunState, ...]
    to: RunState
    at: datetime
    detail: str | None = None
    plan: str | None = None
    forgive: bool = False


ENDS: frozenset[RunState] = frozenset({"done", "cancelled", "skipped", "failed"})


def change(connection: Connection, items: Sequence[Change]) -> list[bool]:
    """Change the states of runs; gives whether each stood in one of the states that it was to come from."""
    return [_change(connection, item) for item in items]


def _change(connection: Connection, item: Change) -> bool:
    values: dict[str, object] = {
        "state": item.to,
        "detail": item.detail,
        "finished_at": to_ms(item.at) if item.to in ENDS else None,
    }
    if item.plan is not None:
        values |= {"plan": item.plan, "started_at": to_ms(item.at)}
    if item.forgive:
        states = counts(connection, item.run)
        values["forgiven"] = states.get("dead", 0) + states.get("unknown", 0)
    stands = runs.c.id == item.run, runs.c.state.in_(item.come_from)
    changed = connection.execute(update(runs).where(*stands).values(values)).rowcount == 1
    if changed:
        say(connection, "runs")
    return changed


def hold_back(connection: Connection, items: Sequence[int]) -> list[int]:
    """Take back what runs have let go and nobody has begun with; gives how many."""
    held = []
    for run in items:
        gone = stay("queued").where(text(OF_A_RUN), deliveries.c.run == run, deliveries.c.not_before.is_(None))
        held.append(connection.execute(gone.values(not_before=0, wake_at=None)).rowcount)
    return held


class CutOff(Struct, frozen=True, kw_only=True):
    """At most `most` recipients of a run who have got nothing yet will get nothing."""

    run: int
    at: datetime
    why: str = CUT_OFF
    most: int = 1000


def cut_off(connection: Connection, items: Sequence[CutOff]) -> list[int]:
    """Cancel what runs have not sent; gives how many deliveries of each."""
    return [_cut_off(connection, item) for item in items]


def left_over(connection: Connection) -> list[tuple[int, str]]:
    """The runs that were cancelled or have failed and still have recipients that wait; and why these get nothing."""
    waits = select(deliveries.c.id).where(text(OF_A_RUN), deliveries.c.run == runs.c.id, deliveries.c.state == "queued")
    over = select(runs.c.id, runs.c.state).where(runs.c.state.in_(("cancelled", "failed")), waits.exists())
    return [(row.id, NEVER_SENT if row.state == "failed" else CUT_OFF) for row in connection.execute(over)]


def _cut_off(connection: Connection, item: CutOff) -> int:
    waiting = select(deliveries.c.id).where(
        text(OF_A_RUN), deliveries.c.run == item.run, deliveries.c.state == "queued"
    )
    numbers = connection.scalars(waiting.limit(item.most)).all()
    gone = {"detail": item.why, "wake_at": None, "not_before": None, "finished_at": to_ms(item.at)}
    connection.execute(move("queued", "cancelled").where(deliveries.c.id.in_(numbers)).values(gone))
    return len(numbers)


class Again(Struct, frozen=True, kw_only=True):
    """At most `most` of a run whose deliveries have come to one of these states by `at` are to get it after all.

    Those are left alone whose text could not be made: there is nothing that could be sent to them.
    """

    run: int
    at: datetime
    states: tuple[State, ...] = ("dead",)
    most: int = 1000


def again(connection: Connection, items: Sequence[Again]) -> list[int]:
    """Plan what failed anew, and let the run go on; gives how many deliveries of each."""
    return [_again(connection, item) for item in items]


def _again(connection: Connection, item: Again) -> int:
    fresh = {
        "wake_at": None,
        "not_before": 0,
        "reason": None,
        "detail": None,
        "finished_at": None,
        "unsure_since": None,
        "expires_at": None,
    }
    found = 0
    for state in item.states:
        # What fails anew while others are still being found has had its second chance.
        of_run = text(OF_A_RUN), deliveries.c.run == item.run, deliveries.c.finished_at <= to_ms(item.at)
        made = deliveries.c.reason.is_distinct_from("template")
        failed = select(deliveries.c.id).where(*of_run, deliveries.c.state == state, made).limit(item.most - found)
        numbers = connection.scalars(failed).all()
        found += connection.execute(move(state, "queued").where(deliveries.c.id.in_(numbers)).values(fresh)).rowcount
    if found:
        _change(
            connection,
            Change(run=item.run, come_from=("running", "paused", "done"), to="running", at=item.at, forgive=True),
        )
    return found


class Line(Struct, frozen=True, kw_only=True):
    """What happened to one recipient of a run."""

    delivery: int
    person: str
    line: int | None
    to: Address
    state: str
    reason: str | None
    detail: str | None
    attempts: int
    reference: str | None
    due_at: datetime | None
    finished_at: datetime | None


def lines(connection: Connection, run: int) -> Iterator[Line]:
    """What happened to each recipient of a run, in the order of the audience, as they are read."""
    d = deliveries.c
    wanted = select(
        d.id, d.person, d.line, d.recipient, d.state, d.reason, d.detail, d.attempts, d.reference, d.wake_at,
        d.finished_at, d.not_before,
    )  # fmt: skip
    after = 0
    while rows := connection.execute(
        wanted.where(d.run == run, text(OF_A_RUN), d.id > after).order_by(d.id).limit(5000)
    ).all():
        for row in rows:
            state = "planned" if row.state == "queued" and row.not_before is not None else row.state
            yield Line(
                delivery=row.id,
                person=row.person,
                line=row.line,
                to=address_from(row.recipient),
                state=state,
                reason=row.reason,
                detail=row.detail,
                attempts=row.attempts,
                reference=row.reference,
                due_at=_moment(row.wake_at) if row.state == "queued" else None,
                finished_at=_moment(row.finished_at),
            )
        after = rows[-1].id


def active(connection: Connection) -> list[Run]:
    """The runs that something is to be done about."""
    return [_run(row) for row in connection.execute(select(runs).where(text(ACTIVE)).order_by(runs.c.id))]


def find(connection: Connection, number: int) -> Run | None:
    row = connection.execute(select(runs).where(runs.c.id == number)).one_or_none()
    return None if row is None else _run(row)


def newest(connection: Connection, most: int = 20, broadcasts: Collection[str] = ()) -> list[Run]:
    """The last runs, the newest first; only of `broadcasts`, if there are any."""
    wanted = select(runs).order_by(runs.c.id.desc()).limit(most)
    if broadcasts:
        wanted = wanted.where(runs.c.broadcast.in_(broadcasts))
    return [_run(row) for row in connection.execute(wanted)]


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        asked=_asked(row.asked),
        state=row.state,
        plan=row.plan,
        cursor=row.cursor,
        planned_at=_moment(row.planned_at),
        started_at=_moment(row.started_at),
        finished_at=_moment(row.finished_at),
        duplicates=row.duplicates,
        forgiven=row.forgiven,
        detail=row.detail,
    )


def _moment(at: int | None) -> datetime | None:
    return None if at is None else from_ms(at)
