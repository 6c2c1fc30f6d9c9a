"""The deliveries as the worker sees them: which accounts have some that are due, and claiming them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, Integer, bindparam, func, select, text

from bridge.clock import to_ms
from bridge.model.delivery import URGENCIES, Delivery, Urgency
from bridge.store.lanes import COLUMNS, claim_rows, row_of, rows_of
from bridge.store.leases import Heirs, run_out
from bridge.store.postgres import is_postgres
from bridge.store.prepared import Prepared, among, as_list
from bridge.store.rows import delivery_from
from bridge.store.tables import CLAIMED, DUE, REFERRED, deliveries
from bridge.store.transitions import move


@dataclass(frozen=True, kw_only=True, slots=True)
class Want:
    """A wish for at most `most` deliveries of one account and urgency that are due."""

    account: str
    urgency: Urgency
    most: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Take:
    """What a worker wants, and what becomes of the claims of workers that are gone."""

    worker: str
    at: datetime
    lease: timedelta
    wants: tuple[Want, ...]
    heirs: Heirs


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """The queued deliveries of one account and urgency: when the first is due (ms)."""

    account: str
    urgency: Urgency
    due: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What waits for a time: the backlogs, and when the first lease runs out (ms; None: nothing is claimed)."""

    backlogs: tuple[Backlog, ...]
    lease: int | None


_FIRST = (
    select(deliveries.c.account, deliveries.c.urgency, deliveries.c.wake_at)
    .where(text(DUE))
    .order_by(deliveries.c.account, deliveries.c.urgency, deliveries.c.wake_at)
    .limit(1)
)
# The next backlog: another of the same account, or the first of the next account. Asked as one question it would be
# answered by walking through the whole backlog before.
_NEXT_URGENCY = Prepared(
    _FIRST.where(deliveries.c.account == bindparam("after"), deliveries.c.urgency > bindparam("rank"))
)
_NEXT_ACCOUNT = Prepared(_FIRST.where(deliveries.c.account > bindparam("after")))
# On PostgreSQL each question costs a message there and back, so it takes all the steps by itself.
_BACKLOGS = Prepared(
    text(
        f"""
        WITH RECURSIVE first AS (
            (SELECT account, urgency, wake_at FROM deliveries WHERE {DUE} ORDER BY account, urgency, wake_at LIMIT 1)
            UNION ALL
            SELECT next.* FROM first, LATERAL (
                SELECT account, urgency, wake_at FROM deliveries
                WHERE {DUE} AND (account, urgency) > (first.account, first.urgency)
                ORDER BY account, urgency, wake_at LIMIT 1
            ) AS next
        )
        SELECT account, urgency, wake_at FROM first
        """  # noqa: S608 - DUE is ours
    )
)
_FIRST_LEASE = Prepared(select(func.min(deliveries.c.wake_at)).where(text(CLAIMED)))
_WANTED = (
    select(deliveries.c.id, deliveries.c.wake_at)
    .where(
        text(DUE),
        deliveries.c.account == bindparam("whose"),
        deliveries.c.urgency == bindparam("rank"),
        deliveries.c.wake_at <= bindparam("now"),
    )
    .order_by(deliveries.c.wake_at, deliveries.c.id)
    .limit(bindparam("most", type_=Integer))
)
_DUE = Prepared(_WANTED.with_only_columns(deliveries.c.id))
# What another server is just taking is its own. In one statement on PostgreSQL, where each costs a way there and back.
_FREE = _WANTED.with_for_update(skip_locked=True).cte("free")
_CLAIM = Prepared(
    move("queued", "claimed")
    .where(deliveries.c.id == _FREE.c.id)
    .values(worker=bindparam("who"), wake_at=bindparam("until", type_=BigInteger))
    .returning(_FREE.c.wake_at, *COLUMNS)
)
_OURS = Prepared(
    select(deliveries.c.account, deliveries.c.reference).where(
        among(deliveries.c.account, "accounts"), among(deliveries.c.reference, "references"), text(REFERRED)
    )
)


def standing(connection: Connection) -> Standing:
    """What waits, at the cost of one step in an index for each account and urgency, however long the backlogs are."""
    found = _BACKLOGS.fetch(connection) if is_postgres(connection) else _backlogs(connection)
    backlogs = tuple(Backlog(account=account, urgency=URGENCIES[rank], due=due) for account, rank, due in found)
    [(lease,)] = _FIRST_LEASE.fetch(connection)
    return Standing(backlogs=backlogs, lease=lease)


def _backlogs(connection: Connection) -> Iterator[tuple[str, int, int]]:
    after, rank = "", -1
    while found := (
        _NEXT_URGENCY.fetch(connection, after=after, rank=rank) or _NEXT_ACCOUNT.fetch(connection, after=after)
    ):
        [(after, rank, due)] = found
        yield after, rank, due


def claim(connection: Connection, items: Sequence[Take]) -> list[list[Delivery]]:
    """Claim what is due of what is wanted; first, what a dead worker held past its lease goes back to the queue."""
    return [_claim_for(connection, item) for item in items]


def _claim_for(connection: Connection, item: Take) -> list[Delivery]:
    run_out(connection, item.heirs)
    now, until = to_ms(item.at), to_ms(item.at + item.lease)
    wanted = [
        {"whose": want.account, "rank": URGENCIES.index(want.urgency), "now": now, "most": want.most}
        for want in item.wants
    ]
    if is_postgres(connection):
        return [one for want in wanted for one in _claimed(connection, want, item.worker, until)]
    numbers = [number for want in wanted for (number,) in _DUE.fetch(connection, **want)]
    rows = {row.id: row for row in rows_of(connection, numbers)}
    claim_rows(connection, numbers, item.worker, until)
    return [delivery_from(rows[number]) for number in numbers]


def _claimed(connection: Connection, want: Mapping[str, object], worker: str, until: int) -> list[Delivery]:
    """What was claimed of a wish, the longest due first: an update gives its rows in any order."""
    found = [(due, row_of(values)) for due, *values in _CLAIM.fetch(connection, **want, who=worker, until=until)]
    found.sort(key=lambda one: (one[0], one[1].id))
    return [delivery_from(row) for _, row in found]


def ours(connection: Connection, pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of these pairs (account, the platform's id of a message) are of replies that we have sent.

    A reply that went out as several messages has all their ids as one reference, so none of them is found alone.
    """
    accounts, references = as_list({account for account, _ in pairs}), as_list({name for _, name in pairs})
    found = _OURS.fetch(connection, accounts=accounts, references=references)
    return {(account, reference) for account, reference in found}.intersection(pairs)
