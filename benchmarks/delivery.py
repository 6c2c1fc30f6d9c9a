"""Deliveries claimed and completed in the store, in batches: how fast, and how much a long backlog slows it.

`python -m benchmarks.delivery` takes about half a minute, most of it to write the backlog.
"""

import argparse
import resource
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import quantiles

from sqlalchemy import Connection

from benchmarks.stores import NAMES, new_stores
from bridge.clock import SystemClock
from bridge.model.delivery import Attempt, Delivery, Reply, Sent, Settled
from bridge.store.leases import Heirs
from bridge.store.ledger import Claim, Ledger
from bridge.store.outgoing import Take, Want, claim, standing
from bridge.store.page import Entry
from bridge.store.postgres import is_postgres
from bridge.store.settle import Done, settle
from bridge.store.store import open_store, visit_store
from bridge.store.tables import deliveries

BATCH = 500
LEASE = timedelta(minutes=2)
CLOCK = SystemClock()
REPLY = Reply(text="Hello Ann, your order has left our house and will be with you tomorrow.", format="markdown")
BACKLOGS = 10_000, 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """With a backlog of so many: deliveries a second claimed and completed, and the µs of each."""

    backlog: int
    both: float
    claiming: float
    completing: float


@dataclass(kw_only=True, slots=True)
class Draining:
    """A store that is drained: what is claimed now, and the seconds of its batches: whole, completing, claiming."""

    backlog: int
    connection: Connection
    mine: list[Delivery]
    times: list[tuple[float, float, float]]


class Nobody:
    def committed(self, batch: int, seconds: float) -> None:
        pass


def measure(
    backlogs: Sequence[int] = BACKLOGS, count: int = 20_000, store: str = "sqlite"
) -> tuple[list[Measured], float]:
    """Claim and complete `count` deliveries out of each backlog, each of a lane of its own, all due; also the MB of
    memory that it took. What `store` may be, `NAMES` says.

    The backlogs take turns, batch by batch, so that whatever else the machine does slows all of them alike.
    """
    with new_stores(store) as new, ExitStack() as stack:
        all_of_them = [_begin(stack, new(), backlog) for backlog in backlogs]
        before = _resident()
        for _ in range(count // BATCH):
            for one in all_of_them:
                _step(one)
        return [_measured(one) for one in all_of_them], _resident() - before


def _begin(stack: ExitStack, url: str, backlog: int) -> Draining:
    """A store with a backlog, of which a first batch is claimed."""
    with open_store(url, CLOCK, Nobody()):
        pass
    engine = stack.enter_context(visit_store(url))
    with engine.begin() as connection:
        _fill(connection, backlog)
    connection = stack.enter_context(engine.connect())
    # What the backlog left to be done is not the claims' to do.
    for statement in ("ANALYZE", "CHECKPOINT") if is_postgres(connection) else ("PRAGMA wal_checkpoint(TRUNCATE)",):
        connection.connection.cursor().execute(statement)
    mine, _, _ = _turn(connection, [])
    return Draining(backlog=backlog, connection=connection, mine=mine, times=[])


def _step(one: Draining) -> None:
    """As the writer does it: what was claimed before is completed in the transaction in which more is claimed."""
    done = [_done(delivery) for delivery in one.mine]
    if len(done) < BATCH:
        return
    began = time.perf_counter()
    one.mine, completing, claiming = _turn(one.connection, done)
    one.times.append((time.perf_counter() - began, completing, claiming))


def _measured(one: Draining) -> Measured:
    """By the fastest fourth of the batches: the others waited for something else on this machine."""
    whole, completing, claiming = (quantiles(column)[0] / BATCH for column in zip(*one.times, strict=True))
    return Measured(backlog=one.backlog, both=1 / whole, claiming=claiming * 1e6, completing=completing * 1e6)


def _fill(connection: Connection, count: int) -> None:
    """The first as the line writes it, the others copied from it by the database."""
    now = CLOCK.now()
    ledger = Ledger(connection, [], now)
    made = Delivery(
        id=ledger.next_delivery(), event=None, rule="news", action="1", account="shop", lane="run 1/1",
        to={"email": "customer-1@shop.example"}, reply=REPLY, created_at=now, urgency="broadcast",
    )  # fmt: skip
    ledger.enqueue(Entry(delivery=made))
    ledger.write(Claim(worker="w", until=now, full=[("shop", "broadcast")]))
    text = "CAST(n AS TEXT)"
    lane, recipient = f"'run 1/' || {text}", f"replace(recipient, '-1@', '-' || {text} || '@')"
    own = {"id": "n", "action": text, "lane": lane, "recipient": recipient}
    names = [column.name for column in deliveries.c]
    copied = ", ".join(own.get(name, name) for name in names)
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
    connection.exec_driver_sql(
        f"{numbers} INSERT INTO deliveries ({', '.join(names)}) SELECT {copied} FROM numbers, deliveries WHERE id = 1"
    )


def _turn(connection: Connection, done: list[Done]) -> tuple[list[Delivery], float, float]:
    """One transaction: what was claimed, and the seconds that completing and claiming took of it."""
    now = CLOCK.now()
    want = Want(account="shop", urgency="broadcast", most=BATCH)
    with connection.begin():
        began = time.perf_counter()
        settle(connection, done)
        settled = time.perf_counter()
        standing(connection)
        wish = Take(worker="w", at=now, lease=LEASE, wants=(want,), heirs=Heirs(at=now, lease=LEASE))
        [mine] = claim(connection, [wish])
        return mine, settled - began, time.perf_counter() - settled


def _resident() -> float:
    """The memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _done(delivery: Delivery) -> Done:
    at = CLOCK.now()
    attempt = Attempt(delivery=delivery.id, at=at, took=0.05, outcome=Sent(reference="1"), status=200, answer="ok")
    return Done(delivery=delivery, attempts=(attempt,), settled=Settled(state="sent"), at=at, worker="w", lease=LEASE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("backlogs", nargs="*", type=int, default=BACKLOGS)
    parser.add_argument("--store", default="sqlite", help=NAMES)
    given = parser.parse_args()
    found, memory = measure(given.backlogs, store=given.store)
    for measured in found:
        print(measured)
    print(f"{memory:.1f} MB of memory for it")
