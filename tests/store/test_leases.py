"""Leases: kept by who holds them, however much that is, and only by who still does."""

import asyncio
from datetime import timedelta

from sqlalchemy import Connection, select, update

from bridge.clock import SetClock, to_ms
from bridge.store.leases import Begun, Held, begin, renew
from bridge.store.ledger import Claim, Ledger
from bridge.store.page import Entry
from bridge.store.store import Store
from bridge.store.tables import deliveries
from tests.values import a_delivery

LEASE = timedelta(minutes=2)


def claimed(connection: Connection, clock: SetClock, count: int) -> None:
    """So many more deliveries that worker "w" holds, each of a lane of its own."""
    ledger = Ledger(connection, [], clock.now())
    for _ in range(count):
        number = ledger.next_delivery()
        ledger.enqueue(Entry(delivery=a_delivery(id=number, event=None, action=str(number), lane=f"site/{number}")))
    ledger.write(Claim(worker="w", until=clock.now() + LEASE))


async def test_only_what_a_worker_still_holds_is_renewed_and_it_is_told_which(store: Store, clock: SetClock) -> None:
    async def wish(numbers: tuple[int, ...]) -> frozenset[int]:
        return await store.write(renew, Held(worker="w", at=clock.now(), lease=LEASE, numbers=numbers))

    def prepare(connection: Connection, items: object) -> list[None]:
        claimed(connection, clock, 4)
        connection.execute(update(deliveries).where(deliveries.c.id == 2).values(worker="another"))
        connection.execute(update(deliveries).where(deliveries.c.id == 3).values(state="sent", worker=None))
        return [None]

    await store.write(prepare, None)
    before = to_ms(clock.now() + LEASE)
    clock.advance(30)
    assert await wish((1, 2, 3)) == {1}
    ends = store.read_now(lambda c: c.execute(select(deliveries.c.wake_at).order_by(deliveries.c.id)).scalars().all())
    assert ends == [before + 30_000, before, before, before]
    assert await wish(()) == frozenset()


async def test_any_number_of_claims_is_renewed_at_once(store: Store, clock: SetClock) -> None:
    """More than a statement may have parameters on either engine."""

    def prepare(connection: Connection, items: object) -> list[None]:
        claimed(connection, clock, 4)
        return [None]

    await store.write(prepare, None)
    held = Held(worker="w", at=clock.now(), lease=LEASE, numbers=tuple(range(1, 100_000)))
    assert await store.write(renew, held) == {1, 2, 3, 4}


async def test_an_attempt_begins_only_at_what_a_worker_still_holds(store: Store, clock: SetClock) -> None:
    def prepare(connection: Connection, items: object) -> list[None]:
        claimed(connection, clock, 3)
        connection.execute(update(deliveries).where(deliveries.c.id == 2).values(worker="another"))
        return [None]

    await store.write(prepare, None)
    attempts = [Begun(delivery=number, worker="w", at=clock.now()) for number in (1, 2, 3)]
    assert await asyncio.gather(*(store.write(begin, one) for one in attempts)) == [True, False, True]
    begun = store.read_now(
        lambda c: c.execute(select(deliveries.c.unsure_since).order_by(deliveries.c.id)).scalars().all()
    )
    assert [one is not None for one in begun] == [True, False, True]
