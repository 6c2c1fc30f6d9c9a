"""What a request through the door costs, and what it would cost through aiohttp's client.

`python -m benchmarks.door [requests] [runs]`: small POSTs, 64 at a time, on loopback; the fake platform is another
process. CPU is that of this one, all its threads.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from statistics import median

import aiohttp
import uvloop
import yarl

from benchmarks.load import FakePlatform
from bridge.adapter.http import Door
from bridge.adapter.protocol import HttpCall
from bridge.clock import SystemClock

AT_A_TIME = 64
TIMEOUT = timedelta(seconds=15)
BODY = b'{"chat":5215261,"text":"How much? 9 EUR a month.","agent":4188,"type":"message"}'
HEADERS = {"authorization": "Bearer 0123456789abcdef", "content-type": "application/json"}

Post = Callable[[], Awaitable[int]]


@asynccontextmanager
async def through_the_door(url: str) -> AsyncIterator[Post]:
    async with Door(SystemClock()) as door:

        async def post() -> int:
            call = HttpCall(method="POST", url=url, headers=HEADERS, body=BODY)
            return (await door.call(call, timeout=TIMEOUT)).status

        yield post


@asynccontextmanager
async def through_aiohttp(url: str) -> AsyncIterator[Post]:
    target, timeout = yarl.URL(url), aiohttp.ClientTimeout(total=TIMEOUT.total_seconds(), sock_connect=5)
    jar, connector = aiohttp.DummyCookieJar(), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(cookie_jar=jar, connector=connector, auto_decompress=False) as session:

        async def post() -> int:
            async with session.post(
                target, data=BODY, headers=HEADERS, timeout=timeout, allow_redirects=False
            ) as answer:
                await answer.content.read(65536)
                return answer.status

        yield post


CLIENTS = {"door": through_the_door, "aiohttp": through_aiohttp}


async def measure(name: str, url: str, requests: int) -> tuple[float, float]:
    """Requests a second, and microseconds of CPU for each."""
    async with CLIENTS[name](url) as post:
        await _spread(post, iter(range(AT_A_TIME * 10)))
        began, cpu = time.perf_counter(), time.process_time()
        await _spread(post, iter(range(requests)))
        return requests / (time.perf_counter() - began), (time.process_time() - cpu) / requests * 1e6


async def _spread(post: Post, turns: Iterator[int]) -> None:
    async def work() -> None:
        for _ in turns:
            if await post() != 200:
                raise SystemExit("the fake platform did not answer 200")

    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: FakePlatform(lambda body: None), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def medians(requests: int, runs: int) -> dict[str, tuple[float, float]]:
    """By client: requests a second, and microseconds of CPU for each."""
    platform = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.door", "serve", stdout=asyncio.subprocess.PIPE
    )
    assert platform.stdout is not None
    url = f"http://127.0.0.1:{int(await platform.stdout.readline())}/v1/messages"
    try:
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in CLIENTS}
        for _ in range(runs):
            for name, found in results.items():
                found.append(await measure(name, url, requests))
    finally:
        platform.terminate()
        await platform.wait()
    return {
        name: (median(rate for rate, _ in found), median(cpu for _, cpu in found)) for name, found in results.items()
    }


async def main(requests: int, runs: int) -> None:
    for name, (rate, cpu) in (await medians(requests, runs)).items():
        print(f"{name:8} {rate:8,.0f} POST/s {cpu:6.1f} µs CPU each (median of {runs} runs of {requests:,})")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        uvloop.run(_serve())
    else:
        given = [int(word) for word in sys.argv[1:3]]
        uvloop.run(main(*(given + [20_000, 3][len(given) :])))
