"""Chaos with several servers on one PostgreSQL behind a load balancer. `make chaos STORE=postgresql`.

Servers are killed, stopped, stopped for longer than their claims hold, PostgreSQL crashes and is restarted, and the
platform flaps. `python -m tests.end_to_end.replicas --seconds 600` tells at its end what was lost (nothing), what came
out of order (nothing) and what came twice: only what was in flight when nobody could say whether it arrived.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from tests.end_to_end.chaos import (
    CONVERSATIONS,
    PLACES,
    RULES,
    Callers,
    Platform,
    Told,
    broken,
    settings,
    tell,
    until_heard,
)
from tests.end_to_end.server import Server, free_port
from tests.postgres import PostgresServer

SERVERS = 3
LEASE = 5.0
ENOUGH = 100
"""Messages that are acknowledged at least before it ends."""
DISTURBANCES = ("kill", "stop", "stop past the lease", "database crashes", "database restarts")


class Servers:
    """Some servers that share a store; `url` is where a load balancer would send the next request."""

    def __init__(self, directory: Path, files: Mapping[str, str], chance: random.Random) -> None:
        self.all = [Server(directory / f"server-{number}", files) for number in range(SERVERS)]
        self._chance = chance
        self._taken: list[Server] = []

    @property
    def url(self) -> str:
        return self._chance.choice(self.all).url

    async def start(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in self.all))

    def end(self) -> None:
        """Kill all of them at once."""
        for server in self.all:
            server.kill()

    async def kill(self) -> None:
        with self._one() as server:
            server.kill()
            await asyncio.to_thread(server.start)

    async def stop(self, seconds: float) -> None:
        with self._one() as server:
            server.send(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            server.send(signal.SIGCONT)

    @contextmanager
    def _one(self) -> Iterator[Server]:
        """One with which nothing is done yet."""
        server = self._chance.choice([server for server in self.all if server not in self._taken])
        self._taken.append(server)
        yield server
        self._taken.remove(server)


async def chaos(directory: Path, seconds: float, seed: int = 1) -> Told:
    """Let it happen for so long, each disturbance at least once; then let everything arrive."""
    chance, port = random.Random(seed), free_port()
    platform = Platform(chance=chance)
    with PostgresServer(durable=True) as postgres:
        store = f'[store]\nurl = "{postgres.url()}"\nlease = "{LEASE}s"\n'
        servers = Servers(directory, {"bridge.toml": settings(port) + store, "rules/echo.yaml": RULES}, chance)
        callers = Callers(server=servers, port=port)
        application = web.Application()
        application.router.add_post("/messageForCustomer", platform.answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            await servers.start()
            tasks = [asyncio.create_task(platform.flap())]
            tasks += [asyncio.create_task(callers.call(n)) for n in range(CONVERSATIONS)]
            done = await _disturb(servers, postgres, chance, seconds)
            async with asyncio.timeout(60):
                while len(callers.acknowledged) < ENOUGH:
                    await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            platform.manner = "well"
            # They begin anew, so that they do not wait for what they had found out about their platform.
            servers.end()
            await servers.start()
            done["kill"] += SERVERS
            await until_heard(platform, callers.acknowledged)
        finally:
            servers.end()
            await runner.cleanup()
    return tell(platform, callers, done)


async def _disturb(servers: Servers, postgres: PostgresServer, chance: random.Random, seconds: float) -> Counter[str]:
    """Some servers stand still while others are killed and the database goes away; gives how often what was done."""

    async def restart(how: str) -> None:
        await asyncio.to_thread(postgres.stop, how)
        await asyncio.sleep(chance.uniform(0, 1))
        await asyncio.to_thread(postgres.start)

    stops = {
        "stop": lambda: servers.stop(chance.uniform(0.2, 1)),
        "stop past the lease": lambda: servers.stop(LEASE + 1),
    }
    # One after the other: a server that finds no database does not start.
    ends = {
        "kill": servers.kill,
        "database crashes": lambda: restart("immediate"),
        "database restarts": lambda: restart("fast"),
    }
    done = await asyncio.gather(*(_in_rounds(ways, chance, seconds) for ways in (stops, ends)))
    return sum(done, Counter())


async def _in_rounds(
    ways: Mapping[str, Callable[[], Awaitable[None]]], chance: random.Random, seconds: float
) -> Counter[str]:
    """All of these in each round, in another order; gives how often what was done."""
    loop, done = asyncio.get_running_loop(), Counter[str]()
    end = loop.time() + seconds
    while loop.time() < end or not done:
        for way in chance.sample(list(ways), len(ways)):
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await ways[way]()
            done[way] += 1
    return done


if __name__ == "__main__":
    words = argparse.ArgumentParser(prog="python -m tests.end_to_end.replicas", description=__doc__)
    words.add_argument("--seconds", type=float, default=600)
    words.add_argument("--seed", type=int, default=1)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(chaos(Path(folder), given.seconds, given.seed))
    print(result)
    sys.exit("\n".join(broken(result, SERVERS * PLACES)) or 0)
