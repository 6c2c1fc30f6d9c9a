"""A broadcast from a CSV file against a bare loop of aiohttp's client, with live replies by the same account meanwhile.

`python -m benchmarks.broadcast [people] [--store postgresql]`. The bridge, and then the bare loop, have one core; the
fake platform and whoever writes to the bridge have the other, where the machine has two.
"""

import argparse
import asyncio
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson
import uvloop

from benchmarks.line import ROOT, _free_port, _on_core, _process, _write
from benchmarks.load import FakePlatform, percentile
from benchmarks.stores import NAMES, new_stores

PEOPLE = 100_000
AT_A_TIME = 64
LIVE = 40
"""Live messages a second while the broadcast goes out."""

_MARK = re.compile(rb"mark (\d+)")
_BROADCAST = """
audiences:
  customers: {file: customers.csv}
broadcasts:
  - name: offer
    via: site
    audience: customers
    text: "Hello {{ name }}, this week everything in {{ city | default('our shop') }} is cheaper."
"""


@dataclass(slots=True)
class Found:
    """Seconds of planning and of sending, and of work for the processor in both; resident megabytes when idle, planned
    and at most; and how long live replies took, in seconds."""

    planning: float = 0.0
    sending: float = 0.0
    worked: float = 0.0
    idle: float = 0.0
    planned: float = 0.0
    most: float = 0.0
    live: list[float] = field(default_factory=list)


def main(people: int, store: str) -> None:
    with new_stores(store) as new, tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        port, platform = _free_port(), _free_port()
        _write(Path(folder), port, platform, 100, new())
        (Path(folder) / "rules" / "offer.yaml").write_text(_BROADCAST)
        _people(Path(folder) / "customers.csv", people, platform)
        _on_core(1)()
        with _process([sys.executable, "-m", "bridge", "serve"], Path(folder), port) as server:
            found = uvloop.run(_broadcast(Path(folder), port, platform, people, server.pid))
        bare, bare_worked = uvloop.run(_bare(Path(folder), platform, people))
    rate, yardstick = people / found.sending, people / bare
    whole = people / (found.sending + found.planning)
    print(f"{people:,} people: planned {people / found.planning:,.0f} a second, sent {rate:,.0f} a second")
    print(f"a bare loop of aiohttp's client, {AT_A_TIME} at a time: {yardstick:,.0f} a second")
    print(f"ratio {rate / yardstick:.2f}, planning included {whole / yardstick:.2f}")
    print(
        f"work for the processor: {found.worked / people * 1e6:.0f} µs for each, live replies included; "
        f"the bare loop {bare_worked / people * 1e6:.0f} µs"
    )
    print(
        f"memory: {found.idle:.0f} MB idle, {found.planned - found.idle:.0f} MB more when all are planned, "
        f"at most {found.most - found.idle:.0f} MB more"
    )
    print(
        f"{len(found.live)} live replies meanwhile: median {percentile(found.live, 0.5) * 1000:.1f} ms, "
        f"p99 {percentile(found.live, 0.99) * 1000:.1f} ms"
    )


def _people(file: Path, people: int, platform: int) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["session", "chat_server", "name", "city"])
        for number in range(people):
            writer.writerow([f"{number:016}", f"http://127.0.0.1:{platform}", f"User {number}", "Kyiv"])


async def _broadcast(folder: Path, port: int, platform: int, people: int, pid: int) -> Found:
    found, sent, got, everybody = Found(), dict[int, float](), 0, asyncio.Event()
    first: list[float] = []

    def received(body: bytes) -> None:
        nonlocal got
        if mark := _MARK.search(body):
            found.live.append(time.perf_counter() - sent[int(mark[1])])
            return
        got += 1
        if not first:
            first.append(time.perf_counter())
            found.planned = _memory(pid)
        if got == people:
            everybody.set()

    server = await asyncio.get_running_loop().create_server(lambda: FakePlatform(received), "127.0.0.1", platform)
    await asyncio.sleep(1)
    found.idle = found.most = _memory(pid)
    talking = asyncio.create_task(_talk(port, platform, sent))
    began, worked = time.perf_counter(), _worked(pid)
    await asyncio.to_thread(_send, folder)
    watching = asyncio.create_task(_watch(pid, found))
    async with asyncio.timeout(600):
        await everybody.wait()
    found.sending, found.planning = time.perf_counter() - first[0], first[0] - began
    found.worked = _worked(pid) - worked
    for task in (talking, watching):
        task.cancel()
    await asyncio.gather(talking, watching, return_exceptions=True)
    server.close()
    return found


def _send(folder: Path) -> None:
    command = [sys.executable, "-m", "bridge", "broadcasts", "send", "offer"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)


async def _talk(port: int, platform: int, sent: dict[int, float]) -> None:
    """Visitors who ask for the price, evenly spread."""
    url, headers = f"http://127.0.0.1:{port}/api/v2/chat/notifyUserNewChatMessage", {"apiKey": "key-for-benchmarks"}
    async with aiohttp.ClientSession(headers=headers) as client, asyncio.TaskGroup() as group:
        for number in _endless():
            sent[number] = time.perf_counter()
            body = {
                "chatServer": f"http://127.0.0.1:{platform}",
                "chatSessionID": f"live-session-{number:010}",
                "chatAccountToken": "tok1234567890",
                "message": f"How much is mark {number}, please?",
                "messageNumber": 1,
            }
            group.create_task(_say(client, url, body))
            await asyncio.sleep(1 / LIVE)


def _endless() -> Iterator[int]:
    number = 0
    while True:
        yield (number := number + 1)


async def _say(client: aiohttp.ClientSession, url: str, body: dict[str, object]) -> None:
    async with client.post(url, json=body) as answer:
        await answer.read()


async def _watch(pid: int, found: Found) -> None:
    while True:
        found.most = max(found.most, _memory(pid))
        await asyncio.sleep(0.2)


def _memory(pid: int) -> float:
    """Resident megabytes without pages of files, which are the system's to take back."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def _worked(pid: int) -> float:
    """Seconds that a process has had the processor, its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _bare(folder: Path, platform: int, people: int) -> tuple[float, float]:
    """Seconds that a loop of its own process takes, which reads the file, words the text, and posts it; and those of
    work for the processor."""
    got, everybody = 0, asyncio.Event()

    def received(_: bytes) -> None:
        nonlocal got
        got += 1
        if got == people:
            everybody.set()

    server = await asyncio.get_running_loop().create_server(lambda: FakePlatform(received), "127.0.0.1", platform)
    command = [sys.executable, "-m", "benchmarks.broadcast", "bare", str(folder / "customers.csv")]
    began = time.perf_counter()
    loop = subprocess.Popen(command, cwd=ROOT, preexec_fn=_on_core(0))
    await everybody.wait()
    took, worked = time.perf_counter() - began, _worked(loop.pid)
    loop.wait(30)
    server.close()
    return took, worked


async def bare_loop(file: str) -> None:
    """The yardstick: the least that sends a file's people their text, and remembers nothing."""
    connector = aiohttp.TCPConnector(limit=AT_A_TIME)
    with Path(file).open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        async with aiohttp.ClientSession(connector=connector) as client, asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(_post_all(client, rows))


async def _post_all(client: aiohttp.ClientSession, rows: Iterator[dict[str, str]]) -> None:
    headers = {"content-type": "application/json", "apiKey": "key"}
    for row in rows:
        text = f"Hello {row['name']}, this week everything in {row['city']} is cheaper."
        body = orjson.dumps({"chatSessionID": row["session"], "message": text})
        async with client.post(f"{row['chat_server']}/sendMessage", data=body, headers=headers) as answer:
            await answer.read()


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        uvloop.run(bare_loop(sys.argv[2]))
    else:
        parser = argparse.ArgumentParser(prog="python -m benchmarks.broadcast", description=__doc__)
        parser.add_argument("people", nargs="?", type=int, default=PEOPLE)
        parser.add_argument("--store", default="sqlite", help=NAMES)
        given = parser.parse_args()
        main(given.people, given.store)
