"""Chaos: a real server under load, killed and stopped at random, its disk full, while its platform flaps. `make chaos`.

`python -m tests.end_to_end.chaos --seconds 600` tells at its end what was lost (nothing), what came out of order
(nothing) and what came twice: only what was in flight when nobody could say whether it arrived.

The disk is full by a quota: the system lets the server's files grow no further (RLIMIT_FSIZE), which needs no rights.
With `--directory` on a small file system of its own it is filled for real:

    unshare -rm sh -c 'mount -t tmpfs -o size=1g tmpfs /mnt && python -m tests.end_to_end.chaos --directory /mnt'
"""

import argparse
import asyncio
import random
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import aiohttp
from aiohttp import web

from bridge.model.delivery import LONGEST_RETRY
from tests.end_to_end.server import Server, free_port

PLACES = 4
CONVERSATIONS = 24
KEY = "key-for-the-chaos-test"
MANNERS = ("well", "well", "unavailable", "busy", "hang", "reset")
LEASE = 30.0
PATIENCE = LONGEST_RETRY.total_seconds() + 30
DISTURBANCES = ("kill", "kill", "kill", "stop", "full", "full and kill")
QUOTA = 100_000
"""Bytes to which a file may grow while the disk is full: less than the store's log of changes has by then."""
SMALL = 4 * 2**30
"""Bytes of a file system that is filled for real."""
LONGEST = 500
"""Messages of a conversation; then the customer begins another, for replies to one are bounded."""
RULES = """
rules:
  - name: echo
    on: message
    when: {text: {matches: 'mark (?P<mark>\\d+)'}}
    do: [{reply: {text: "answer {{ match.mark }}"}}]
"""


@dataclass(kw_only=True)
class Platform:
    """Takes replies, in another manner every now and then. `heard` is what arrived, by conversation, in its order."""

    chance: random.Random
    manner: str = "well"
    heard: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    in_doubt: Counter[int] = field(default_factory=Counter)

    async def answer(self, request: web.Request) -> web.Response:
        message = await request.json()
        manner = self.manner if self.chance.random() < 0.7 else "well"
        if manner == "unavailable":
            return web.Response(status=503)
        if manner == "busy":
            return web.Response(status=429, headers={"Retry-After": "1"})
        found = re.search(r"answer (\d+)", message["message"])
        assert found is not None
        self.heard[message["chatSessionID"]].append(int(found[1]))
        if manner == "well":
            return web.Response(text="ok")
        self.in_doubt[int(found[1])] += 1
        if manner == "hang":
            await asyncio.sleep(5)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def flap(self) -> None:
        while True:
            self.manner = self.chance.choice(MANNERS)
            await asyncio.sleep(self.chance.uniform(0.2, 1.5))


class Disk:
    """Where the server keeps its files, to be filled and emptied."""

    def __init__(self, directory: Path, server: Server) -> None:
        self._server = server
        self._filler = directory / "filler"
        self._is_small = shutil.disk_usage(directory).total < SMALL

    def fill(self) -> None:
        if not self._is_small:
            self._server.limit_files(QUOTA)
            return
        with self._filler.open("wb", buffering=0) as filler, suppress(OSError):
            for size in (2**20, 2**10, 1):
                with suppress(OSError):
                    while filler.write(bytes(size)):
                        pass

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)
        if not self._is_small:
            self._server.limit_files(None)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of it: marks by what went wrong with them, and how often what was done to the server.

    `refused` is how often it said that it could not take an event.
    """

    acknowledged: int
    refused: int
    lost: tuple[int, ...]
    out_of_order: tuple[str, ...]
    doubled: int
    unexplained: int
    done: Mapping[str, int]


class Reached(Protocol):
    """A server, or whatever stands before several; the URL may be another at each call."""

    @property
    def url(self) -> str: ...


@dataclass(kw_only=True)
class Callers:
    """The customers of one chat server at this port: what was acknowledged to them, how often they were refused."""

    server: Reached
    port: int
    acknowledged: set[int] = field(default_factory=set)
    refused: int = 0

    async def call(self, conversation: int) -> None:
        """One customer: one message after the other, numbered, each until it is acknowledged."""
        timeout = aiohttp.ClientTimeout(total=3)
        async with aiohttp.ClientSession(headers={"apiKey": KEY}, timeout=timeout) as session:
            mark = conversation
            while True:
                with suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                    mark = await self._say(session, conversation, mark)
                await asyncio.sleep(0.05)

    async def _say(self, session: aiohttp.ClientSession, conversation: int, mark: int) -> int:
        """Say what has this mark; gives the mark of what is to be said next."""
        notification = {
            "chatServer": f"http://127.0.0.1:{self.port}",
            "chatSessionID": f"session-{conversation:03}-{mark // (CONVERSATIONS * LONGEST):03}",
            "chatAccountToken": "tok1234567890",
            "message": f"mark {mark}",
            "messageNumber": mark + 1,
        }
        url = f"{self.server.url}/api/v2/chat/notifyUserNewChatMessage"
        async with session.post(url, json=notification) as answer:
            if answer.status == 200:
                self.acknowledged.add(mark)
                return mark + CONVERSATIONS
            self.refused += answer.status == 503
        return mark


def settings(port: int) -> str:
    """Of a server whose platform listens at this port."""
    return (
        f'[accounts.site]\nplatform = "omnidesk"\napi_keys = ["{KEY}"]\nchat_servers = ["http://127.0.0.1:{port}"]\n'
        f'timeout = "500ms"\nmax_in_flight = {PLACES}\n[rulebook]\nreplies_per_hour = {2 * LONGEST}\n'
    )


async def chaos(directory: Path, seconds: float, seed: int = 1) -> Told:
    """Let it happen for so long, each disturbance at least once; then let everything arrive."""
    chance, port = random.Random(seed), free_port()
    platform = Platform(chance=chance)
    server = Server(directory, {"bridge.toml": settings(port), "rules/echo.yaml": RULES})
    application = web.Application()
    application.router.add_post("/messageForCustomer", platform.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    callers = Callers(server=server, port=port)
    try:
        await asyncio.to_thread(server.start)
        tasks = [asyncio.create_task(platform.flap())]
        tasks += [asyncio.create_task(callers.call(n)) for n in range(CONVERSATIONS)]
        done = await _disturb(server, callers, Disk(directory, server), chance, seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        platform.manner = "well"
        # It begins anew, so that it does not wait for what it had found out about its platform.
        await _kill(server)
        done["kill"] += 1
        await until_heard(platform, callers.acknowledged)
    finally:
        server.kill()
        await runner.cleanup()
    return tell(platform, callers, done)


async def _disturb(server: Server, callers: Callers, disk: Disk, chance: random.Random, seconds: float) -> Counter[str]:
    """Disturb the server, all disturbances in each round, in another order; gives how often what was done."""
    loop, done = asyncio.get_running_loop(), Counter[str]()
    end = loop.time() + seconds
    # Twice in a long run it is stopped for longer than its claims hold.
    long_stops = [end - seconds / 4, end - seconds * 2 / 3] if seconds > 4 * LEASE else []
    round_of: list[str] = []
    while loop.time() < end or not done or round_of:
        round_of = round_of or chance.sample(DISTURBANCES, len(DISTURBANCES))
        disturbance = round_of.pop()
        await asyncio.sleep(chance.uniform(0.3, 2))
        if long_stops and loop.time() > long_stops[-1]:
            long_stops.pop()
            await _stop(server, LEASE + 5)
            done["stop past the lease"] += 1
        if disturbance == "stop":
            await _stop(server, chance.uniform(0.2, 1))
        elif disturbance == "kill":
            await _kill(server)
        else:
            disk.fill()
            await _until_refused(callers)
            if disturbance == "full and kill":
                server.kill()
            disk.empty()
            if disturbance == "full and kill":
                await asyncio.to_thread(server.start)
        done[disturbance] += 1
    return done


async def _stop(server: Server, seconds: float) -> None:
    server.send(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    server.send(signal.SIGCONT)


async def _kill(server: Server) -> None:
    server.kill()
    await asyncio.to_thread(server.start)


async def _until_refused(callers: Callers) -> None:
    """Until the full disk is felt, and a moment longer."""
    before = callers.refused
    async with asyncio.timeout(60):
        while callers.refused < before + 20:
            await asyncio.sleep(0.05)


async def until_heard(platform: Platform, acknowledged: set[int]) -> None:
    """Until everything has arrived, or nothing more has for longer than a delivery waits between two attempts."""
    left, waited = len(acknowledged), 0.0
    while left and waited < PATIENCE:
        await asyncio.sleep(0.05)
        now_left = len(acknowledged.difference(*platform.heard.values()))
        left, waited = now_left, 0.0 if now_left < left else waited + 0.05


def tell(platform: Platform, callers: Callers, done: Mapping[str, int]) -> Told:
    count = Counter(mark for marks in platform.heard.values() for mark in marks)
    doubled = {mark: times - 1 for mark, times in count.items() if times > 1}
    return Told(
        acknowledged=len(callers.acknowledged),
        refused=callers.refused,
        lost=tuple(sorted(callers.acknowledged - set(count))),
        out_of_order=tuple(
            f"{session}: {before} {after}"
            for session, marks in platform.heard.items()
            for before, after in pairwise(marks)
            if after < before
        ),
        doubled=sum(doubled.values()),
        # What is doubled beyond what the platform left in doubt was in flight when the server was killed or stopped.
        unexplained=sum(max(0, times - platform.in_doubt[mark]) for mark, times in doubled.items()),
        done=dict(done),
    )


def broken(told: Told, places: int = PLACES) -> list[str]:
    """What must not be, in words; `places` is how many replies may be in flight when something happens."""
    found = [f"{len(told.lost)} acknowledged events have no reply: {told.lost[:10]}"] if told.lost else []
    found += [f"out of order in {one}" for one in told.out_of_order[:10]]
    if told.unexplained > places * sum(told.done.values()):
        found.append(f"{told.unexplained} replies came twice, and nobody was in doubt about them")
    return found


if __name__ == "__main__":
    words = argparse.ArgumentParser(prog="python -m tests.end_to_end.chaos", description=__doc__)
    words.add_argument("--seconds", type=float, default=600)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--directory", type=Path, help="where the server keeps its files")
    given = words.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as folder:
        result = asyncio.run(chaos(Path(folder), given.seconds, given.seed))
    print(result)
    sys.exit("\n".join(broken(result)) or 0)
