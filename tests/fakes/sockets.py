"""Servers that speak (or misspeak) HTTP byte by byte, and a certificate that no authority has signed."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBazCCARKgAwIBAgIUGrwK9JStvQwxhNKPdKrAYc6SqJowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAx
MDAwMDAwWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASUbU447YazwQ4PIRuNRjUYYaY+8hvXlOholZRI1qTK/xqObr6cPA8y
4B6Go6uDf7xVL4PuflHDRHcbHtpwL+I/o0AwPjAPBgNVHREECDAGhwR/AAABMAwG
A1UdEwEB/wQCMAAwHQYDVR0OBBYEFNoTZng+YSu3bEWQRqo5dJIhyHzsMAoGCCqG
SM49BAMCA0cAMEQCIFofLAn5Q3T0QiN2N4bikNehMoOg8A19jvyggDc/iYRNAiBR
UHFmbGxDTv2dr2gz+AVLKM/WJVtUc6fVv8KHvgzIfA==
-----END CERTIFICATE-----
"""
"""For 127.0.0.1, self-signed, until 2120. Its key, here below, protects nothing."""
KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgB0TmsgvuVgVt7OHm
kiCFBhmyYL7WKNMN6cAAPi1oh+ihRANCAASUbU447YazwQ4PIRuNRjUYYaY+8hvX
lOholZRI1qTK/xqObr6cPA8y4B6Go6uDf7xVL4PuflHDRHcbHtpwL+I/
-----END PRIVATE KEY-----
"""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection as its server sees it. `number` counts the connections of the server from 1."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "Server"

    async def request(self) -> bytes:
        """Read one request whole, and keep it. Raises EOFError where the client has gone."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await self.reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
        self.server.requests.append(head + body)
        return head + body

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client has closed its side."""
        while await self.reader.read(65536):
            pass

    def reset(self) -> None:
        """Drop the connection with a RST in place of a FIN."""
        plug: socket.socket = self.writer.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Connection], Awaitable[None]]


@dataclass(slots=True)
class Server:
    """`requests` were read whole; `connections` counts those taken; `left` is released for each that has ended."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))


@asynccontextmanager
async def serving(behave: Behaviour, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on a free port that does `behave` with each connection and then closes it."""
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        connection = Connection(server.connections, reader, writer, server)
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, EOFError, asyncio.CancelledError):
                await behave(connection)
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            tasks.discard(task)
            server.left.release()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tuple(tasks), return_exceptions=True)


def answer(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    """The bytes of an answer with a Content-Length."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def polite(connection: Connection) -> None:
    """Answers every request with `ok`."""
    while True:
        await connection.request()
        await connection.say(answer())


async def closes(connection: Connection) -> None:
    """Reads a request and closes without an answer."""
    await connection.request()


async def hangs(connection: Connection) -> None:
    """Reads a request and never answers."""
    await connection.request()
    await connection.gone()


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """The server's side of the certificate above, and the file that a client has to trust."""
    trusted, both = folder / "trusted.pem", folder / "server.pem"
    trusted.write_text(CERTIFICATE)
    both.write_text(CERTIFICATE + KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, trusted
