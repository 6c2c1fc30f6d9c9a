"""A broadcast from a CSV file against a bare loop of a client, with live replies by the same account meanwhile.

`python -m benchmarks.broadcast [people] [--store postgresql]`. The bridge, and then the bare loops, have one core; the
fake platform and whoever writes to the bridge have the other, where the machine has two.

The bare loop does the same work and remembers nothing: it reads the same file, words the same text with Jinja, and
posts the same bodies to the same platform, as many at a time. Its client is aiohttp's with all that makes it faster,
since that is what somebody would write it with; how it goes with the bridge's own client is told beside. All are
counted from their first call to their last, and so is a loop's work for the processor, so that no interpreter's start
is in it; the bridge's counts from the wish for the run on. Live messages are written to the bridge alone. On a machine
that has other work, believe the processor's: who has more threads gets more of a core that is fought for.
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
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import aiohttp
import orjson
import uvloop
from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from yarl import URL

from benchmarks.load import FakePlatform, percentile
from benchmarks.server import ROOT, SERVE, free_port, on_core, running, write_folder
from benchmarks.stores import NAMES, new_stores
from bridge.adapter.http import Door
from bridge.adapter.protocol import HttpCall
from bridge.clock import SystemClock

PEOPLE = 100_000
AT_A_TIME = 64
LIVE = 40
"""Live messages a second while the broadcast goes out."""

_MARK = re.compile(rb"mark (\d+)")
_TEXT = "Hello {{ name }}, this week everything in {{ city | default('our shop') }} is cheaper."
_BROADCAST = f"""
audiences:
  customers: {{file: customers.csv}}
broadcasts:
  - name: offer
    via: site
    audience: customers
    text: "{_TEXT}"
"""


@dataclass(slots=True)
class Found:
    """Seconds from the wish for the run to its first call, and from there to its last; of work for the processor from
    the wish to the last; resident megabytes when idle, planned and at most; how long live replies took, in seconds."""

    planning: float = 0.0
    sending: float = 0.0
    worked: float = 0.0
    idle: float = 0.0
    planned: float = 0.0
    most: float = 0.0
    live: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Bare:
    """Of a loop that only sends: posts a second, and seconds of work for the processor for each."""

    rate: float
    worked: float


def main(people: int, store: str) -> None:
    with new_stores(store) as new, tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        port, platform = free_port(), free_port()
        write_folder(Path(folder), port, platform, 100, new())
        (Path(folder) / "rules" / "offer.yaml").write_text(_BROADCAST)
        file = Path(folder) / "customers.csv"
        _people(file, people, platform)
        on_core(1)()
        with running(SERVE, Path(folder), port) as server:
            found = uvloop.run(_broadcast(Path(folder), port, platform, people, server.pid))
        bare, own = (uvloop.run(_bare(client, file, platform, people)) for client in ("aiohttp", "door"))
    sending, whole = people / found.sending, people / (found.sending + found.planning)
    print(f"{people:,} people: planned {people / found.planning:,.0f} a second, sent {sending:,.0f} a second")
    for name, one in (("aiohttp's client", bare), ("the bridge's own client", own)):
        print(
            f"a bare loop of {name}, {AT_A_TIME} at a time: {one.rate:,.0f} a second; "
            f"ratio {sending / one.rate:.2f}, planning included {whole / one.rate:.2f}"
        )
    print(
        f"work for the processor: {found.worked / people * 1e6:.0f} µs for each, planning and live replies included; "
        f"the bare loops {bare.worked * 1e6:.0f} and {own.worked * 1e6:.0f} µs; "
        f"ratio {bare.worked * people / found.worked:.2f} and {own.worked * people / found.worked:.2f}"
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
            first.append(time.time())
            found.planned = _memory(pid)
        if got == people:
            found.sending = time.time() - first[0]
            everybody.set()

    server = await asyncio.get_running_loop().create_server(lambda: FakePlatform(received), "127.0.0.1", platform)
    await asyncio.sleep(1)
    found.idle = found.most = _memory(pid)
    talking = asyncio.create_task(_talk(port, platform, sent))
    worked = _worked(pid)
    await asyncio.to_thread(_broadcasts, folder, "send", "offer")
    watching = asyncio.create_task(_watch(pid, found))
    async with asyncio.timeout(600):
        await everybody.wait()
    found.worked = _worked(pid) - worked
    run = orjson.loads(await asyncio.to_thread(_broadcasts, folder, "status", "1", "--json"))
    found.planning = first[0] - datetime.fromisoformat(run["at"]).timestamp()
    for task in (talking, watching):
        task.cancel()
    await asyncio.gather(talking, watching, return_exceptions=True)
    server.close()
    return found


def _broadcasts(folder: Path, *arguments: str) -> bytes:
    command = [sys.executable, "-m", "bridge", "broadcasts", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True).stdout


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


async def _bare(client: str, file: Path, platform: int, people: int) -> Bare:
    """How fast a loop of its own process sends to the people of the file."""
    marks: list[tuple[float, float]] = []
    got, everybody = 0, asyncio.Event()

    def received(_: bytes) -> None:
        nonlocal got
        got += 1
        if got in (1, people):
            marks.append((time.perf_counter(), _worked(loop.pid)))
        if got == people:
            everybody.set()

    server = await asyncio.get_running_loop().create_server(lambda: FakePlatform(received), "127.0.0.1", platform)
    command = [sys.executable, "-m", "benchmarks.broadcast", "bare", client, str(file)]
    loop = subprocess.Popen(command, cwd=ROOT, preexec_fn=on_core(0))
    async with asyncio.timeout(600):
        await everybody.wait()
    loop.wait(30)
    server.close()
    (first, worked_first), (last, worked_last) = marks[0], marks[-1]
    return Bare(rate=people / (last - first), worked=(worked_last - worked_first) / people)


async def bare_loop(client: str, file: str) -> None:
    """The least that sends a file's people their text, and remembers nothing: 64 workers take the lines in turn."""
    text = ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(_TEXT)
    with Path(file).open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        if client == "door":
            async with Door(SystemClock()) as door, asyncio.TaskGroup() as group:
                for _ in range(AT_A_TIME):
                    group.create_task(_call_all(door, rows, text))
            return
        connector, cookies = aiohttp.TCPConnector(limit=AT_A_TIME), aiohttp.DummyCookieJar()
        async with (
            aiohttp.ClientSession(connector=connector, cookie_jar=cookies, headers=_HEADERS) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(AT_A_TIME):
                group.create_task(_post_all(session, rows, text))


_HEADERS = {"content-type": "application/json"}
_WITHIN = timedelta(seconds=10)
_url = lru_cache(maxsize=64)(URL)


async def _post_all(session: aiohttp.ClientSession, rows: Iterator[dict[str, str]], text: Template) -> None:
    for row in rows:
        async with session.post(_url(f"{row['chat_server']}/messageForCustomer"), data=_body(row, text)) as answer:
            await answer.read()


async def _call_all(door: Door, rows: Iterator[dict[str, str]], text: Template) -> None:
    for row in rows:
        url, body = f"{row['chat_server']}/messageForCustomer", _body(row, text)
        await door.call(HttpCall(method="POST", url=url, headers=_HEADERS, body=body), timeout=_WITHIN)


def _body(row: dict[str, str], text: Template) -> bytes:
    return orjson.dumps({"chatSessionID": row["session"], "message": text.render(row)})


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        uvloop.run(bare_loop(sys.argv[2], sys.argv[3]))
    else:
        parser = argparse.ArgumentParser(prog="python -m benchmarks.broadcast", description=__doc__)
        parser.add_argument("people", nargs="?", type=int, default=PEOPLE)
        parser.add_argument("--store", default="sqlite", help=NAMES)
        given = parser.parse_args()
        main(given.people, given.store)
