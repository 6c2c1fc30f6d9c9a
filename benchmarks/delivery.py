"""Deliveries claimed and completed in the store, in batches: how fast, and how much a long backlog slows it.

`python -m benchmarks.delivery` takes about a minute, most of it to write the backlog.
"""

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine

from bridge.clock import SystemClock
from bridge.model.delivery import Attempt, Delivery, Reply, Sent, Settled
from bridge.store.leases import Heirs
from bridge.store.ledger import Claim, Ledger
from bridge.store.outgoing import Take, Want, claim, standing
from bridge.store.page import Entry
from bridge.store.settle import Done, settle
from bridge.store.store import open_store, visit_store

BATCH = 500
LEASE = timedelta(minutes=2)
CLOCK = SystemClock()
REPLY = Reply(text="Hello Ann, your order has left our house and will be with you tomorrow.", format="markdown")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """With a backlog of so many: deliveries a second claimed and completed, µs of each, and memory in MB."""

    backlog: int
    both: float
    claiming: float
    completing: float
    memory: float


class Nobody:
    def committed(self, batch: int, seconds: float) -> None:
        pass


def measure(backlog: int, count: int = 20_000) -> Measured:
    """Claim and complete `count` deliveries out of `backlog`, each of a lane of its own, all due."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory)}/bridge.db"
        with open_store(url, CLOCK, Nobody()):
            pass
        with visit_store(url) as engine:
            for begin in range(0, backlog, 10_000):
                with engine.begin() as connection:
                    _fill(connection, min(10_000, backlog - begin))
            with engine.connect() as connection:
                # What the backlog left in the log is not the claims' to copy back.
                connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return _drain(engine, backlog, min(count, backlog))


def _fill(connection: Connection, count: int) -> None:
    now = CLOCK.now()
    ledger = Ledger(connection, [], now)
    for _ in range(count):
        number = ledger.next_delivery()
        made = Delivery(
            id=number, event=None, rule="news", action=str(number), account="shop", lane=f"run 1/{number}",
            to={"email": f"customer-{number}@shop.example"}, reply=REPLY, created_at=now, urgency="broadcast",
        )  # fmt: skip
        ledger.enqueue(Entry(delivery=made))
    ledger.write(Claim(worker="w", until=now, full=[("shop", "broadcast")]))


def _drain(engine: Engine, backlog: int, count: int) -> Measured:
    want = Want(account="shop", urgency="broadcast", most=BATCH)
    claiming = completing = 0.0
    done = 0
    while done < count:
        now = CLOCK.now()
        wish = Take(worker="w", at=now, lease=LEASE, wants=(want,), heirs=Heirs(at=now, lease=LEASE))
        began = time.perf_counter()
        with engine.begin() as connection:
            standing(connection)
            [mine] = claim(connection, [wish])
        claimed = time.perf_counter()
        with engine.begin() as connection:
            settle(connection, [_done(delivery) for delivery in mine])
        completing += time.perf_counter() - claimed
        claiming += claimed - began
        done += len(mine)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(
        backlog=backlog,
        both=done / (claiming + completing),
        claiming=claiming / done * 1e6,
        completing=completing / done * 1e6,
        memory=memory,
    )


def _done(delivery: Delivery) -> Done:
    at = CLOCK.now()
    attempt = Attempt(delivery=delivery.id, at=at, took=0.05, outcome=Sent(reference="1"), status=200, answer="ok")
    return Done(delivery=delivery, attempts=(attempt,), settled=Settled(state="sent"), at=at, worker="w", lease=LEASE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("backlogs", nargs="*", type=int, default=[10_000, 1_000_000])
    for size in parser.parse_args().backlogs:
        print(measure(size), flush=True)
