"""Leases: a claim is for a time, so that what a dead worker held is taken over.

Each function here is a `Work`: it runs for many callers in one shared transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Connection, and_, bindparam, case, func, not_, select, text

from bridge.clock import to_ms
from bridge.store.lanes import free
from bridge.store.locks import lock
from bridge.store.prepared import Prepared, among, as_list
from bridge.store.signals import say
from bridge.store.tables import CLAIMED, deliveries
from bridge.store.transitions import move, stay


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Deliveries a worker holds: to be kept longer, or kept while all others are given back."""

    worker: str
    at: datetime
    lease: timedelta = timedelta(0)
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Heirs:
    """What becomes of deliveries whose worker is gone, who may have sent them; `lease` is how long claims are for.

    Of replies by the accounts in `ask` the platform is asked; for the accounts in `hold` a person decides; others are
    sent again.
    """

    at: datetime
    lease: timedelta
    hold: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()


_AT_ONCE = 500


class Begun(Struct, frozen=True, kw_only=True):
    """An attempt begins at a delivery that is not to be sent again where nobody knows what came of it."""

    delivery: int
    worker: str
    at: datetime


_BEGIN = Prepared(
    stay("claimed")
    .where(deliveries.c.id == bindparam("number"), deliveries.c.worker == bindparam("who"))
    .values(unsure_since=func.coalesce(deliveries.c.unsure_since, bindparam("since", type_=BigInteger))),
    ("since", "number", "who"),
)


_RENEW = Prepared(
    stay("claimed")
    .where(among(deliveries.c.id, "numbers"), deliveries.c.worker == bindparam("who"))
    .values(wake_at=bindparam("until", type_=BigInteger))
)
_LATE = Prepared(
    select(deliveries.c.id, deliveries.c.lane)
    .where(text(CLAIMED), deliveries.c.wake_at <= bindparam("now"))
    .limit(_AT_ONCE)
)
_OWN = Prepared(
    select(deliveries.c.id).where(
        among(deliveries.c.id, "numbers"), deliveries.c.worker == bindparam("who"), deliveries.c.state == "claimed"
    )
)


def begin(connection: Connection, items: Sequence[Begun]) -> list[bool]:
    """Note attempts before they are made, so that what a worker had only claimed when it died is known as not sent.

    Gives whether each delivery is still its worker's: what was not begun before its lease ran out, another may send.
    """
    rows = [(to_ms(one.at), one.delivery, one.worker) for one in items]
    if _BEGIN.write(connection, rows) == len(items):
        return [True] * len(items)
    numbers = as_list(one.delivery for one in items)
    own = {
        (worker, number)
        for worker in {one.worker for one in items}
        for (number,) in _OWN.fetch(connection, numbers=numbers, who=worker)
    }
    return [(one.worker, one.delivery) in own for one in items]


def renew(connection: Connection, items: Sequence[Held]) -> list[frozenset[int]]:
    """Keep the claims of a worker that is alive; gives those of the deliveries that are still its own."""
    return [_renew(connection, item) for item in items]


def _renew(connection: Connection, item: Held) -> frozenset[int]:
    numbers = as_list(item.numbers)
    _RENEW.run(connection, [{"numbers": numbers, "who": item.worker, "until": to_ms(item.at + item.lease)}])
    return frozenset(number for (number,) in _OWN.fetch(connection, numbers=numbers, who=item.worker))


def release(connection: Connection, items: Sequence[Held]) -> list[int]:
    """Give back all that a worker claimed but `numbers`, to be taken at once by whoever has room; gives how many."""
    return [_release(connection, _claimed_by(item.worker, item.numbers), item.at) for item in items]


def _claimed_by(worker: str, but: tuple[int, ...]) -> ColumnElement[bool]:
    return and_(text(CLAIMED), deliveries.c.worker == worker, deliveries.c.id.not_in(but))


def take_over(connection: Connection, items: Sequence[Heirs]) -> list[int]:
    """Give back whatever a server that died held. Only for the one server of a file, before it begins."""
    return [_abandon(connection, and_(text(CLAIMED)), item) for item in items]


def run_out(connection: Connection, item: Heirs) -> int:
    """Give back what is held past its lease, some of it at a time; gives how many."""
    now = to_ms(item.at)
    rows = _LATE.fetch(connection, now=now)
    if not rows:
        return 0
    lock(connection, "lane", {lane for _, lane in rows})
    late = and_(text(CLAIMED), deliveries.c.wake_at <= now, deliveries.c.id.in_([number for number, _ in rows]))
    return _abandon(connection, late, item)


def _abandon(connection: Connection, held: ColumnElement[bool], item: Heirs) -> int:
    """What becomes of deliveries whose worker is gone. Those to be asked about go back to the queue with the rest."""
    asked = and_(deliveries.c.account.in_(item.ask), deliveries.c.command.is_(None))
    if item.ask:
        connection.execute(
            stay("claimed").where(held, asked, deliveries.c.unsure_since.is_(None)).values(unsure_since=_began(item))
        )
    by_account = case((deliveries.c.account.in_(item.hold), "hold"), else_="resend")
    begun = deliveries.c.unsure_since.is_not(None)
    unsure = and_(held, begun, func.coalesce(deliveries.c.on_unknown, by_account) == "hold", not_(asked))
    if lanes := connection.scalars(select(deliveries.c.lane).where(unsure)).all():
        connection.execute(
            move("claimed", "unknown")
            .where(unsure)
            .values(
                reason="unknown",
                detail="the bridge stopped during an attempt; nobody can say whether it was sent",
                finished_at=to_ms(item.at),
                wake_at=None,
                worker=None,
            )
        )
        free(connection, lanes, item.at)
    return _release(connection, held, item.at)


def _began(item: Heirs) -> ColumnElement[int]:
    """When an attempt that nobody finished began, at the earliest: in the lease, which may have been renewed once
    since, but not before the delivery was made. Too late a moment would overlook what was sent."""
    lease = round(item.lease.total_seconds() * 1000)
    earliest = deliveries.c.wake_at - 2 * lease
    return case((earliest > deliveries.c.created_at, earliest), else_=deliveries.c.created_at)


def _release(connection: Connection, held: ColumnElement[bool], now: datetime) -> int:
    back = move("claimed", "queued").where(held).values(wake_at=to_ms(now), worker=None)
    count = connection.execute(back).rowcount
    if count:
        say(connection, "deliveries")
    return count
