"""What the fake platforms have in common: a real server on a free port, and answers that a test has planned."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.fakes.chat_server import Behaviour, Say


class Wrong(Exception):  # noqa: N818 - it is an answer
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class FakePlatform(ABC):
    """`async with` it serves at `url`, which ends in `PATH`; every request comes to `_answer`.

    `answers` is used up one a request, where `_answer` says so; None stands for what is done without any.
    """

    PATH = ""

    def __init__(self) -> None:
        self.answers: deque[Behaviour | None] = deque()
        self.url = ""
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{self.PATH}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        await self._runner.cleanup()

    def let_go(self) -> None:
        """Drop the connections that hang."""
        self._closing.set()

    @abstractmethod
    async def _answer(self, request: web.Request) -> web.StreamResponse: ...

    async def _as_planned(
        self, request: web.Request, do: Callable[[], web.StreamResponse], planned: deque[Behaviour | None] | None = None
    ) -> web.StreamResponse:
        """Do what is asked, unless the next of `planned` (else `answers`) says something else in its place.

        What hangs or is reset has been done all the same.
        """
        answers = self.answers if planned is None else planned
        behaviour = answers.popleft() if answers else None
        if isinstance(behaviour, Say):
            return web.Response(status=behaviour.status, headers=behaviour.headers, text=behaviour.body)
        done = do()
        if behaviour == "hang":
            await self._closing.wait()
        if behaviour is not None and request.transport is not None:
            request.transport.abort()
        return done
