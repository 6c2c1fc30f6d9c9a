"""Listening: the server's socket, how long it waits for others, and how it lets go of them at its end."""

import errno
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.errors import SettingsError
from bridge.line.receive import BODY_WITHIN
from bridge.line.routes import Routes
from bridge.line.stream import HEARTBEAT
from bridge.settings import Listen


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether an error is one of ours. What scanners send instead of HTTP, or chunked in another way than they say, is
    answered with 400, and that is all: it could fill the log, and its first line may carry a secret."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError))


_LOGGER = logging.getLogger("bridge.listening")
_LOGGER.addFilter(_is_ours)


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long the server waits for others, in seconds.

    `head`: for a request's first lines, counted from the connection or from the answer before; longer than the 60
    seconds for which proxies commonly keep an idle connection, because who closes first decides who gets the error.
    `body`: for the rest of a request. `linger`: for a sender that has its answer already to stop sending; without it
    the answer could be lost on its way. `heartbeat`: between two signs of life to the reader of a stream.
    `grace`: for requests and attempts under way to finish when the process is asked to stop.
    """

    head: float = 75.0
    body: float = BODY_WITHIN
    linger: float = 10.0
    heartbeat: float = HEARTBEAT
    grace: float = 10.0


@asynccontextmanager
async def listening(
    routes: Routes, listen: Listen, let_go: Callable[[], None], patience: Patience
) -> AsyncIterator[str]:
    """Serve `routes`; gives the URL where it listens. At the end `let_go` of those who would keep the server waiting.

    Raises SettingsError: the address cannot be had.
    """
    server = web.Server(
        routes.answer,
        access_log=None,
        logger=_LOGGER,
        keepalive_timeout=patience.head,
        lingering_time=patience.linger,
        # It would unpack what nobody has asked for, and stop for nobody meanwhile; see line/unpack.py.
        auto_decompress=False,
    )
    runner = web.ServerRunner(server, shutdown_timeout=patience.grace)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, listen.host, listen.port, backlog=1024).start()
        except OSError as error:
            raise SettingsError(f"server.listen: cannot listen on {listen}: {_why(error)}") from None
        host, port = runner.addresses[0][:2]
        yield f"http://{Listen(host=host, port=port)}"
    finally:
        let_go()
        await runner.cleanup()


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; stop it, or choose another port"
    # A name that is not found has a number of its own, which the system's list of errors does not know.
    known = errno.errorcode.get(error.errno or 0)
    return os.strerror(error.errno).lower() if known and error.errno else error.strerror or str(error)
