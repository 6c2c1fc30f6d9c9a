"""Stream: a mailbox read by a browser, as Server-Sent Events. What was missed is sent again from the store."""

import asyncio
from collections import defaultdict
from functools import partial

from aiohttp import web

from bridge.adapter.protocol import Webhook
from bridge.errors import Refused, StoreError
from bridge.line.accounts import Known
from bridge.observe import log
from bridge.store.look import mail_after
from bridge.store.store import Store

HEARTBEAT = 15.0
"""Seconds between two signs of life to a reader; a browser that is gone is noticed by the second."""
MOST_READERS = 10_000
MOST_READERS_OF_ONE = 8


class _Reader:
    """A browser that reads a mailbox; `wake` says that there is something to do."""

    def __init__(self, request: web.BaseRequest) -> None:
        self.wake = asyncio.Event()
        self._request = request

    @property
    def gone(self) -> bool:
        """Whether the browser has closed the connection."""
        transport = self._request.transport
        return transport is None or transport.is_closing()


class Mailboxes:
    """Who is reading which mailbox now, so that new mail is sent at once."""

    def __init__(self, store: Store, *, heartbeat: float = HEARTBEAT) -> None:
        self._store = store
        self._heartbeat = heartbeat
        self._readers: dict[str, set[_Reader]] = defaultdict(set)
        self._count = 0
        self._closed = False

    def notify(self, name: str) -> None:
        """New mail is in this mailbox, and committed; with no name: perhaps in any."""
        for readers in [self._readers.get(name, set())] if name else list(self._readers.values()):
            for reader in readers:
                reader.wake.set()

    def close(self) -> None:
        """Let every reader go; browsers come back by themselves."""
        self._closed = True
        for readers in self._readers.values():
            for reader in readers:
                reader.wake.set()

    async def stream(self, request: web.BaseRequest, webhook: Webhook, known: Known) -> web.StreamResponse:
        """Send what came after the number in `Last-Event-ID`, then all that comes. Raises Refused."""
        name = known.adapter.mailbox(webhook, known.account)
        last = webhook.headers.get("last-event-id", "0")
        if not last.isascii() or not last.isdigit() or len(last) > 18:
            raise Refused(400, f"Last-Event-ID: {last[:40]!r} is not a number")
        alive = sum(not reader.gone for reader in self._readers.get(name, ()))
        if self._count >= MOST_READERS or alive >= MOST_READERS_OF_ONE:
            raise Refused(429, "too many readers; try again in a moment", retry_after=5)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        if request.method == "HEAD":
            # The answer to it is a head alone: what followed would be taken for the answer to the next request.
            return response
        reader = _Reader(request)
        self._readers[name].add(reader)
        self._count += 1
        try:
            await response.prepare(request)
            await self._send(response, reader, name, int(last))
        except ConnectionError:
            # The browser went away; it asks again from the last number it saw.
            pass
        except StoreError as error:
            # The head of the answer is out, so nothing else can be said any more; here, too, the browser asks again.
            log(account=known.account.name).error("a stream is cut off", error=str(error))
        finally:
            self._count -= 1
            self._readers[name].discard(reader)
            if not self._readers[name]:
                del self._readers[name]
        return response

    async def _send(self, response: web.StreamResponse, reader: _Reader, name: str, last: int) -> None:
        while not self._closed:
            reader.wake.clear()
            mail = await self._store.read(partial(mail_after, name=name, number=last))
            for number, body in mail:
                await response.write(f"id: {number}\nevent: message\ndata: {body}\n\n".encode())
                last = number
            if mail:
                continue
            try:
                async with asyncio.timeout(self._heartbeat):
                    await reader.wake.wait()
            except TimeoutError:
                await response.write(b": still here\n\n")
