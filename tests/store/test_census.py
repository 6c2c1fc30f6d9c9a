"""The census: exact counts, made seldom however often it is asked, and none where the store does not answer."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Connection, update

from bridge.clock import SetClock
from bridge.store import census
from bridge.store.census import GOOD_FOR, SHARE, Census, count_states
from bridge.store.ledger import Claim, Ledger
from bridge.store.page import Entry
from bridge.store.prepared import Prepared
from bridge.store.store import Store
from bridge.store.tables import deliveries, metadata
from tests.values import a_delivery


def add(store: Store, clock: SetClock, states: Sequence[str], first: int = 1) -> None:
    """Deliveries in these states, each of a lane of its own."""
    with store._engine.begin() as connection:
        ledger = Ledger(connection, [], clock.now())
        for number, _ in enumerate(states, first):
            made = a_delivery(id=ledger.next_delivery(), event=None, action=str(number), lane=f"site/{number}")
            ledger.enqueue(Entry(delivery=made))
        ledger.write(Claim(worker="w", until=clock.now() + timedelta(minutes=2)))
        for number, state in enumerate(states, first):
            finished = None if state in ("queued", "claimed") else 1
            row = update(deliveries).where(deliveries.c.id == number)
            connection.execute(row.values(state=state, finished_at=finished))


def test_each_state_that_a_person_may_have_to_look_at_is_counted(store: Store, clock: SetClock) -> None:
    assert store.read_now(count_states) == {"queued": 0, "claimed": 0, "unknown": 0, "dead": 0}
    add(store, clock, ["queued"] * 3 + ["claimed"] * 2 + ["unknown"] + ["dead"] * 4 + ["sent", "cancelled"])
    assert store.read_now(count_states) == {"queued": 3, "claimed": 2, "unknown": 1, "dead": 4}


def test_a_count_is_given_out_again_for_some_seconds(store: Store, clock: SetClock) -> None:
    counts = Census(store, clock.monotonic, count_states)
    add(store, clock, ["dead"])
    assert counts()["dead"] == 1
    add(store, clock, ["dead"], first=2)
    clock.advance(GOOD_FOR - 0.1)
    assert counts()["dead"] == 1
    clock.advance(0.1)
    assert counts()["dead"] == 2


def test_what_takes_long_to_count_is_counted_seldom(store: Store, clock: SetClock) -> None:
    moments = iter([0.0, 2.0, 2.0 + 2.0 / SHARE - 1, 2.0 + 2.0 / SHARE, 200.0])
    counts = Census(store, lambda: next(moments), count_states)
    assert counts()["dead"] == 0
    add(store, clock, ["dead"])
    assert counts()["dead"] == 0
    assert counts()["dead"] == 1


def test_a_store_that_cannot_be_read_has_no_counts(store: Store, clock: SetClock) -> None:
    counts = Census(store, clock.monotonic, count_states)
    add(store, clock, ["dead"])
    assert counts()["dead"] == 1
    metadata.drop_all(store._engine)
    clock.advance(GOOD_FOR)
    assert counts() == {}
    metadata.create_all(store._engine)
    assert counts()["dead"] == 0


@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        (census._UNDER_WAY, {"deliveries_lane", "deliveries_lease"}),
        (census._TROUBLE, {"deliveries_trouble"}),
    ],
)
def test_counting_reads_indexes_only(file_store: Store, query: Prepared, indexes: set[str]) -> None:
    def plan(connection: Connection) -> list[str]:
        sql, _, _ = query._compiled(connection.dialect)
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]

    steps = file_store.read_now(plan)
    assert {name for name in indexes if any(f"INDEX {name}" in step for step in steps)} == indexes
    assert all("INDEX" in step for step in steps if "deliveries" in step)
