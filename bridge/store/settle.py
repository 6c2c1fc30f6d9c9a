"""Settle: record what came of deliveries, and all that follows from it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Connection, Text, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.clock import to_ms
from bridge.model.delivery import Attempt, Delivery, Failed, Outcome, Sent, Settled, State
from bridge.store.lanes import take_next
from bridge.store.learn import Lesson, learn, teaches
from bridge.store.locks import lock
from bridge.store.postgres import is_postgres
from bridge.store.prepared import Prepared, among, as_list, in_one_go
from bridge.store.tables import attempts, deliveries
from bridge.store.transitions import stay


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
_SETTLED = (
    stay("claimed")
    .where(deliveries.c.id == bindparam("number"), deliveries.c.worker == bindparam("who"))
    .values(
        state=bindparam("new_state"),
        wake_at=bindparam("due"),
        worker=None,
        attempts=deliveries.c.attempts + bindparam("tried"),
        reason=bindparam("why"),
        detail=bindparam("what"),
        finished_at=bindparam("finished"),
        unsure_since=bindparam("unsure"),
        reference=bindparam("named"),
    )
)
# On PostgreSQL the statement itself tells which deliveries it found still claimed, and by whom. SQLite runs it once for
# each row and would have to be asked each time, so there it is cheaper to look first.
_SETTLE = Prepared(_SETTLED, postgresql=_SETTLED.returning(deliveries.c.id, bindparam("who", type_=Text)))
_CLAIMED = Prepared(
    select(deliveries.c.id, deliveries.c.worker).where(
        among(deliveries.c.id, "numbers"), deliveries.c.state == "claimed"
    )
)
# Two workers may have tried the same delivery, when the lease of one ran out; what the first recorded stays.
_ATTEMPT = Prepared(
    sqlite.insert(attempts).on_conflict_do_nothing(),
    [column.name for column in attempts.c],
    postgresql=postgresql.insert(attempts).on_conflict_do_nothing(),
)


def settle(connection: Connection, items: Sequence[Done]) -> list[Delivery | None]:
    """Record attempts and what became of their deliveries; gives each worker the next of the lane, claimed.

    What an operation found is remembered in the same transaction, unless another worker has the delivery by now.
    """
    with in_one_go(connection):
        return _settle(connection, items)


def _settle(connection: Connection, items: Sequence[Done]) -> list[Delivery | None]:
    if is_postgres(connection):
        lock(connection, "conversation", _taught(items))
        lock(connection, "lane", {item.delivery.lane for item in items if item.settled.state not in _GOES_ON})
    claims = _settled(connection, items)
    tried = [row for item in items for row in _attempt_rows(item)]
    if tried:
        _ATTEMPT.run(connection, tried)
    claimed = dict(claims())
    held = [item for item in items if claimed.get(item.delivery.id) == item.worker]
    lessons = [item for item in held if teaches(item.delivery, item.settled)]
    if lessons:
        learn(connection, [Lesson(delivery=item.delivery, found=_found(item), at=item.at) for item in lessons])
    # Who has lost the claim has ended nothing: perhaps its lane is busy again.
    finished = {item.delivery.lane: item for item in held if item.settled.state not in _GOES_ON}
    if not finished:
        return [None] * len(items)
    # One end for all of a transaction, so that claiming them is one statement.
    until = max(to_ms(item.at + item.lease) for item in finished.values())
    takers = {lane: (item.worker, until) for lane, item in finished.items()}
    freed = take_next(connection, takers)
    return [freed.pop(item.delivery.lane, None) if finished.get(item.delivery.lane) is item else None for item in items]


def _settled(connection: Connection, items: Sequence[Done]) -> Callable[[], Sequence[tuple[int, str]]]:
    """Write what becomes of those that their workers still hold; gives what tells by whom each was held till then."""
    rows = [_settled_row(item) for item in items]
    if is_postgres(connection):
        return _SETTLE.ask_for(connection, rows)
    found = _CLAIMED.fetch(connection, numbers=as_list(item.delivery.id for item in items))
    _SETTLE.run(connection, rows)
    return lambda: found


def _taught(items: Sequence[Done]) -> set[str]:
    """The conversations that may learn something."""
    commands = [item.delivery.command for item in items if teaches(item.delivery, item.settled)]
    return {command.conversation for command in commands if command is not None}


def _settled_row(item: Done) -> dict[str, object]:
    settled = item.settled
    return {
        "number": item.delivery.id,
        "who": item.worker,
        "new_state": settled.state,
        "due": None if settled.due_at is None else to_ms(settled.due_at),
        "tried": len(item.attempts),
        "why": settled.reason,
        "what": settled.detail,
        "finished": None if settled.state in _GOES_ON else to_ms(item.at),
        "unsure": None if settled.unsure_since is None else to_ms(settled.unsure_since),
        "named": _reference(item),
    }


def _outcome(item: Done) -> Outcome | None:
    return item.attempts[-1].outcome if item.attempts else None


def _reference(item: Done) -> str | None:
    """The platform's id of a message, by which its echo is known. An operation's may be the id of anything."""
    outcome = _outcome(item)
    return outcome.reference if isinstance(outcome, Sent) and item.delivery.command is None else None


def _found(item: Done) -> object:
    outcome = _outcome(item)
    return outcome.found if isinstance(outcome, Sent) else None


def _attempt_rows(item: Done) -> Iterator[dict[str, object]]:
    for number, attempt in enumerate(item.attempts, item.delivery.attempts + 1):
        outcome = attempt.outcome
        name = "sent" if isinstance(outcome, Sent) else "failed" if isinstance(outcome, Failed) else "unknown"
        said = outcome.reference if isinstance(outcome, Sent) else outcome.detail
        yield {
            "delivery": item.delivery.id,
            "number": number,
            "at": to_ms(attempt.at),
            "took": round(attempt.took * 1000),
            "outcome": name,
            "reason": None if isinstance(outcome, Sent) else outcome.reason,
            "detail": ": ".join(filter(None, (attempt.note, said))) or None,
            "status": attempt.status,
            "answer": attempt.answer,
        }
