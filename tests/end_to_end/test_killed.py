"""A real server under load, killed at random moments: what it acknowledged is answered, whatever the platform does."""

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.end_to_end.server import Server, free_port

PLACES = 4
SENDERS = 8
KEY = "key-for-the-kill-test"
RULES = """
rules:
  - name: echo
    on: message
    when: {text: {matches: 'mark (?P<mark>\\d+)'}}
    do:
      - reply: {text: "answer {{ match.mark }}"}
"""


class FlakyPlatform:
    """Takes `messageForCustomer`, and misbehaves in its own way in a share of the calls while `bad` is set."""

    def __init__(self, manner: str) -> None:
        self._manner = manner
        self._chance = random.Random(7)
        self.bad = manner != "well"
        self.received: Counter[int] = Counter()

    async def answer(self, request: web.Request) -> web.Response:
        message = await request.json()
        if self.bad and self._chance.random() < 0.5:
            return await self._misbehave()
        mark = re.search(r"answer (\d+)", message["message"])
        assert mark is not None
        self.received[int(mark[1])] += 1
        return web.Response(text="ok")

    async def _misbehave(self) -> web.Response:
        if self._manner == "busy":
            return web.Response(status=429, headers={"Retry-After": "1"})
        if self._manner == "hangs":
            await asyncio.sleep(30)
        return web.Response(status=503)


@contextlib.asynccontextmanager
async def listening(platform: FlakyPlatform, port: int) -> AsyncIterator[None]:
    application = web.Application()
    application.router.add_post("/messageForCustomer", platform.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield
    await runner.cleanup()


def settings(platform: str) -> str:
    return f"""
[accounts.site]
platform = "omnidesk"
api_keys = ["{KEY}"]
chat_servers = ["{platform}"]
timeout = "500ms"
max_in_flight = {PLACES}

[rulebook]
replies_per_hour = 1000
"""


async def send_until_killed(server: Server, platform: str, marks: Iterator[int], acknowledged: set[int]) -> None:
    """Send one event after the other; note those whose acknowledgement arrived."""
    async with aiohttp.ClientSession(headers={"apiKey": KEY}) as session:
        for mark in marks:
            notification = {
                "chatServer": platform,
                "chatSessionID": f"session-{mark % 40:010}",
                "chatAccountToken": "tok1234567890",
                "message": f"mark {mark}",
                "messageNumber": mark,
            }
            url = f"{server.url}/api/v2/chat/notifyUserNewChatMessage"
            try:
                async with session.post(url, json=notification) as answer:
                    assert answer.status == 200, await answer.text()
                    acknowledged.add(mark)
            except (aiohttp.ClientError, ConnectionError):
                return


async def rounds_of_killing(server: Server, platform: str, rounds: int) -> set[int]:
    marks, acknowledged, chance = iter(range(1, 1_000_000)), set[int](), random.Random(3)
    for _ in range(rounds):
        await asyncio.to_thread(server.start)
        senders = [
            asyncio.create_task(send_until_killed(server, platform, marks, acknowledged)) for _ in range(SENDERS)
        ]
        enough = len(acknowledged) + chance.randint(2, 100)
        while len(acknowledged) < enough:
            await asyncio.sleep(0.002)
        server.kill()
        await asyncio.gather(*senders)
    return acknowledged


async def until_answered(platform: FlakyPlatform, acknowledged: set[int]) -> set[int]:
    """Wait until all are answered, a minute at most; gives those that are not."""
    for _ in range(1200):
        if not (missing := acknowledged - set(platform.received)):
            break
        await asyncio.sleep(0.05)
    return missing


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("manner", "rounds"), [("well", 20), ("unavailable", 5), ("busy", 5), ("hangs", 5), ("is down", 5)]
)
async def test_nothing_acknowledged_is_lost(tmp_path: Path, manner: str, rounds: int) -> None:
    platform, port = FlakyPlatform(manner), free_port()
    url = f"http://127.0.0.1:{port}"
    server = Server(tmp_path, {"bridge.toml": settings(url), "rules/echo.yaml": RULES})
    try:
        async with contextlib.AsyncExitStack() as stack:
            if manner != "is down":
                await stack.enter_async_context(listening(platform, port))
            acknowledged = await rounds_of_killing(server, url, rounds)
            platform.bad = False
            if manner == "is down":
                await stack.enter_async_context(listening(platform, port))
            await asyncio.to_thread(server.start)
            missing = await until_answered(platform, acknowledged)
    finally:
        server.kill()
    doubles = sum(count - 1 for count in platform.received.values())
    print(f"{manner}: {len(acknowledged)} acknowledged, {len(missing)} lost, {doubles} doubled in {rounds} kills")
    assert len(acknowledged) > rounds
    assert not missing
    # A request in flight when the process dies is sent again, because nobody can know whether it arrived.
    assert doubles <= rounds * PLACES
