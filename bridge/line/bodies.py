"""Bodies: what comes with a request, bounded in size and time, and all of them together in memory."""

import asyncio

from aiohttp import web

from bridge.adapter.answers import excerpt
from bridge.errors import Refused
from bridge.line.unpack import unpack

SMALL = 16_384
"""Bytes of a body that may be here without being counted. Nearly all are smaller, and come with the head."""
LARGEST_AT_ONCE = 16
"""As much as so many bodies of the largest size may be on their way, or here and not answered yet; beyond it senders
are asked to come again."""


class Bodies:
    """`largest` is the size of the largest body that is taken anywhere, `within` the seconds in which one must come."""

    def __init__(self, *, largest: int, within: float) -> None:
        self._most = LARGEST_AT_ONCE * largest
        self._within = within
        self._held = 0
        self._coming: set[asyncio.Timeout] = set()
        self._closing = False

    async def read(self, request: web.BaseRequest, most: int) -> bytes:
        """The body of `most` bytes at most, unpacked. It is counted until `answered`. Raises Refused."""
        if (request.content_length or 0) > most:
            raise Refused(413, f"the body has {request.content_length} bytes; at most {most} are taken")
        try:
            packed = await self._come(request, most)
        except TimeoutError:
            if self._closing:
                raise Refused(503, "the server is stopping; send it again", retry_after=1) from None
            raise Refused(408, f"the body did not come within {self._within:g} seconds") from None
        except web.RequestPayloadError as error:
            raise Refused(400, f"the body cannot be read: {_why(error)}") from None
        except ConnectionError:
            # Nobody hears this any more; it is counted, and is no failure of ours.
            raise Refused(400, "the sender went away before all of the body had come") from None
        body = unpack(packed, request.headers.get("Content-Encoding", ""), most)
        self._held += len(body)
        return body

    async def _come(self, request: web.BaseRequest, most: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        patience = asyncio.timeout(0 if self._closing else self._within)
        self._coming.add(patience)
        try:
            async with patience:
                async for chunk in request.content.iter_any():
                    size += len(chunk)
                    self._held += len(chunk)
                    if size > most:
                        raise Refused(413, f"the body has more than {most} bytes")
                    if self._held > self._most:
                        raise Refused(429, "too many large bodies come at once; send it again", retry_after=1)
                    chunks.append(chunk)
        finally:
            self._coming.discard(patience)
            self._held -= size
        return b"".join(chunks)

    def answered(self, size: int) -> None:
        """The request whose body had so many bytes is answered, so the body is here no more."""
        self._held -= size

    def close(self) -> None:
        """Wait for no body any more: while it stops, the web server hears nothing of those that are still coming."""
        self._closing = True
        for patience in self._coming:
            patience.reschedule(asyncio.get_running_loop().time())


def at_hand(request: web.BaseRequest, most: int) -> bytes | None:
    """The body where it is not packed, has `most` bytes at most, and all of it came with the head."""
    content = request.content
    if not content.is_eof() or content.total_bytes > most or request.headers.get("Content-Encoding"):
        return None
    return content.read_nowait()


def _why(error: web.RequestPayloadError) -> str:
    """What is wrong with the coding of a body, in the web server's words."""
    cause = error.__cause__ or error
    return excerpt(str(getattr(cause, "message", "") or cause).encode(errors="replace"), 200)
