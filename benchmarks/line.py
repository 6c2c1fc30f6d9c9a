"""The whole line against a bare handler: durable acknowledgements, delivered replies, memory, time to start.

The server has one core and the load generator with the fake platform the other, where the machine has two. What of a
ratio is aiohttp's and SQLite's, and what the bridge's own, the row of `benchmarks.floor` tells. The interpreter takes
half of the time, so a Python that is built without `--enable-optimizations` gives lower ratios.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import orjson

from benchmarks.load import Figures, drive, percentile, request
from benchmarks.server import ROOT, SERVE, free_port, on_core, running, write_folder
from benchmarks.stores import NAMES, new_stores
from benchmarks.traffic import CONNECTIONS, WARM, figures_of, messages, notification

EVENTS = 15_000

BARE = "bare aiohttp + uvloop JSON handler"
ACKNOWLEDGED = "durable acknowledgement, JSON, 100 rules"
REPLIED = "webhook to delivered reply, 100 rules"
FEW = "webhook to delivered reply, 10 rules"
MANY = "webhook to delivered reply, 1,000 rules"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One configuration: `ratio` is its rate beside the yardstick's just before and after; p99 in milliseconds.

    `cpu` is what the server used for each event, in microseconds: the figure that other programs on the machine disturb
    least.
    """

    name: str
    per_second: float
    ratio: float
    cpu: float
    ack: float
    reply: float

    def __str__(self) -> str:
        reply = f"{self.reply:9.1f}ms" if self.reply else ""
        return f"{self.name:48}{self.per_second:12,.0f}{self.ratio:8.2f}{self.cpu:8.0f}µs{self.ack:8.1f}ms{reply}"


def main(events: int = EVENTS, rounds: int = 3, store: str = "sqlite") -> None:
    """Print the figures of `rounds` rounds. What `store` may be, `NAMES` says."""
    print(f"{CONNECTIONS} connections, {events:,} events a run after {WARM:,} uncounted, {rounds} rounds; medians")
    print(f"{'':48}{'per second':>12}{'ratio':>8}{'CPU each':>10}{'ack p99':>10}{'reply p99':>11}")
    for row in measure(events, rounds, store):
        print(row)
    start, memory = idle()
    print(f"start to ready: {start:.2f} s; idle memory: {memory:.0f} MB")


def measure(events: int, rounds: int, store: str = "sqlite") -> list[Row]:
    """The medians of `rounds` rounds. The yardstick is measured before and after each of the others.

    So what slows the machine for some seconds slows both sides of a ratio. Each is a new process.
    """
    found: dict[str, list[Row]] = {}
    with new_stores(store) as new:
        on_core(1)()
        runs: dict[str, Callable[[], Figures]] = {
            "  with a durable commit, and nothing else": lambda: _floor(events),
            ACKNOWLEDGED: lambda: _bridge(new(), events, 100, fires=False, form=False),
            "durable acknowledgement, multipart, 100 rules": lambda: _bridge(
                new(), events, 100, fires=False, form=True
            ),
            REPLIED: lambda: _bridge(new(), events, 100, fires=True, form=False),
            FEW: lambda: _bridge(new(), events, 10, fires=True, form=False),
            MANY: lambda: _bridge(new(), events, 1000, fires=True, form=False),
        }
        before = _yardstick(events)
        for _ in range(rounds):
            for name, run in runs.items():
                figures, after = run(), _yardstick(events)
                bare = (before.per_second + after.per_second) / 2
                found.setdefault(BARE, []).append(_row(BARE, after, bare))
                found.setdefault(name, []).append(_row(name, figures, bare))
                before = after
    return [_middle(rows) for rows in found.values()]


def _row(name: str, figures: Figures, bare: float) -> Row:
    return Row(
        name=name,
        per_second=figures.per_second,
        ratio=figures.per_second / bare,
        cpu=figures.cpu / figures.acknowledged * 1e6,
        ack=percentile(figures.ack, 0.99) * 1000,
        reply=percentile(figures.reply, 0.99) * 1000,
    )


def _middle(rows: list[Row]) -> Row:
    return Row(
        name=rows[0].name,
        per_second=median(row.per_second for row in rows),
        ratio=median(row.ratio for row in rows),
        cpu=median(row.cpu for row in rows),
        ack=median(row.ack for row in rows),
        reply=median(row.reply for row in rows),
    )


def _yardstick(events: int) -> Figures:
    port = free_port()
    message = request("/message", orjson.dumps(notification(1, "http://127.0.0.1:1")), "Content-Type: application/json")

    async def send(numbers: range) -> Figures:
        return await drive("127.0.0.1", port, iter([message] * len(numbers)), CONNECTIONS)

    with running([sys.executable, "-m", "benchmarks.bare", str(port)], ROOT, port) as server:
        return figures_of(nullcontext(send), events, [server.pid])


def _floor(events: int) -> Figures:
    port, platform = free_port(), free_port()
    command = [sys.executable, "-m", "benchmarks.floor", str(port)]
    with _folder() as folder, running(command, folder, port) as server:
        return figures_of(messages([port], platform, fires=False, form=False), events, [server.pid])


def _bridge(store: str, events: int, rules: int, *, fires: bool, form: bool) -> Figures:
    port, platform = free_port(), free_port()
    with _folder() as folder:
        write_folder(folder, port, platform, rules, store)
        with running(SERVE, folder, port) as server:
            return figures_of(messages([port], platform, fires=fires, form=form), events, [server.pid])


@contextmanager
def _folder() -> Iterator[Path]:
    """A new folder, on the disk of the environment's BENCH_DIR where it is set."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        yield Path(folder)


def idle() -> tuple[float, float]:
    """Seconds from start to ready, and resident megabytes a moment later."""
    port = free_port()
    with _folder() as folder:
        write_folder(folder, port, free_port(), 100)
        began = time.perf_counter()
        with running(SERVE, folder, port) as process:
            took = time.perf_counter() - began
            time.sleep(1)
            status = Path(f"/proc/{process.pid}/status").read_text()
    return took, int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.line", description=__doc__)
    parser.add_argument("--store", default="sqlite", help=NAMES)
    main(store=parser.parse_args().store)
