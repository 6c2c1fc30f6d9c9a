"""Lanes: who is next in a conversation when the one before is out of the way."""

from collections import namedtuple
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Connection, Select, TableValuedAlias, bindparam, cast, func, select, text

from bridge.clock import to_ms
from bridge.model.delivery import Delivery
from bridge.store.prepared import Prepared, a_list, among, as_list
from bridge.store.rows import READ, delivery_from
from bridge.store.signals import say
from bridge.store.tables import UNFINISHED, deliveries
from bridge.store.transitions import move, stay

_CLAIM = Prepared(
    move("queued", "claimed")
    .where(among(deliveries.c.id, "numbers"))
    .values(worker=bindparam("who"), wake_at=bindparam("until"))
)


def _heads(each: TableValuedAlias) -> Select[tuple[int]]:
    """The lowest number of each lane that is unfinished: one step in the index, however many wait behind it."""
    head = select(func.min(deliveries.c.id)).where(deliveries.c.lane == each.c.value, text(UNFINISHED))
    return select(head.correlate(each).scalar_subquery()).select_from(each)


_LANES = a_list("lanes")
_NEXT = Prepared(
    _heads(func.json_each(_LANES).table_valued("value")),
    postgresql=_heads(func.json_array_elements_text(cast(_LANES, JSON)).table_valued("value").render_derived()),
)
# The same for lanes in which nothing is under way and nothing waits for a time of its own.
_IDLE = Prepared(
    select(func.min(deliveries.c.id))
    .where(among(deliveries.c.lane, "lanes"), text(UNFINISHED))
    .group_by(deliveries.c.lane)
    .having(func.count(deliveries.c.wake_at) == 0)
)
COLUMNS = [deliveries.c[name] for name in (*READ, "state", "wake_at")]
"""What is read of a delivery that may be claimed."""
_BY_NUMBER = Prepared(select(*COLUMNS).where(among(deliveries.c.id, "numbers")))
# Its names are the table's, which a checker of types does not know. A row of SQLAlchemy is ten times as slow to read.
_Row = namedtuple("_Row", [column.name for column in COLUMNS])  # type: ignore[misc]
_FREE = Prepared(
    stay("queued")
    .where(deliveries.c.id == bindparam("number"), deliveries.c.wake_at.is_(None))
    .values(wake_at=bindparam("at"))
)


def take_next(connection: Connection, takers: Mapping[str, tuple[str, int]]) -> dict[str, Delivery]:
    """Claim the next of each lane whose head is finished, for its taker: a worker, and until when (ms).

    The lanes are locked: what is only queued in them now stays so until it is claimed here.
    """
    heads = [number for (number,) in _NEXT.fetch(connection, lanes=as_list(takers)) if number is not None]
    # A head that waits for a time of its own (a retry) keeps it; the others were only waiting for the lane.
    rows = [row for row in rows_of(connection, heads) if row.state == "queued" and row.wake_at is None]
    shares: dict[tuple[str, int], list[int]] = {}
    for row in rows:
        shares.setdefault(takers[row.lane], []).append(row.id)
    for (worker, until), numbers in shares.items():
        claim_rows(connection, numbers, worker, until)
    return {row.lane: delivery_from(row) for row in rows}


def claim_rows(connection: Connection, numbers: Collection[int], worker: str, until: int) -> None:
    """Claim queued deliveries by their numbers, for a worker and until a moment (ms)."""
    if numbers:
        _CLAIM.execute(connection, numbers=as_list(numbers), who=worker, until=until)


def row_of(values: Iterable[Any]) -> Any:
    """The row of a delivery, from the values of `COLUMNS`."""
    return _Row._make(values)


def rows_of(connection: Connection, numbers: Collection[int]) -> list[Any]:
    """The rows of these deliveries."""
    return [_Row._make(values) for values in _BY_NUMBER.fetch(connection, numbers=as_list(numbers))] if numbers else []


def free(connection: Connection, lanes: Iterable[str], now: datetime) -> None:
    """Let locked lanes go on from which something was taken away: where nothing else is under way, with their next."""
    heads = _IDLE.fetch(connection, lanes=as_list(lanes))
    if heads:
        _FREE.run(connection, [{"number": number, "at": to_ms(now)} for (number,) in heads])
        say(connection, "deliveries")
