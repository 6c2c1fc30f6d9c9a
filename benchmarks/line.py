"""The whole line against a bare handler: durable acknowledgements, delivered replies, memory, time to start.

The server has one core and the load generator with the fake platform the other, where the machine has two. What of a
ratio is aiohttp's and SQLite's, and what the bridge's own, the row of `benchmarks.floor` tells. The interpreter takes
half of the time, so a Python that is built without `--enable-optimizations` gives lower ratios.
"""

import argparse
import asyncio
import gc
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from urllib.request import urlopen

import orjson
import uvloop

from benchmarks.load import FakePlatform, Figures, drive, percentile, request, sum_of
from benchmarks.matching import mixed_rule
from benchmarks.stores import NAMES, new_stores

CONNECTIONS = 64
EVENTS = 15_000
ROOT = Path(__file__).parent.parent
_MARK = re.compile(rb"mark (\d+)")


ACKNOWLEDGED = "durable acknowledgement, JSON, 100 rules"
REPLIED = "webhook to delivered reply, 100 rules"
FEW = "webhook to delivered reply, 10 rules"
MANY = "webhook to delivered reply, 1,000 rules"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One configuration: `ratio` is its rate beside the yardstick's of the same round; p99 in milliseconds.

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
    print(f"The line: {CONNECTIONS} connections, {events} events a run, {rounds} rounds; the median of each")
    print(f"{'':48}{'per second':>12}{'ratio':>8}{'CPU each':>10}{'ack p99':>10}{'reply p99':>11}")
    for row in measure(events, rounds, store):
        print(row)
    start, memory = idle()
    print(f"start to ready: {start:.2f} s; idle memory: {memory:.0f} MB")


def measure(events: int, rounds: int, store: str = "sqlite") -> list[Row]:
    """The medians of `rounds` rounds; in each the yardstick is measured beside the rest."""
    found: dict[str, list[Row]] = {}
    with new_stores(store) as new:
        for _ in range(rounds):
            bare = _bare(events)
            measured = {
                "bare aiohttp + uvloop JSON handler": bare,
                "  with a durable commit, and nothing else": _floor(events),
                ACKNOWLEDGED: _bridge(new(), events, 100, fires=False, form=False),
                "durable acknowledgement, multipart, 100 rules": _bridge(new(), events, 100, fires=False, form=True),
                REPLIED: _bridge(new(), events, 100, fires=True, form=False),
                FEW: _bridge(new(), events, 10, fires=True, form=False),
                MANY: _bridge(new(), events, 1000, fires=True, form=False),
            }
            for name, figures in measured.items():
                found.setdefault(name, []).append(_row(name, figures, bare))
    return [_middle(rows) for rows in found.values()]


def _row(name: str, figures: Figures, bare: Figures) -> Row:
    return Row(
        name=name,
        per_second=figures.per_second,
        ratio=figures.per_second / bare.per_second,
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


def _bare(events: int) -> Figures:
    port = _free_port()
    body = orjson.dumps(_notification(1, "http://127.0.0.1:1"))
    requests = iter([request("/message", body, "Content-Type: application/json")] * events)
    with _process([sys.executable, "-m", "benchmarks.bare", str(port)], ROOT, port) as server:
        return _run(drive("127.0.0.1", port, requests, CONNECTIONS), server.pid)


def _floor(events: int) -> Figures:
    port, platform = _free_port(), _free_port()
    command = [sys.executable, "-m", "benchmarks.floor", str(port)]
    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder,
        _process(command, Path(folder), port) as server,
    ):
        return _run(_measure([port], platform, events, fires=False, form=False), server.pid)


def _bridge(store: str, events: int, rules: int, *, fires: bool, form: bool) -> Figures:
    port, platform = _free_port(), _free_port()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        _write(Path(folder), port, platform, rules, store)
        with _process([sys.executable, "-m", "bridge", "serve"], Path(folder), port) as server:
            return _run(_measure([port], platform, events, fires, form), server.pid)


async def _measure(ports: Sequence[int], platform: int, events: int, fires: bool, form: bool) -> Figures:
    """Have the servers at these ports share the events."""
    sent: dict[int, float] = {}
    replies: list[float] = []
    held: deque[Callable[[], None]] = deque()
    complete = asyncio.Event()

    def turn(begin: Callable[[], None]) -> None:
        """No more events are in flight, from their webhook to their reply, than there are connections."""
        if fires and len(sent) - len(replies) >= CONNECTIONS:
            held.append(begin)
        else:
            begin()

    def received(body: bytes) -> None:
        found = _MARK.search(body)
        if found:
            replies.append(time.perf_counter() - sent[int(found[1])])
            if held:
                held.popleft()()
            if len(replies) == events:
                complete.set()

    def requests() -> Iterator[bytes]:
        for number in range(events):
            text = f"How much is mark {number}, please?" if fires else f"Do you know mark {number}, please?"
            notification = {**_notification(number, f"http://127.0.0.1:{platform}"), "message": text}
            sent[number] = time.perf_counter()
            yield _form(notification) if form else _json(notification)

    server = await asyncio.get_running_loop().create_server(lambda: FakePlatform(received), "127.0.0.1", platform)
    began = time.perf_counter()
    events_left = requests()
    figures = sum_of(
        await asyncio.gather(
            *(drive("127.0.0.1", port, events_left, CONNECTIONS // len(ports), turn) for port in ports)
        )
    )
    if fires:
        async with asyncio.timeout(60):
            await complete.wait()
        figures.seconds = time.perf_counter() - began
        figures.reply = replies
    server.close()
    if figures.refused or figures.acknowledged != events:
        raise SystemExit(f"{figures.refused} of {events} events were refused")
    return figures


def _notification(number: int, server: str) -> dict[str, object]:
    return {
        "chatServer": server,
        "chatSessionID": f"session-{number % 5000:010}",
        "chatAccountToken": "tok1234567890",
        "channelID": 8,
        "message": "How much is it?",
        "url": "https://shop.example/some/page?utm_source=newsletter",
        "messageNumber": number // 5000 + 1,
        "customerName": "José Ação",
        "emailAddress": "jose@example.com",
        "phoneNumber": "+351912345678",
    }


_PATH = "/api/v2/chat/notifyUserNewChatMessage"


def _json(notification: dict[str, object]) -> bytes:
    return request(_PATH, orjson.dumps(notification), "apiKey: key-for-benchmarks", "Content-Type: application/json")


def _form(notification: dict[str, object]) -> bytes:
    parts = b"".join(
        f'--mark\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in notification.items()
    )
    header = "Content-Type: multipart/form-data; boundary=mark"
    return request(_PATH, parts + b"--mark--\r\n", "apiKey: key-for-benchmarks", header)


def _write(folder: Path, port: int, platform: int, rules: int, store: str = "sqlite:///data/bridge.db") -> None:
    """Settings and so many rules of all kinds, of which one may answer."""
    (folder / "rules").mkdir()
    (folder / "templates").mkdir()
    price = "The price of {{ match.mark }} is 9 €, {{ contact.name | default('friend') }}.\n"
    (folder / "templates" / "price.txt.j2").write_text(price)
    lines, draw = ["rules:"], Random(rules)
    for number in range(rules - 1):
        lines += [f"  - name: rule-{number}", "    on: message", f"    when: {{{mixed_rule(draw, number)}}}"]
        lines += ["    do: [reply: {text: hello}]"]
    lines += ["  - name: price", "    on: message", "    when:"]
    lines += ['      text: {matches: "(?i)how much is (?P<mark>mark \\\\d+)"}', "    do:"]
    lines += ["      - reply: {template: price.txt.j2}"]
    (folder / "rules" / "rules.yaml").write_text("\n".join(lines) + "\n")
    (folder / "bridge.toml").write_text(
        f"""[server]
listen = "127.0.0.1:{port}"

[log]
format = "json"

[store]
url = "{store}"

[accounts.site]
platform = "omnidesk"
api_keys = ["key-for-benchmarks"]
chat_servers = ["http://127.0.0.1:{platform}"]
max_in_flight = 64
"""
    )


def idle() -> tuple[float, float]:
    """Seconds from start to ready, and resident megabytes a moment later."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), port, _free_port(), 100)
        began = time.perf_counter()
        with _process([sys.executable, "-m", "bridge", "serve"], Path(folder), port) as process:
            took = time.perf_counter() - began
            time.sleep(1)
            status = Path(f"/proc/{process.pid}/status").read_text()
    return took, int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


@contextmanager
def _process(command: list[str], folder: Path, port: int, core: int | None = 0) -> Iterator["subprocess.Popen[bytes]"]:
    """A server on the first core, ready to take requests; without `core`, on any."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, preexec_fn=_on_core(core)
    )
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def _on_core(core: int | None) -> Callable[[], None]:
    """What keeps a process on one core; None lets it have all again."""

    def pin() -> None:
        cores = os.cpu_count() or 1
        if cores > 1:
            os.sched_setaffinity(0, range(cores) if core is None else {core})

    return pin


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(3000):
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except OSError as error:
            if getattr(error, "code", None):
                return
            time.sleep(0.005)
    raise SystemExit("the server did not become ready")


def _run(work: Coroutine[object, object, Figures], server: int) -> Figures:
    """Do the work with the collector off, which would stall it; beside what came of it, what the server used for it."""
    _on_core(1)()
    gc.collect()
    gc.disable()
    before = _cpu(server)
    try:
        figures = uvloop.run(work)
    finally:
        gc.enable()
    figures.cpu = _cpu(server) - before
    return figures


def _cpu(process: int) -> float:
    """Seconds of CPU that all threads of a process have used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.line", description=__doc__)
    parser.add_argument("--store", default="sqlite", help=NAMES)
    main(store=parser.parse_args().store)
