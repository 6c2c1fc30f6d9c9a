"""A chat server with the hook that the bridge calls: a real server on a free port, strict about what it is sent.

As a program (`python -m tests.fakes.chat_server --port 0 --log FILE`) it prints its URL, then runs until it is ended
and appends each message it took to FILE, one JSON object a line, flushed before it answers.
"""

import argparse
import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

HOOK = "/messageForCustomer"
FIELDS = ("chatSessionID", "message")


@dataclass(frozen=True, kw_only=True, slots=True)
class Say:
    """An answer that the hook gives; what Omnidesk's pages document is a 200 with `ok`."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "ok"


Behaviour = Say | Literal["hang", "reset"]
"""`hang` takes the message and never answers; `reset` takes it and drops the connection."""

OK = Say()


class ChatServer:
    """`async with ChatServer() as fake:`; then `fake.url` is what goes into `chat_servers`.

    `received` are the well-formed messages in the order they came, whatever was answered; `refused` are the complaints
    about requests that were not. `answers` is used up one a message; after that every answer is `ok`.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        fields: tuple[str, ...] = FIELDS,
        content_type: str = "application/json",
        port: int = 0,
        log: Path | None = None,
    ) -> None:
        self.received: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.answers: deque[Behaviour] = deque()
        self.url = ""
        self._api_key = api_key
        self._fields = fields
        self._content_type = content_type
        self._port = port
        self._log = log
        self._arrived = asyncio.Condition()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._hook)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._runner.cleanup()

    async def wait_for(self, count: int) -> list[dict[str, object]]:
        """Wait until `count` messages have been received."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def _hook(self, request: web.Request) -> web.StreamResponse:
        try:
            message = await self._read(request)
        except web.HTTPException as refusal:
            self.refused.append(f"{refusal.status} {refusal.text}")
            raise
        await self._keep(message)
        behaviour = self.answers.popleft() if self.answers else OK
        if behaviour == "hang":
            await self._closing.wait()
        if isinstance(behaviour, Say):
            return web.Response(status=behaviour.status, headers=behaviour.headers, text=behaviour.body)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _keep(self, message: dict[str, object]) -> None:
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(message, ensure_ascii=False) + "\n")
        async with self._arrived:
            self.received.append(message)
            self._arrived.notify_all()

    async def _read(self, request: web.Request) -> dict[str, object]:
        if request.path != HOOK or request.query_string:
            raise web.HTTPNotFound(text=f"{request.path_qs}: the only hook is {HOOK}")
        if request.method != "POST":
            raise web.HTTPMethodNotAllowed(request.method, ["POST"], text=f"{request.method}: the hook takes POST")
        if self._api_key is not None and request.headers.getall("apiKey", []) != [self._api_key]:
            raise web.HTTPUnauthorized(text="apiKey: missing or wrong")
        if request.headers.get("Content-Type") != self._content_type:
            raise web.HTTPBadRequest(text=f"content-type: {self._content_type} is expected")
        message = await self._decode(request)
        if sorted(message) != sorted(self._fields):
            raise web.HTTPBadRequest(text=f"the fields are {sorted(message)}, expected are {sorted(self._fields)}")
        for name, value in message.items():
            if not isinstance(value, str) or not value:
                raise web.HTTPBadRequest(text=f"{name}: a text that is not empty is expected")
        return message

    async def _decode(self, request: web.Request) -> dict[str, object]:
        if self._content_type != "application/json":
            return dict(await request.post())
        try:
            message = await request.json()
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from None
        if not isinstance(message, dict):
            raise web.HTTPBadRequest(text="the body is not a JSON object")
        return message


async def _serve(port: int, log: Path, api_key: str | None) -> None:
    async with ChatServer(port=port, log=log, api_key=api_key) as fake:
        print(fake.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--log", type=Path, required=True)
    words.add_argument("--api-key")
    given = words.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.port, given.log, given.api_key))
