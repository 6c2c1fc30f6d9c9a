"""What the servers under measure are sent, and the platform where their replies arrive."""

import asyncio
import gc
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import orjson
import uvloop

from benchmarks.load import FakePlatform, Figures, drive, request, sum_of
from benchmarks.server import API_KEY, cpu

CONNECTIONS = 64
WARM = 3_000
_CONVERSATIONS = 5_000
# The bridge holds a fourth reply to one conversation back, when it follows too soon.
_MESSAGES = 3
_BEGIN = _CONVERSATIONS * _MESSAGES
_PATH = "/api/v2/chat/notifyUserNewChatMessage"
_MARK = re.compile(rb"mark (\d+)")

Send = Callable[[range], Awaitable[Figures]]


def figures_of(traffic: AbstractAsyncContextManager[Send], events: int, servers: Sequence[int]) -> Figures:
    """What the traffic comes to when the servers are warm, and the CPU that these processes used for it.

    A server that has just begun meets its code and its data for the first time, which is not what lasts: the first
    `WARM` events, of conversations of their own, are not counted. The garbage collector is off, which would stall the
    traffic. `events` may be 15,000 at most.
    """
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_figures_of(traffic, events, servers))
    finally:
        gc.enable()


async def _figures_of(traffic: AbstractAsyncContextManager[Send], events: int, servers: Sequence[int]) -> Figures:
    async with traffic as send:
        await send(range(WARM))
        before = sum(cpu(server) for server in servers)
        figures = await send(range(_BEGIN, _BEGIN + events))
    figures.cpu = sum(cpu(server) for server in servers) - before
    return figures


@asynccontextmanager
async def messages(ports: Sequence[int], platform: int, *, fires: bool, form: bool) -> AsyncIterator[Send]:
    """New messages for the servers at these ports, which share them, and the platform that listens at `platform`.

    With `fires` each has its reply, and no more events are in flight, from their webhook to their reply, than there are
    connections; else no rule answers. With `form` they are multipart, else JSON.
    """
    traffic = _Messages(ports, platform, fires, form)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: FakePlatform(traffic.received), "127.0.0.1", platform)
    yield traffic.send
    server.close()


class _Messages:
    def __init__(self, ports: Sequence[int], platform: int, fires: bool, form: bool) -> None:
        self._ports = ports
        self._platform = platform
        self._fires = fires
        self._form = form
        self._sent: dict[int, float] = {}
        self._replies: list[float] = []
        self._held: deque[Callable[[], None]] = deque()
        self._expected = 0
        self._complete = asyncio.Event()

    async def send(self, numbers: range) -> Figures:
        """Send the messages of these numbers, and wait for their replies."""
        self._sent, self._replies, self._expected = {}, [], len(numbers)
        self._complete.clear()
        began = time.perf_counter()
        requests, share = self._requests(numbers), CONNECTIONS // len(self._ports)
        driven = await asyncio.gather(*(drive("127.0.0.1", port, requests, share, self._turn) for port in self._ports))
        figures = sum_of(driven)
        if figures.refused or figures.acknowledged != len(numbers):
            raise SystemExit(f"{figures.refused} of {len(numbers)} events were refused")
        if self._fires:
            async with asyncio.timeout(60):
                await self._complete.wait()
            figures.seconds = time.perf_counter() - began
            figures.reply = self._replies
        return figures

    def _requests(self, numbers: range) -> Iterator[bytes]:
        for number in numbers:
            made = notification(number, f"http://127.0.0.1:{self._platform}")
            made["message"] = f"{'How much is' if self._fires else 'Do you know'} mark {number}, please?"
            self._sent[number] = time.perf_counter()
            yield _form(made) if self._form else _json(made)

    def _turn(self, begin: Callable[[], None]) -> None:
        if self._fires and len(self._sent) - len(self._replies) >= CONNECTIONS:
            self._held.append(begin)
        else:
            begin()

    def received(self, body: bytes) -> None:
        found = _MARK.search(body)
        if found:
            self._replies.append(time.perf_counter() - self._sent[int(found[1])])
            if self._held:
                self._held.popleft()()
            if len(self._replies) == self._expected:
                self._complete.set()


def notification(number: int, server: str) -> dict[str, object]:
    """A new message as Omnidesk writes it, from the chat server at this URL."""
    begin, message = divmod(number, _BEGIN)
    return {
        "chatServer": server,
        "chatSessionID": f"session-{begin * _CONVERSATIONS + message % _CONVERSATIONS:010}",
        "chatAccountToken": "tok1234567890",
        "channelID": 8,
        "message": "How much is it?",
        "url": "https://shop.example/some/page?utm_source=newsletter",
        "messageNumber": message // _CONVERSATIONS + 1,
        "customerName": "José Ação",
        "emailAddress": "jose@example.com",
        "phoneNumber": "+351912345678",
    }


def _json(made: dict[str, object]) -> bytes:
    return request(_PATH, orjson.dumps(made), f"apiKey: {API_KEY}", "Content-Type: application/json")


def _form(made: dict[str, object]) -> bytes:
    parts = b"".join(
        f'--mark\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in made.items()
    )
    header = "Content-Type: multipart/form-data; boundary=mark"
    return request(_PATH, parts + b"--mark--\r\n", f"apiKey: {API_KEY}", header)
