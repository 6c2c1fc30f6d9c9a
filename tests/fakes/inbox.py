"""Whoever a webhook account sends to, as a real server on a free port: it counts what each recipient got.

It checks no signature: the receiver of Standard Webhooks (webhook.py) does.
"""

import asyncio
import json
from collections import Counter, deque
from types import TracebackType
from typing import Any, Self

from aiohttp import web

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLxNw"


class Inbox:
    """`async with Inbox() as fake:`; `got` counts the messages by the recipient's e-mail, `texts` has the last of each.

    `answers` are statuses, used up one a message, before all others are taken with 200; 0 hangs up without an answer.
    `hold`, when cleared, keeps messages waiting for their answer.
    """

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self.calls = 0
        self.answers: deque[int] = deque()
        self.go = asyncio.Event()
        self.go.set()
        self.url = ""

    def account(self, name: str = "shop", **more: object) -> str:
        """The settings of an account that sends here."""
        given = {"platform": "webhook", "secrets": [SECRET], "url": self.url, "internal_hosts": ["127.0.0.1"], **more}
        return f"[accounts.{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items())

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/in", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/in"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go.set()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body: Any = json.loads(await request.read())
        self.calls += 1
        await self.go.wait()
        status = self.answers.popleft() if self.answers else 200
        if status in (0, 200):
            who = body["data"]["to"]["email"]
            self.got[who] += 1
            self.texts[who] = body["data"]["text"]
        if status == 0 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status or 200)
