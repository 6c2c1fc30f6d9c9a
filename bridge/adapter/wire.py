"""One connection to one place, in HTTP/1.1 (RFC 9112): a request at a time, and the answer to it.

What the other side sends is bounded: no more is kept of an answer than is asked for, nor of what stands around it.
"""

import asyncio
import socket
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from bridge.adapter.failures import broken_off
from bridge.adapter.protocol import HttpAnswer

MOST_AROUND = 128 * 1024
"""Bytes of an answer beside its body: its head, those of interim answers, marks between chunks, and what follows."""


class Connection(asyncio.Protocol):
    """`origin` is named in errors, `plug` is the socket. `reusable` is whether another request may follow; else it has
    closed itself. `lost` is done when nothing is left of it.
    """

    def __init__(self, origin: str, plug: socket.socket) -> None:
        self._origin = origin
        self._plug = plug
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._waiting: asyncio.Future[HttpAnswer] | None = None
        self._most = self._received = 0
        self._whole: HttpAnswer | None = None
        self._begin_anew()
        self.reusable = True
        self.idle_since = 0.0

    async def ask(self, request: bytes, *, most: int, until: float) -> HttpAnswer:
        """Send a request; gives the answer with at most so many bytes of its body. `until` is by the loop's clock.

        Raises NoAnswer: whether the request has arrived, nobody knows.
        """
        self.reusable = False
        self._most, self._received, self._whole = most, 0, None
        self._begin_anew()
        waiting: asyncio.Future[HttpAnswer] = self._loop.create_future()
        self._waiting = waiting
        alarm = self._loop.call_at(until, self._too_late)
        self._transport.write(request)
        try:
            return await waiting
        finally:
            alarm.cancel()
            if not self.reusable:
                self.close()

    @property
    def closed(self) -> bool:
        return self._transport.is_closing()

    def is_quiet(self) -> bool:
        """Whether nothing has come that the loop has not read yet: an end, most likely, and a request that meets it
        would leave the question whether it was received."""
        try:
            self._plug.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """At once, without a word: whatever there was to say has been said."""
        self._transport.abort()

    def _too_late(self) -> None:
        self._broke_off(TimeoutError("operation timed out"))

    def _broke_off(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(broken_off(error, self._origin))

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's own classes.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            # Nobody has asked. It must not be taken for the answer to what is asked next.
            self.reusable = False
            self.close()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            # It speaks another protocol from here on, which nobody asked for.
            self.on_message_complete()
            self.reusable = False
        except HttpParserError as error:
            if self._whole is None:
                self._broke_off(ValueError(f"it is not HTTP: {error}"))
                return
            self.reusable = False
        if self._whole is not None:
            self._waiting.set_result(self._whole)
        elif self._status and len(self._body) >= self._most:
            self._waiting.set_result(self._so_far())
        elif self._received - len(self._body) > MOST_AROUND:
            self._broke_off(ValueError("message head is too large"))

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        if error is not None:
            self._broke_off(error)
        elif not self._status:
            self._broke_off(ValueError("connection closed before message completed"))
        elif self._length_is_known():
            self._broke_off(ValueError("end of file before message length reached"))
        elif self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._so_far())
        self.lost.set_result(None)

    # What the parser calls.

    def on_message_begin(self) -> None:
        # A second answer to one request cannot be told from the answer to the next.
        self.reusable = False
        self._begin_anew()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status:
            # It stands behind the body, where nobody looks for it.
            return
        try:
            self._headers[name.decode("ascii").lower()] = value.decode("ascii").strip()
        except UnicodeDecodeError:
            # HTTP asks for ASCII; anything else is not worth failing for.
            return

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()

    def on_body(self, part: bytes) -> None:
        room = self._most - len(self._body)
        self._body += part if len(part) <= room else part[:room]

    def on_message_complete(self) -> None:
        if 100 <= self._status < 200 and self._status != 101:
            # An interim answer; the one that was asked for is still to come.
            self._status = 0
        elif self._whole is None:
            self._whole = self._so_far()
            self.reusable = self._parser.should_keep_alive() and not self._transport.get_write_buffer_size()

    def _begin_anew(self) -> None:
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def _so_far(self) -> HttpAnswer:
        return HttpAnswer(status=self._status, headers=self._headers, body=bytes(self._body))

    def _length_is_known(self) -> bool:
        """An answer that says nothing of its length ends with the connection."""
        return "content-length" in self._headers or "transfer-encoding" in self._headers
