"""Lanes: who is next in a conversation when the one before is out of the way."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text

from bridge.clock import to_ms
from bridge.model.delivery import Delivery
from bridge.store.prepared import Prepared, among, as_list
from bridge.store.rows import delivery_from
from bridge.store.tables import UNFINISHED, deliveries
from bridge.store.transitions import move, stay

_CLAIM = Prepared(
    move("queued", "claimed")
    .where(deliveries.c.id == bindparam("number"))
    .values(worker=bindparam("who"), wake_at=bindparam("until"))
)
_EACH = func.json_each(bindparam("lanes")).table_valued("value")
# The lowest number of each lane that is unfinished: one step in the index, however many wait behind it.
_NEXT = Prepared(
    select(
        select(func.min(deliveries.c.id))
        .where(deliveries.c.lane == _EACH.c.value, text(UNFINISHED))
        .correlate(_EACH)
        .scalar_subquery()
    ).select_from(_EACH)
)
# The same for lanes in which nothing is under way and nothing waits for a time of its own.
_IDLE = Prepared(
    select(func.min(deliveries.c.id))
    .where(among(deliveries.c.lane, "lanes"), text(UNFINISHED))
    .group_by(deliveries.c.lane)
    .having(func.count(deliveries.c.wake_at) == 0)
)
_BY_NUMBER = select(deliveries).where(deliveries.c.id.in_(bindparam("numbers", expanding=True)))
_FREE = Prepared(
    stay("queued")
    .where(deliveries.c.id == bindparam("number"), deliveries.c.wake_at.is_(None))
    .values(wake_at=bindparam("at"))
)


def take_next(connection: Connection, takers: Mapping[str, tuple[str, int]]) -> dict[str, Delivery]:
    """Claim the next of each lane whose head is finished, for its taker: a worker, and until when (ms)."""
    heads = [number for (number,) in _NEXT.fetch(connection, lanes=as_list(takers)) if number is not None]
    # A head that waits for a time of its own (a retry) keeps it; the others were only waiting for the lane.
    rows = [row for row in rows_of(connection, heads) if row.state == "queued" and row.wake_at is None]
    claim_rows(connection, {row.id: takers[row.lane] for row in rows})
    return {row.lane: delivery_from(row) for row in rows}


def claim_rows(connection: Connection, takers: Mapping[int, tuple[str, int]]) -> None:
    """Claim queued deliveries by their numbers, each for a worker and until a moment (ms)."""
    if takers:
        _CLAIM.run(connection, [{"number": n, "who": who, "until": until} for n, (who, until) in takers.items()])


def rows_of(connection: Connection, numbers: Iterable[int]) -> list[Any]:
    """The rows of these deliveries."""
    wanted = list(numbers)
    return list(connection.execute(_BY_NUMBER, {"numbers": wanted})) if wanted else []


def free(connection: Connection, lanes: Iterable[str], now: datetime) -> None:
    """Let lanes go on from which something was taken away: where nothing else is under way, with their next."""
    heads = _IDLE.fetch(connection, lanes=as_list(lanes))
    if heads:
        _FREE.run(connection, [{"number": number, "at": to_ms(now)} for (number,) in heads])
