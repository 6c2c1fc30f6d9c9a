"""The store of deliveries against a plain model of it: whatever workers and people do, in any order, both agree."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection

from bridge.clock import SetClock, to_ms
from bridge.model.delivery import STATES, TRANSITIONS, URGENCIES, Attempt, Delivery, Failed, Settled, State, Urgency
from bridge.store import intervene, leases, outgoing
from bridge.store.intervene import Filter
from bridge.store.leases import Heirs, Held
from bridge.store.ledger import Claim, Ledger
from bridge.store.outgoing import Take, Want
from bridge.store.page import Entry
from bridge.store.settle import Done, settle
from bridge.store.store import Store, open_store
from tests.conftest import Unwatched
from tests.values import NOON, a_delivery

T = TypeVar("T")
LEASE = timedelta(seconds=120)
LANES = st.sampled_from("abc")
WORKERS = st.sampled_from(("v", "w"))
FINISHED: tuple[State, ...] = ("sent", "dead", "unknown", "cancelled")
NO_OTHER_WAY = "CREATE TRIGGER drawn BEFORE UPDATE OF state ON deliveries WHEN NOT ({}) BEGIN SELECT RAISE(ABORT, 'not drawn'); END"  # noqa: E501 - one statement


@dataclass
class Row:
    """A delivery as the model knows it; `wake` in ms."""

    lane: str
    urgency: Urgency
    state: State
    wake: int | None
    worker: str | None = None
    tried: int = 0


class Deliveries(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = SetClock(NOON)
        self.store = self.a_new_store()
        self.rows: dict[int, Row] = {}
        self.in_hand: list[tuple[str, Delivery]] = []
        ways = [f"(OLD.state = '{a}' AND NEW.state = '{b}')" for a in STATES for b in TRANSITIONS[a]]
        self.draw(" OR ".join(["OLD.state = NEW.state", *ways]))

    def a_new_store(self) -> Store:
        return open_store(f"sqlite:///{Path(self.directory.name)}/bridge.db", self.clock, Unwatched())

    def draw(self, ways: str) -> None:
        """Let the database itself refuse whatever is not drawn."""
        self.do(lambda c: c.exec_driver_sql(NO_OTHER_WAY.format(ways)))

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    def do(self, act: Callable[[Connection], T]) -> T:
        with self.store._engine.begin() as connection:
            return act(connection)

    @property
    def now(self) -> int:
        return to_ms(self.clock.now())

    @property
    def until(self) -> int:
        return to_ms(self.clock.now() + LEASE)

    def heirs(self) -> Heirs:
        return Heirs(at=self.clock.now(), lease=LEASE)

    def of_lane(self, lane: str) -> list[int]:
        return [n for n, row in self.rows.items() if row.lane == lane and row.state in ("queued", "claimed")]

    def free(self, lanes: set[str]) -> None:
        for lane in lanes:
            waiting = self.of_lane(lane)
            if waiting and all(self.rows[n].wake is None for n in waiting):
                self.rows[min(waiting)].wake = self.now

    def claimed(self, number: int, worker: str) -> None:
        row = self.rows[number]
        row.state, row.wake, row.worker = "claimed", self.until, worker

    def given_back(self, number: int) -> None:
        row = self.rows[number]
        row.state, row.wake, row.worker = "queued", self.now, None

    @rule(lanes=st.lists(LANES, min_size=1, max_size=4), urgency=st.sampled_from(URGENCIES), worker=WORKERS,
          full=st.booleans())  # fmt: skip
    def enqueue(self, lanes: list[str], urgency: Urgency, worker: str, full: bool) -> None:
        def write(connection: Connection) -> tuple[Delivery, ...]:
            ledger = Ledger(connection, [], self.clock.now())
            for lane in lanes:
                number = ledger.next_delivery()
                made = a_delivery(id=number, event=number, lane=lane, urgency=urgency, created_at=self.clock.now())
                ledger.enqueue(Entry(delivery=made))
            wanted = [("site", urgency)] if full else []
            return ledger.write(Claim(worker=worker, until=self.clock.now() + LEASE, full=wanted))

        given = self.do(write)
        expected = []
        for lane in lanes:
            busy, number = self.of_lane(lane), len(self.rows) + 1
            self.rows[number] = Row(lane=lane, urgency=urgency, state="queued", wake=None)
            if not busy and full:
                self.rows[number].wake = self.now
            elif not busy:
                self.claimed(number, worker)
                expected.append(number)
        assert [one.id for one in given] == expected
        self.in_hand += [(worker, one) for one in given]

    @rule(worker=WORKERS, urgency=st.sampled_from(URGENCIES), most=st.integers(1, 3))
    def claim(self, worker: str, urgency: Urgency, most: int) -> None:
        want = Want(account="site", urgency=urgency, most=most)
        wish = Take(worker=worker, at=self.clock.now(), lease=LEASE, wants=(want,), heirs=self.heirs())
        [given] = self.do(lambda c: outgoing.claim(c, [wish]))
        for number, row in self.rows.items():
            if row.state == "claimed" and row.wake is not None and row.wake <= self.now:
                self.given_back(number)
        due = [
            (row.wake, n) for n, row in self.rows.items()
            if row.state == "queued" and row.urgency == urgency and row.wake is not None and row.wake <= self.now
        ]  # fmt: skip
        expected = [number for _, number in sorted(due)[:most]]
        assert [one.id for one in given] == expected
        for one in given:
            assert (one.attempts, one.urgency) == (self.rows[one.id].tried, urgency)
            self.claimed(one.id, worker)
        self.in_hand += [(worker, one) for one in given]

    @rule(data=st.data(), after=st.sampled_from(("sent", "queued", "dead", "unknown")), wait=st.integers(1, 300))
    def settle(self, data: st.DataObject, after: State, wait: int) -> None:
        """Also by a worker who has lost the claim meanwhile."""
        if not self.in_hand:
            return
        worker, mine = self.in_hand.pop(data.draw(st.integers(0, len(self.in_hand) - 1)))
        due_at = self.clock.now() + timedelta(seconds=wait) if after == "queued" else None
        attempt = Attempt(delivery=mine.id, at=self.clock.now(), took=0, outcome=Failed(reason="network", detail=""))
        done = Done(delivery=mine, attempts=(attempt,), settled=Settled(state=after, due_at=due_at),
                    at=self.clock.now(), worker=worker, lease=LEASE)  # fmt: skip
        [follower] = self.do(lambda c: settle(c, [done]))
        row = self.rows[mine.id]
        if row.state == "claimed" and row.worker == worker:
            row.state, row.worker, row.tried = after, None, row.tried + 1
            row.wake = None if due_at is None else to_ms(due_at)
        expected = None
        waiting = self.of_lane(row.lane)
        if after != "queued" and waiting:
            head = self.rows[min(waiting)]
            if head.state == "queued" and head.wake is None and all(self.rows[n].wake is None for n in waiting):
                expected = min(waiting)
                self.claimed(expected, worker)
        assert (None if follower is None else follower.id) == expected
        if follower is not None:
            self.in_hand.append((worker, follower))

    @rule(worker=WORKERS, keep=st.sets(st.integers(1, 12)))
    def release(self, worker: str, keep: set[int]) -> None:
        held = [n for n, row in self.rows.items() if row.state == "claimed" and row.worker == worker and n not in keep]
        wish = Held(worker=worker, at=self.clock.now(), numbers=tuple(keep))
        assert self.do(lambda c: leases.release(c, [wish])) == [len(held)]
        for number in held:
            self.given_back(number)

    @rule(worker=WORKERS, numbers=st.sets(st.integers(1, 12)))
    def renew(self, worker: str, numbers: set[int]) -> None:
        wish = Held(worker=worker, at=self.clock.now(), lease=LEASE, numbers=tuple(numbers))
        of_them = [(number, self.rows[number]) for number in numbers.intersection(self.rows)]
        own = {number: row for number, row in of_them if row.state == "claimed" and row.worker == worker}
        assert self.do(lambda c: leases.renew(c, [wish])) == [own.keys()]
        for row in own.values():
            row.wake = self.until

    @rule()
    def a_new_server_begins(self) -> None:
        held = [number for number, row in self.rows.items() if row.state == "claimed"]
        assert self.do(lambda c: leases.take_over(c, [self.heirs()])) == [len(held)]
        for number in held:
            self.given_back(number)

    @rule(numbers=st.sets(st.integers(1, 12)))
    def cancel(self, numbers: set[int]) -> None:
        chosen = Filter(numbers=tuple(numbers))
        meant = [n for n in self.rows if n in numbers or not numbers]
        expected = [n for n in meant if self.rows[n].state == "queued"]
        assert self.do(lambda c: intervene.cancel(c, chosen, self.clock.now())) == expected
        for number in expected:
            self.rows[number].state, self.rows[number].wake = "cancelled", None
        self.free({self.rows[number].lane for number in expected})

    @rule(numbers=st.sets(st.integers(1, 12)))
    def replay(self, numbers: set[int]) -> None:
        chosen = Filter(numbers=tuple(numbers))
        meant = [n for n in self.rows if n in numbers or not numbers]
        expected = [n for n in meant if self.rows[n].state in ("dead", "unknown")]
        assert self.do(lambda c: intervene.replay(c, chosen, self.clock.now(), lambda _: LEASE)) == expected
        for number in expected:
            busy = self.of_lane(self.rows[number].lane)
            self.rows[number].state, self.rows[number].wake = "queued", None if busy else self.now

    @rule(seconds=st.integers(1, 200))
    def time_goes_by(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        query = "SELECT id, lane, urgency, state, wake_at, worker, attempts FROM deliveries ORDER BY id"
        found = self.do(lambda c: c.exec_driver_sql(query).all())
        expected = [
            (number, row.lane, URGENCIES.index(row.urgency), row.state, row.wake, row.worker, row.tried)
            for number, row in self.rows.items()
        ]
        assert [tuple(row) for row in found] == expected

    @invariant()
    def a_lane_goes_on_and_never_twice_at_a_time(self) -> None:
        for lane in "abc":
            wakes = [self.rows[number].wake for number in self.of_lane(lane)]
            assert not wakes or sum(wake is not None for wake in wakes) == 1, (lane, wakes)


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class OnPostgres(Deliveries):
    """The same on PostgreSQL, in one database that is emptied each time."""

    url: ClassVar[str]

    def a_new_store(self) -> Store:
        store = open_store(self.url, self.clock, Unwatched())
        with store._engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE deliveries, attempts")
            connection.exec_driver_sql("ALTER SEQUENCE deliveries_number RESTART")
        return store

    def draw(self, ways: str) -> None:
        body = f"BEGIN IF NOT ({ways}) THEN RAISE EXCEPTION 'not drawn'; END IF; RETURN NEW; END"
        trigger = "TRIGGER drawn BEFORE UPDATE ON deliveries FOR EACH ROW EXECUTE FUNCTION drawn()"
        self.do(
            lambda c: c.exec_driver_sql(
                f"CREATE OR REPLACE FUNCTION drawn() RETURNS trigger LANGUAGE plpgsql AS $${body}$$;"
                f"CREATE OR REPLACE {trigger}"
            )
        )


def test_deliveries_on_postgresql(postgres_url: str) -> None:
    class Here(OnPostgres):
        url = postgres_url

    run_state_machine_as_test(Here, settings=settings(max_examples=20, stateful_step_count=30, deadline=None))
