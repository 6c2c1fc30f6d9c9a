"""The only door to the outside: every HTTP request of the bridge is made here.

Redirects are not followed, cookies not kept, bodies not decompressed, certificates always verified (against the
authorities of the operating system; SSL_CERT_FILE and SSL_CERT_DIR name others).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from importlib.metadata import version
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from bridge.adapter.answers import retry_after
from bridge.adapter.connections import Connections
from bridge.adapter.failures import DoorError, NeverSent
from bridge.adapter.guard import Guard, Inside, Unresolved
from bridge.adapter.protocol import ConfidentialCall, HttpAnswer, HttpCall, Post, ReadFile, SignedCall, Step, Steps
from bridge.adapter.target import Target, target_of
from bridge.clock import Clock
from bridge.model.delivery import Failed, Outcome, Unknown

USER_AGENT = f"replybridge/{version('replybridge')}"
MOST = 64 * 1024
"""Bytes of an answer's body that are read; the rest is not waited for."""

CONNECT_WITHIN = timedelta(seconds=5)
"""The longest time to reach the other side, TLS included; half of the call's own timeout where that is less."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_FRAMING = ("content-length", "transfer-encoding", "connection")
"""Where a request ends is for the door to say."""

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
    own). Calls may run at the same time; `under_way` is how many do.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        allow: Callable[[str], bool] = everywhere,
        connect_within: timedelta = CONNECT_WITHIN,
        most: int = MOST,
        guard: Guard | None = None,
    ) -> None:
        self._clock = clock
        self._allow = allow
        self._connect_within = connect_within.total_seconds()
        self._most = most
        self._guard = guard or Guard()
        self._connections: Connections
        self._shared: dict[_Key, asyncio.Task[HttpAnswer]] = {}
        self.under_way = 0

    async def __aenter__(self) -> Self:
        """Raises BridgeError where the system has no certificate authorities to check others against."""
        self._connections = Connections()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in tuple(self._shared.values()):
            task.cancel()
        await self._connections.close()

    async def call(self, call: HttpCall, *, timeout: timedelta) -> HttpAnswer:
        """Make one request; `timeout` bounds it from the connection to the last byte of the answer.

        The answer's body is cut at `most` bytes (the call's own, or else the door's); its `retry-after` is in seconds,
        whatever its form was.
        Raises NeverSent or NoAnswer. The connection of a call that is cancelled is closed; whether the request had
        arrived, nobody knows.
        """
        target = self._checked(call.url)
        within = timeout.total_seconds()
        # Connecting is given up well before the whole call is: only so is it known to be never sent.
        connect_within = min(self._connect_within, within / 2)
        address = await self._address(target, connect_within) if call.guarded else None
        request = self._written(call, target)
        self.under_way += 1
        try:
            answer = await self._connections.ask(
                target,
                request,
                most=self._most if call.most is None else call.most,
                within=within,
                connect_within=connect_within,
                address=address,
            )
        finally:
            self.under_way -= 1
        return self._in_seconds(answer) if "retry-after" in answer.headers else answer

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
        first = True
        try:
            step = next(steps)
            while True:
                if isinstance(step, ReadFile):
                    answer = await read(step)
                else:
                    mine = at_once if first else turn
                    answer = await (post(step) if isinstance(step, Post) else self._in_turn(step, mine, timeout))
                    seen, first = _shown(step, answer), False
                step = steps.send(answer)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome, seen
        except DoorError as error:
            return _unanswered(step, error), seen
        finally:
            steps.close()

    def _in_turn(
        self, call: HttpCall, turn: Callable[[], Awaitable[None]], timeout: timedelta
    ) -> Awaitable[HttpAnswer]:
        if isinstance(call, ConfidentialCall):
            return self._together(call, turn, timeout)
        return self._after(turn, call, timeout)

    async def _together(
        self, call: ConfidentialCall, turn: Callable[[], Awaitable[None]], timeout: timedelta
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

    def _checked(self, url: str) -> Target:
        target = target_of(url)
        if not self._allow(target.origin):
            raise NeverSent("refused", f"{target.origin}: this address may not be called")
        return target

    async def _address(self, target: Target, within: float) -> str:
        """The one address at which a guarded call may be made. Raises NeverSent."""
        origin = target.origin
        try:
            return await asyncio.wait_for(self._guard.address(target.host), within)
        except Inside as error:
            raise NeverSent("refused", f"{origin}: this address may not be called: {error}") from None
        except Unresolved as error:
            raise NeverSent("network", f"{origin}: cannot connect: {error}") from None
        except TimeoutError:
            raise NeverSent("timeout", f"{origin}: cannot connect: its name is not found in time") from None

    def _written(self, call: HttpCall, target: Target) -> bytes:
        """The whole request. Raises NeverSent, without their values, for headers that cannot be sent."""
        headers = call.headers
        if isinstance(call, SignedCall):
            headers = {**headers, **call.sign(self._clock.now())}
        said = {"host": target.authority, "user-agent": USER_AGENT, "accept": "*/*"}
        for name, value in headers.items():
            if _BREAKS.search(value) or not _TOKEN.fullmatch(name):
                raise _unsendable(headers)
            said[name.lower()] = value
        for name in _FRAMING:
            said.pop(name, None)
        body = call.body or b""
        if body or call.method in _WITH_BODY:
            # Without a length, many servers answer 411 even where there is no body.
            said["content-length"] = str(len(body))
        head = "".join([f"{name}: {value}\r\n" for name, value in said.items()])
        try:
            return f"{call.method} {target.path} HTTP/1.1\r\n{head}\r\n".encode() + body
        except UnicodeEncodeError:
            raise _unsendable(headers) from None

    def _in_seconds(self, answer: HttpAnswer) -> HttpAnswer:
        seconds = retry_after(answer.headers, self._clock.now())
        if seconds is None:
            return answer
        return replace(answer, headers={**answer.headers, "retry-after": f"{seconds:.0f}"})


def _shown(step: Step, answer: HttpAnswer) -> HttpAnswer:
    """What of an answer is kept with the attempt, and shown to people."""
    return HttpAnswer(status=answer.status) if isinstance(step, ConfidentialCall) else answer


def _unanswered(step: Step, error: DoorError) -> Failed | Unknown:
    """What a step without an answer comes to."""
    if isinstance(error, NeverSent):
        permanent = error.reason in ("invalid", "refused")
        return Failed(reason=error.reason, detail=error.detail, permanent=permanent)
    harmless = isinstance(step, HttpCall) and step.safe
    return (Failed if harmless else Unknown)(reason=error.reason, detail=error.detail)


def _unsendable(headers: Mapping[str, str]) -> NeverSent:
    # Headers carry the keys, so no value is quoted.
    names = ", ".join(headers)
    return NeverSent("invalid", f"a header cannot be sent (of {names}): it has a line end or such")
