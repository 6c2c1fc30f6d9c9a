"""The line on PostgreSQL beside SQLite, and two servers of one PostgreSQL beside one: all on whichever core is free.

`python -m benchmarks.replicas --store URL` uses a server that is there; else it starts its own.
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import Figures
from benchmarks.server import SERVE, free_port, on_core, running, write_folder
from benchmarks.stores import NAMES, new_stores
from benchmarks.traffic import CONNECTIONS, figures_of, messages

RULES = 100
EVENTS = 8_000


class Rates(NamedTuple):
    """Events a second, acknowledged and replied to."""

    acknowledged: float
    replied: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One server of SQLite, one of PostgreSQL, and two that share one."""

    file: Rates
    one: Rates
    two: Rates


def measure(store: str = "postgresql", events: int = EVENTS, rounds: int = 3) -> list[Round]:
    """The rates of each round. What `store` may be, `NAMES` says."""
    on_core(None)()
    with new_stores("sqlite") as new_file, new_stores(store) as new:
        return [
            Round(file=_rates(new_file, 1, events), one=_rates(new, 1, events), two=_rates(new, 2, events))
            for _ in range(rounds)
        ]


def _rates(new: Callable[[], str], servers: int, events: int) -> Rates:
    return Rates(
        acknowledged=_run(new(), servers, events, fires=False).per_second,
        replied=_run(new(), servers, events, fires=True).per_second,
    )


def _run(url: str, servers: int, events: int, *, fires: bool) -> Figures:
    with ExitStack() as stack:
        ports, platform, processes = [free_port() for _ in range(servers)], free_port(), []
        for port in ports:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            write_folder(folder, port, platform, RULES, url)
            processes.append(stack.enter_context(running(SERVE, folder, port, None)).pid)
        return figures_of(messages(ports, platform, fires=fires, form=False), events, processes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas", description=__doc__)
    parser.add_argument("--store", default="postgresql", help=NAMES)
    given = parser.parse_args()
    print(f"{CONNECTIONS} connections, {EVENTS} events a run; acknowledged and replied to a second")
    for number, one in enumerate(measure(given.store), 1):
        for name, rates in (("SQLite", one.file), ("PostgreSQL", one.one), ("PostgreSQL, two servers", one.two)):
            print(f"round {number}: {name:26}{rates.acknowledged:10,.0f}{rates.replied:10,.0f}")
