"""The only door to the outside: every HTTP request of the bridge is made here.

Redirects are not followed, cookies not kept, bodies not decompressed, certificates always verified (against the
authorities of the operating system; SSL_CERT_FILE names others).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from types import TracebackType
from typing import Self

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, PyreqwestError
from pyreqwest.http import Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from bridge.adapter.answers import retry_after
from bridge.adapter.failures import NeverSent, NoAnswer, innermost, told_apart
from bridge.adapter.guard import Guard, Inside, Unresolved
from bridge.adapter.protocol import ConfidentialCall, HttpAnswer, HttpCall, Post, ReadFile, SignedCall, Steps
from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.model.delivery import Failed, Outcome, Unknown

USER_AGENT = f"replybridge/{version('replybridge')}"
MOST = 64 * 1024
"""Bytes of an answer's body that are read; the rest is not waited for."""

CONNECT_WITHIN = timedelta(seconds=5)
"""The longest time to reach the other side, TLS included; half of the call's own timeout where that is less."""

IDLE_FOR = timedelta(seconds=4)
"""How long an unused connection is kept. Servers close theirs after 5 seconds (Node.js) or more, and a request that
meets a connection just being closed would leave the question whether it was received."""

MOST_PINNED = 64
"""Clients that are kept for guarded calls, each for one address of one host; the one longest unused goes first."""

_Pin = tuple[str, str]
_Key = tuple[str, str, tuple[tuple[str, str], ...], bytes | None, timedelta]


def everywhere(origin: str) -> bool:
    return True


async def at_once() -> None:
    """The turn of who need not wait."""


async def no_files(step: ReadFile) -> HttpAnswer:
    """The answer of who keeps none."""
    return HttpAnswer(status=404)


class Door:
    """`async with Door(clock) as door:` - one for the process, because it keeps connections open between calls.

    `allow` is asked with the origin of every URL ("https://chat.example.com:8443"; no port where it is the scheme's
    own). `proxies` lets HTTPS_PROXY and its kin in the environment decide the way out. Calls may run at the same time;
    `under_way` is how many do.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        allow: Callable[[str], bool] = everywhere,
        proxies: bool = False,
        connect_within: timedelta = CONNECT_WITHIN,
        most: int = MOST,
        guard: Guard | None = None,
    ) -> None:
        self._clock = clock
        self._allow = allow
        self._proxies = proxies
        self._connect_within = connect_within
        self._most = most
        self._clients: dict[timedelta, Client] = {}
        self._guard = guard or Guard()
        self._pinned: OrderedDict[tuple[timedelta, _Pin], Client] = OrderedDict()
        self._shared: dict[_Key, asyncio.Task[HttpAnswer]] = {}
        self.under_way = 0

    async def __aenter__(self) -> Self:
        """Raises BridgeError where the system has no certificate authorities to check others against."""
        try:
            self._client(self._connect_within * 2)
        except BuilderError as error:
            remedy = "install the system's ca-certificates, or name a file of them in SSL_CERT_FILE"
            raise BridgeError(f"HTTPS cannot be spoken: {innermost(error)}; {remedy}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in tuple(self._shared.values()):
            task.cancel()
        for client in (*self._clients.values(), *self._pinned.values()):
            await client.close()

    async def call(self, call: HttpCall, *, timeout: timedelta) -> HttpAnswer:
        """Make one request; `timeout` bounds it from the connection to the last byte of the answer.

        The answer's body is cut at `most` bytes (the call's own, or else the door's); its `retry-after` is in seconds,
        whatever its form was.
        Raises NeverSent or NoAnswer. A call that is cancelled may go on unseen until its time-out (pyreqwest 0.15 does
        not take it back), so what came of it is unknown.
        """
        url = self._checked(call.url)
        pin = await self._pin(url, timeout) if call.guarded else None
        request = self._request(call, url, timeout, pin)
        body = bytearray()
        self.under_way += 1
        try:
            async with request as response:
                status, headers = response.status, _headers(response)
                most = self._most if call.most is None else call.most
                wanted = min(most, _length(headers, most))
                while len(body) < wanted:
                    chunk = await response.body_reader.read(wanted - len(body))
                    if chunk is None:
                        break
                    body += chunk
        except PyreqwestError as error:
            raise told_apart(error, url.origin_ascii) from None
        finally:
            self.under_way -= 1
        return HttpAnswer(status=status, headers=self._in_seconds(headers), body=bytes(body))

    async def drive(
        self,
        steps: Steps,
        post: Callable[[Post], Awaitable[HttpAnswer]],
        timeout: timedelta,
        turn: Callable[[], Awaitable[None]] = at_once,
        read: Callable[[ReadFile], Awaitable[HttpAnswer]] = no_files,
    ) -> tuple[Outcome, HttpAnswer | None]:
        """Walk an adapter's steps to their outcome; beside it, the last answer seen.

        `post` puts mail into the store, `read` reads a file that the bridge keeps. Who drives has waited for the turn
        of the first request; `turn` waits until the account may make one more. A call that got no answer fails, to be
        tried again, where making it twice does no harm; otherwise the outcome is Unknown. What the adapter itself
        raises comes out.
        """
        seen: HttpAnswer | None = None
        next_turn: Callable[[], Awaitable[None]] = at_once
        try:
            step = next(steps)
            while True:
                if isinstance(step, ReadFile):
                    step = steps.send(await read(step))
                    continue
                if isinstance(step, Post):
                    answer = await post(step)
                elif isinstance(step, ConfidentialCall):
                    answer = await self._together(step, timeout, next_turn)
                else:
                    await next_turn()
                    answer = await self.call(step, timeout=timeout)
                next_turn = turn
                # What is seen is kept with the attempt, and shown to people.
                seen = HttpAnswer(status=answer.status) if isinstance(step, ConfidentialCall) else answer
                step = steps.send(answer)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome, seen
        except NeverSent as error:
            permanent = error.reason in ("invalid", "refused")
            return Failed(reason=error.reason, detail=error.detail, permanent=permanent), seen
        except NoAnswer as error:
            if isinstance(step, HttpCall) and step.safe:
                return Failed(reason=error.reason, detail=error.detail), seen
            return Unknown(reason=error.reason, detail=error.detail), seen
        finally:
            steps.close()

    async def _together(
        self, call: ConfidentialCall, timeout: timedelta, turn: Callable[[], Awaitable[None]]
    ) -> HttpAnswer:
        """One call for all who need the same now: workers that find themselves without a token log in once.

        It goes on for the others when one of them is cancelled. Raises what `call` raises.
        """
        key = (call.method, call.url, tuple(sorted(call.headers.items())), call.body, timeout)
        shared = self._shared.get(key)
        if shared is None:
            # The turn is waited for within, or those who wait for it too would each call after another.
            shared = self._shared[key] = asyncio.create_task(self._after(turn, call, timeout))
            shared.add_done_callback(lambda _: self._shared.pop(key, None))
        return await asyncio.shield(shared)

    async def _after(self, turn: Callable[[], Awaitable[None]], call: HttpCall, timeout: timedelta) -> HttpAnswer:
        await turn()
        return await self.call(call, timeout=timeout)

    def _checked(self, text: str) -> Url:
        """The URL as the client itself reads it, so that there is one reading and not two."""
        try:
            url = Url(text)
        except ValueError as error:
            raise NeverSent("invalid", f"not a URL: {error}") from None
        if url.scheme not in ("http", "https"):
            raise NeverSent("invalid", f"a URL begins with http:// or https://, not with {url.scheme}:")
        if url.username or url.password:
            raise NeverSent("invalid", f"{url.origin_ascii}: a URL with a user name or password is never called")
        if not self._allow(url.origin_ascii):
            raise NeverSent("refused", f"{url.origin_ascii}: this address may not be called")
        return url

    async def _pin(self, url: Url, timeout: timedelta) -> _Pin:
        """The host of a guarded call with the one address that it may be called at. Raises NeverSent."""
        origin, host = url.origin_ascii, url.host_str or ""
        try:
            within = self._connecting(timeout).total_seconds()
            return host, await asyncio.wait_for(self._guard.address(host), within)
        except Inside as error:
            raise NeverSent("refused", f"{origin}: this address may not be called: {error}") from None
        except Unresolved as error:
            raise NeverSent("network", f"{origin}: cannot connect: {error}") from None
        except TimeoutError:
            raise NeverSent("timeout", f"{origin}: cannot connect: its name is not found in time") from None

    def _request(self, call: HttpCall, url: Url, timeout: timedelta, pin: _Pin | None) -> StreamRequest:
        headers = call.headers
        if isinstance(call, SignedCall):
            headers = {**headers, **call.sign(self._clock.now())}
        if not call.body and call.method in ("POST", "PUT", "PATCH"):
            # The client leaves it out where there is no body, and many servers then answer 411.
            headers = {**headers, "content-length": "0"}
        try:
            client = self._client(timeout) if pin is None else self._pinned_client(timeout, pin)
            builder = client.request(call.method, url).timeout(timeout).headers(headers)
            if call.body:
                builder = builder.body_bytes(call.body)
            return builder.build_streamed()
        except ValueError:
            # Its message may quote a header's value, and headers carry the keys.
            names = ", ".join(call.headers)
            raise NeverSent("invalid", f"a header cannot be sent (of {names}): it has a line end or such") from None

    def _connecting(self, timeout: timedelta) -> timedelta:
        """A client gives up connecting well before the whole call is given up: only so is it known to be never sent."""
        return min(self._connect_within, timeout / 2)

    def _client(self, timeout: timedelta) -> Client:
        within = self._connecting(timeout)
        client = self._clients.get(within)
        if client is None:
            builder = _builder(within)
            client = self._clients[within] = (builder if self._proxies else builder.no_proxy()).build()
        return client

    def _pinned_client(self, timeout: timedelta, pin: _Pin) -> Client:
        """A client that reaches the host at this address only; no proxy, which would look the name up again."""
        within = self._connecting(timeout)
        client = self._pinned.get((within, pin))
        if client is None:
            host, address = pin
            client = _builder(within).no_proxy().resolve(host, address, 0).build()
            self._pinned[within, pin] = client
            if len(self._pinned) > MOST_PINNED:
                # It is not closed, since a call may still be under way; it ends with its last call.
                self._pinned.popitem(last=False)
        self._pinned.move_to_end((within, pin))
        return client

    def _in_seconds(self, headers: dict[str, str]) -> dict[str, str]:
        if "retry-after" in headers:
            seconds = retry_after(headers, self._clock.now())
            if seconds is not None:
                headers["retry-after"] = f"{seconds:.0f}"
        return headers


def _builder(connect_within: timedelta) -> ClientBuilder:
    return (
        ClientBuilder()
        .user_agent(USER_AGENT)
        .connect_timeout(connect_within)
        .pool_idle_timeout(IDLE_FOR)
        .follow_redirects(False)
        .referer(False)
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
    )


def _length(headers: Mapping[str, str], unknown: int) -> int:
    """How long a body says it is. Who knows that need not ask once more to learn that it has ended."""
    said = headers.get("content-length", "")
    return int(said) if said.isdecimal() else unknown


def _headers(response: Response) -> dict[str, str]:
    """Those that are ASCII text, as HTTP asks for; anything else is not worth failing for."""
    try:
        return dict(response.headers.items())
    except ValueError:
        found = {}
        for name in response.headers:
            with suppress(ValueError):
                found[name] = response.headers[name]
        return found
