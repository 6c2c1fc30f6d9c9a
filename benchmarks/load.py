"""A load generator and a fake platform in one process, as light as they can be, so that they measure the other side.

Both speak just enough HTTP/1.1 for keep-alive requests and answers with a Content-Length.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

Turn = Callable[[Callable[[], None]], None]


@dataclass(slots=True)
class Figures:
    """What a run came to. Durations in seconds; `cpu` is what the server's threads used."""

    seconds: float = 0.0
    cpu: float = 0.0
    acknowledged: int = 0
    refused: int = 0
    ack: list[float] = field(default_factory=list)
    reply: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.acknowledged / self.seconds if self.seconds else 0.0


def sum_of(parts: Sequence[Figures]) -> Figures:
    """The figures of what was driven at the same time."""
    return Figures(
        seconds=max(part.seconds for part in parts),
        acknowledged=sum(part.acknowledged for part in parts),
        refused=sum(part.refused for part in parts),
        ack=[one for part in parts for one in part.ack],
    )


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all values do not pass; 0 where there are none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class _Caller(asyncio.Protocol):
    """One keep-alive connection: the next request begins when the last was answered and `turn` lets it."""

    def __init__(self, requests: Iterator[bytes], figures: Figures, turn: Turn, done: Callable[[], None]) -> None:
        self._requests = requests
        self._figures = figures
        self._turn = turn
        self._done = done
        self._began = 0.0
        self._waiting = False
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._figures.refused += self._waiting
        self._done()

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            return
        self._waiting = True
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or len(self._buffer) < head + 4 + _length(self._buffer[:head]):
            return
        if self._buffer.startswith(b"HTTP/1.1 2"):
            self._figures.acknowledged += 1
        else:
            self._figures.refused += 1
        self._figures.ack.append(time.perf_counter() - self._began)
        self._buffer = b""
        self._waiting = False
        self._turn(self._next)


class FakePlatform(asyncio.Protocol):
    """Answers every request with `ok`, and hands its body on."""

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            end = head + 4 + _length(self._buffer[:head])
            if len(self._buffer) < end:
                return
            self._received(self._buffer[head + 4 : end])
            self._buffer = self._buffer[end:]
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])


def at_once(begin: Callable[[], None]) -> None:
    """The turn of a connection that waits for nothing but its answer."""
    begin()


async def drive(host: str, port: int, requests: Iterator[bytes], connections: int, turn: Turn = at_once) -> Figures:
    """Send all requests over so many connections, one at a time on each; `turn` is called to begin the next."""
    figures = Figures()
    finished = asyncio.Event()
    left = connections

    def done() -> None:
        nonlocal left
        left -= 1
        if not left:
            finished.set()

    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: _Caller(requests, figures, turn, done), host, port)
    await finished.wait()
    figures.seconds = time.perf_counter() - began
    return figures


def request(path: str, body: bytes, *headers: str) -> bytes:
    """The bytes of a POST."""
    lines = (f"POST {path} HTTP/1.1", "Host: bridge", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
