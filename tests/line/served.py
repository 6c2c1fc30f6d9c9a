"""A bridge that is spoken to through plain sockets, because a well-behaved client cannot misbehave."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from bridge.app.bridge import bridge
from bridge.app.listening import Patience
from tests.fakes.chat_server import ChatServer
from tests.platforms.omnidesk_calls import FIELDS
from tests.running import ECHO, KEY, settings_in, site

LIMITS = '[server]\nmax_body = "64 KiB"\nmax_attachment = "256 KiB"\n'
WEBCHAT = '[accounts.web]\nplatform = "webchat"\n'
PATIENCE = Patience(head=1, body=1, linger=0.2, grace=0.5)
MAX_BODY, MAX_ATTACHMENT = 64 * 1024, 256 * 1024
API = "/api/v2/chat/"
MESSAGE = API + "notifyUserNewChatMessage"
JSON = "application/json"
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """Where the bridge listens, and the chat server that it may call."""

    host: str
    port: int
    chat_server: str

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def plug(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """What a refusal says, in the shape of its platform or as problem details."""
        return str(self.json.get("message") or self.json.get("title"))


def call(
    connection: http.client.HTTPConnection,
    path: str,
    body: Any = None,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    given = {"apiKey": KEY, "Content-Type": JSON, **(headers or {})}
    connection.request(method, path, body, {name: value for name, value in given.items() if value})
    answer = connection.getresponse()
    return Reply(
        status=answer.status,
        headers={name.lower(): value for name, value in answer.getheaders()},
        body=answer.read(),
    )


def good(connection: http.client.HTTPConnection) -> None:
    lists = call(connection, API + "whitelistedDomainsAndBlacklistedIPs", method="GET", headers={"Content-Type": ""})
    assert (lists.status, lists.json["type"]) == (200, "item")


def still_served(
    served: Served, connection: http.client.HTTPConnection | None = None, reply: Reply | None = None
) -> None:
    """The next call is answered: on a new connection, and on the same one where HTTP leaves it open."""
    if connection is not None and (reply is None or reply.headers.get("connection", "").lower() != "close"):
        good(connection)
    with closing(served.connect()) as fresh:
        good(fresh)


def ask(served: Served, path: str, body: Any = None, **more: Any) -> Reply:
    """One call, checked: no failure of ours, an answer in JSON, and the next caller is served."""
    with closing(served.connect()) as connection:
        reply = call(connection, path, body, **more)
        assert reply.status < 500, reply
        assert reply.headers["content-type"].split(";")[0] in (JSON, "application/problem+json"), reply
        json.loads(reply.body)
        still_served(served, connection, reply)
    return reply


def raw(served: Served, data: bytes, *, then_close: bool = False) -> bytes:
    """Send these bytes and read until the server closes; `then_close` ends our side first."""
    with closing(served.plug()) as plug:
        plug.sendall(data)
        if then_close:
            plug.shutdown(socket.SHUT_WR)
        heard = b""
        while chunk := plug.recv(65536):
            heard += chunk
    return heard


@contextmanager
def serving(directory: Path) -> Iterator[Served]:
    """A bridge in a thread of its own, with a loop of its own."""
    ready: list[Served] = []
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with ChatServer() as fake:
            written = {"bridge.toml": LIMITS + site(fake) + WEBCHAT, "rules/echo.yaml": ECHO}
            async with bridge(settings_in(directory, written), patience=PATIENCE) as running:
                host, port = running.url.removeprefix("http://").split(":")
                ready.append(Served(host=host, port=int(port), chat_server=fake.url))
                started.set()
                await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(60)
    yield ready[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(20)
    assert not thread.is_alive()


def least_fields(served: Served, operation: str) -> dict[str, object]:
    fields = dict(FIELDS[operation])
    if "chatServer" in fields:
        fields["chatServer"] = served.chat_server
    return fields


def a_message(served: Served, **changes: object) -> bytes:
    return json.dumps({**least_fields(served, "notifyUserNewChatMessage"), **changes}).encode()


def head_of(coding: str) -> bytes:
    """A message's headers, with how its body is told from what follows."""
    lines = (f"POST {MESSAGE} HTTP/1.1", "Host: x", f"apiKey: {KEY}", f"Content-Type: {JSON}", coding)
    return "\r\n".join((*lines, "", "")).encode()
