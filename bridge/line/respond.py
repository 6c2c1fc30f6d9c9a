"""Respond: what a platform's adapter answers, or why a request is refused, becomes the web server's response."""

from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from bridge.adapter.protocol import Answer
from bridge.errors import Refused


class InOnePiece(web.StreamResponse):
    """An answer of status 200 whose head and body are written as they stand.

    aiohttp's own response takes a table of headers, fills it up and writes it out, at a quarter of what a whole small
    request costs (measured). `at` is the time in seconds since 1970. The connection stays open.
    """

    def __init__(self, answer: Answer, at: float) -> None:
        super().__init__()
        self._answer = answer
        self._at = at

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Raises ConnectionResetError where the sender is gone."""
        transport, answer = request.transport, self._answer
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the sender is gone")
        transport.write(_HEAD % (answer.content_type.encode(), len(answer.body), _date(int(self._at))) + answer.body)
        # Who asks on and on and never reads the answers is not answered further: they would all be kept here.
        await request.writer.drain()
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """All of it is written already."""


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\nDate: %b\r\n\r\n"


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def respond(request: web.BaseRequest, answer: Answer, at: float) -> web.StreamResponse:
    """The response to a request; `at` is the time in seconds since 1970."""
    is_usual = answer.status == 200 and not answer.headers and request.method == "POST"
    if is_usual and request.keep_alive and request.version == HttpVersion11:
        return InOnePiece(answer, at)
    return whole(answer)


def whole(answer: Answer) -> web.Response:
    """The response to a request of any kind."""
    response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
    response.headers["Content-Type"] = answer.content_type
    return response


def refuse(words: Callable[[int, str], Answer], refusal: Refused) -> web.Response:
    """The response to a request that is refused, in the words of its platform."""
    response = whole(words(refusal.status, refusal.message))
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status in (408, 413):
        # The rest of the body is not wanted.
        response.force_close()
    return response
