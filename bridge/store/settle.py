"""Settle: record what came of deliveries, and all that follows from it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Text, Update, bindparam, null

from bridge.clock import to_ms
from bridge.model.delivery import Attempt, Delivery, Failed, Outcome, Sent, Settled, State
from bridge.store.insert import insert_unless_there
from bridge.store.lanes import take_next
from bridge.store.learn import Lesson, learn, teaches
from bridge.store.locks import lock
from bridge.store.postgres import is_postgres
from bridge.store.prepared import Prepared, in_one_go
from bridge.store.rows import Row
from bridge.store.tables import attempts, deliveries
from bridge.store.transitions import move, stay


class Done(Struct, frozen=True, kw_only=True):
    """The attempts of one turn, what becomes of their delivery, and who may take the next one of its lane.

    There are none where it was given up untried, and two where the platform was asked about an earlier one first.
    """

    delivery: Delivery
    attempts: tuple[Attempt, ...]
    settled: Settled
    at: datetime
    worker: str
    lease: timedelta


_GOES_ON: tuple[State, ...] = ("queued", "claimed")
_HELD = (deliveries.c.id == bindparam("number"), deliveries.c.worker == bindparam("who"))
_TRIED = deliveries.c.attempts + bindparam("tried")


def _telling(settled: Update, names: Sequence[str]) -> Prepared:
    """On PostgreSQL the statement itself tells which deliveries it found still claimed, and by whom."""
    return Prepared(settled, names, postgresql=settled.returning(deliveries.c.id, bindparam("who", type_=Text)))


# For what is sent, as nearly all are. That some of it is nothing, the statement itself says: a driver takes longer to
# hand over nothing than a value.
_SENT = _telling(
    move("claimed", "sent")
    .where(*_HELD)
    .values(
        wake_at=null(),
        worker=null(),
        attempts=_TRIED,
        reason=null(),
        detail=null(),
        finished_at=bindparam("finished"),
        unsure_since=null(),
        reference=bindparam("named"),
    ),
    ("tried", "finished", "named", "number", "who"),
)
_SETTLED = _telling(
    stay("claimed")
    .where(*_HELD)
    .values(
        state=bindparam("new_state"),
        wake_at=bindparam("due"),
        worker=null(),
        attempts=_TRIED,
        reason=bindparam("why"),
        detail=bindparam("what"),
        finished_at=bindparam("finished"),
        unsure_since=bindparam("unsure"),
        reference=bindparam("named"),
    ),
    ("new_state", "due", "tried", "why", "what", "finished", "unsure", "named", "number", "who"),
)
_WELL = Settled(state="sent")
# Two workers may have tried the same delivery, when the lease of one ran out; what the first recorded stays.
_ATTEMPT = Prepared(insert_unless_there(attempts), [column.name for column in attempts.c])


def settle(connection: Connection, items: Sequence[Done]) -> list[Delivery | None]:
    """Record attempts and what became of their deliveries; gives each worker the next of the lane, claimed.

    What an operation found is remembered in the same transaction, unless another worker has the delivery by now.
    """
    with in_one_go(connection):
        return _settle(connection, items)


def _settle(connection: Connection, items: Sequence[Done]) -> list[Delivery | None]:
    if is_postgres(connection):
        lock(connection, "conversation", _taught(items))
        lock(connection, "lane", {item.delivery.lane for item in items if _frees(item)})
    claims = _settled(connection, items)
    tried = [row for item in items for row in _attempt_rows(item)]
    if tried:
        _ATTEMPT.write(connection, tried)
    claimed = claims()
    held = [item for item in items if (item.delivery.id, item.worker) in claimed]
    lessons = [item for item in held if teaches(item.delivery, item.settled)]
    if lessons:
        learn(connection, [Lesson(delivery=item.delivery, found=_found(item), at=item.at) for item in lessons])
    # Who has lost the claim has ended nothing: perhaps its lane is busy again.
    finished = {item.delivery.lane: item for item in held if _frees(item)}
    if not finished:
        return [None] * len(items)
    # One end for all of a transaction, so that claiming them is one statement.
    until = to_ms(max([item.at + item.lease for item in finished.values()]))
    takers = {lane: (item.worker, until) for lane, item in finished.items()}
    freed = take_next(connection, takers)
    return [freed.pop(item.delivery.lane, None) if finished.get(item.delivery.lane) is item else None for item in items]


def _settled(connection: Connection, items: Sequence[Done]) -> Callable[[], Collection[tuple[int, str]]]:
    """Write what becomes of those that their workers still hold; gives what tells which were, and by whom."""
    sent: list[Row] = []
    others: list[Row] = []
    for item in items:
        if item.settled == _WELL:
            sent.append(_sent_row(item))
        else:
            others.append(_settled_row(item))
    asked = [_written(connection, what, rows) for what, rows in ((_SENT, sent), (_SETTLED, others)) if rows]
    return lambda: {claim for found in asked for claim in found()}


def _written(connection: Connection, statement: Prepared, rows: Sequence[Row]) -> Callable[[], Sequence[Any]]:
    if is_postgres(connection):
        return statement.ask_for(connection, rows)
    claims = [row[-2:] for row, changed in zip(rows, statement.each(connection, rows), strict=True) if changed]
    return lambda: claims


def _frees(item: Done) -> bool:
    """Whether it is out of the way of those behind it in its lane."""
    return item.settled.state not in _GOES_ON


def _taught(items: Sequence[Done]) -> set[str]:
    """The conversations that may learn something."""
    commands = [item.delivery.command for item in items if teaches(item.delivery, item.settled)]
    return {command.conversation for command in commands if command is not None}


def _sent_row(item: Done) -> Row:
    return len(item.attempts), to_ms(item.at), _reference(item), item.delivery.id, item.worker


def _settled_row(item: Done) -> Row:
    settled = item.settled
    return (
        settled.state,
        None if settled.due_at is None else to_ms(settled.due_at),
        len(item.attempts),
        settled.reason,
        settled.detail,
        None if settled.state in _GOES_ON else to_ms(item.at),
        None if settled.unsure_since is None else to_ms(settled.unsure_since),
        _reference(item),
        item.delivery.id,
        item.worker,
    )


def _outcome(item: Done) -> Outcome | None:
    return item.attempts[-1].outcome if item.attempts else None


def _reference(item: Done) -> str | None:
    """The platform's id of a message, by which its echo is known. An operation's may be the id of anything."""
    outcome = _outcome(item)
    return outcome.reference if isinstance(outcome, Sent) and item.delivery.command is None else None


def _found(item: Done) -> object:
    outcome = _outcome(item)
    return outcome.found if isinstance(outcome, Sent) else None


def _attempt_rows(item: Done) -> Iterator[Row]:
    """All columns of the table."""
    for number, attempt in enumerate(item.attempts, item.delivery.attempts + 1):
        outcome = attempt.outcome
        said = outcome.reference if isinstance(outcome, Sent) else outcome.detail
        yield (
            item.delivery.id,
            number,
            to_ms(attempt.at),
            round(attempt.took * 1000),
            "sent" if isinstance(outcome, Sent) else "failed" if isinstance(outcome, Failed) else "unknown",
            None if isinstance(outcome, Sent) else outcome.reason,
            ": ".join(filter(None, (attempt.note, said))) if attempt.note or said else None,
            attempt.status,
            attempt.answer,
        )
