"""Fairness: 1,000 accounts, one of them with a platform that hangs; how much slower are the other 999?

`python -m benchmarks.fairness` runs a whole deliverer over a real store, with a platform in the same process.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median

import uvloop
from aiohttp import web
from sqlalchemy import Connection

from bridge.adapter.http import Door
from bridge.chance import SeededChance
from bridge.clock import SystemClock
from bridge.line.accounts import Accounts
from bridge.line.attachments import Attachments
from bridge.line.attempt import Attempts
from bridge.line.deliver import Deliverer
from bridge.line.stream import Mailboxes
from bridge.model.delivery import Delivery, Reply
from bridge.observe import Metrics, configure_logging
from bridge.platforms.registry import ADAPTERS
from bridge.settings import load_settings
from bridge.store.ledger import Claim, Ledger
from bridge.store.page import Entry
from bridge.store.store import Store, open_store

CLOCK = SystemClock()
ACCOUNTS = 1000


class Platforms:
    """Everybody's platform, and that of one which takes what it is sent and never answers."""

    def __init__(self) -> None:
        self.taken = 0
        self.all_taken = asyncio.Event()
        self.closing = asyncio.Event()
        self.expected = 0

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        if request.path.startswith("/stuck"):
            await self.closing.wait()
        self.taken += 1
        if self.taken >= self.expected:
            self.all_taken.set()
        return web.Response(text="ok")


async def rate(accounts: int, each: int, *, stuck: bool) -> float:
    """Deliveries a second by `accounts` - 1 accounts, with as many again for the one that hangs, or without."""
    platforms = Platforms()
    platforms.expected = (accounts - 1) * each
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", platforms.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "bridge.toml").write_text(
            "".join(
                f'[accounts.a{n}]\nplatform = "omnidesk"\napi_keys = ["key-{n}"]\n'
                f'chat_servers = ["{url}/{"stuck" if n == 0 else n}"]\n'
                for n in range(accounts)
            )
        )
        settings = load_settings(None, {}, working_directory=directory)
        metrics, chance = Metrics(), SeededChance(1)
        with open_store(f"sqlite:///{directory}/bridge.db", CLOCK, metrics) as store:
            for begin in range(0, each, 10):
                await store.write(_fill, [(n, begin, url) for n in range(0 if stuck else 1, accounts)])
            async with Door(CLOCK) as door:
                files = Attachments(directory, url, store, CLOCK, chance, most=1)
                known = Accounts(settings.accounts.values(), ADAPTERS)
                attempts = Attempts(
                    door=door, store=store, mailboxes=Mailboxes(store, heartbeat=60), files=files, clock=CLOCK
                )
                took = await _deliver(known, store, attempts, metrics, chance, platforms)
    platforms.closing.set()
    await runner.cleanup()
    return platforms.expected / took


async def _deliver(
    known: Accounts, store: Store, attempts: Attempts, metrics: Metrics, chance: SeededChance, platforms: Platforms
) -> float:
    deliverer = Deliverer(
        accounts=known,
        store=store,
        attempts=attempts,
        clock=CLOCK,
        chance=chance,
        metrics=metrics,
        worker="w",
        lease=timedelta(minutes=2),
    )
    began = time.perf_counter()
    running = asyncio.create_task(deliverer.run())
    await platforms.all_taken.wait()
    took = time.perf_counter() - began
    running.cancel()
    await deliverer.close(0.5)
    return took


def _fill(connection: Connection, items: Sequence[list[tuple[int, int, str]]]) -> list[None]:
    now = CLOCK.now()
    ledger = Ledger(connection, [], now)
    names = set()
    for number, begin, url in items[0]:
        names.add(f"a{number}")
        for count in range(begin, begin + 10):
            to = {"session": f"session-{number}-{count}", "chat_server": f"{url}/{number or 'stuck'}"}
            made = Delivery(
                id=ledger.next_delivery(), event=None, rule="r", action=f"{number}-{count}", account=f"a{number}",
                lane=f"a{number}/{count}", to=to, reply=Reply(text="Hello"), created_at=now,
            )  # fmt: skip
            ledger.enqueue(Entry(delivery=made))
    ledger.write(Claim(worker="", until=now, full=[(name, "live") for name in names]))
    return [None]


def share(accounts: int = ACCOUNTS, each: int = 10, rounds: int = 4) -> tuple[float, float]:
    """Deliveries a second beside one that hangs, and their share of what they are without: in the middle of the rounds.

    Each round measures both, in turn first the one and the other, so that whatever else slows it slows both.
    """
    rates: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for stuck in (False, True) if number % 2 else (True, False):
            rates[stuck].append(uvloop.run(rate(accounts, each, stuck=stuck)))
    shares = [beside / alone for beside, alone in zip(rates[True], rates[False], strict=True)]
    return median(rates[True]), median(shares)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--each", type=int, default=20, help="deliveries an account, a multiple of ten")
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    configure_logging(level="error")
    found, part = share(given.accounts, given.each, given.rounds)
    print(f"{given.accounts:,} accounts, one of which hangs: {found:,.0f}/s, {part:.1%} of what it is without")
