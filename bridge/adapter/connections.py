"""Connections: those that are open, kept for a moment after a call because the next is often to the same place."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from aiohappyeyeballs import AddrInfoType, start_connection

from bridge.adapter.failures import in_words, never_connected
from bridge.adapter.protocol import HttpAnswer
from bridge.adapter.target import Target
from bridge.adapter.wire import Connection
from bridge.errors import BridgeError

IDLE_FOR = 4.0
"""Seconds for which an unused connection is kept. Servers close theirs after 5 seconds (Node.js) or more, and a request
that meets a connection just being closed would leave the question whether it was received."""

SURE_FOR = 0.1
"""How long a connection is used again without a look whether its end has come: nobody closes what he has just answered
on, and the look costs as much as a tenth of a call."""

MOST_LOOKUPS = 32
"""Names that are looked up at the same time. Whoever waits for the same name waits for the same lookup, so that one
name whose servers do not answer keeps no other waiting."""

SECOND_TRY = 0.25
"""Seconds after which the next of a host's addresses is tried beside the one before (RFC 8305)."""

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Linux distributions and BSDs keep their authorities, for a Python that was built elsewhere."""

_Place = tuple[str, str | None]
"""An origin, and the one address at which it may be called, where that is given."""


def look_up(host: str) -> Sequence[AddrInfoType]:
    """The addresses of a name, as the operating system looks them up, which may take long. Raises OSError, and
    ValueError for what cannot be a name."""
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


class Connections:
    """`idle_for` and `sure_for` are in seconds.

    Raises BridgeError where the system has no certificate authorities to check others against.
    """

    def __init__(
        self,
        *,
        idle_for: float = IDLE_FOR,
        sure_for: float = SURE_FOR,
        look_up: Callable[[str], Sequence[AddrInfoType]] = look_up,
    ) -> None:
        self._idle_for = idle_for
        self._sure_for = sure_for
        self._look_up = look_up
        self._tls = _trusting()
        self._idle: dict[_Place, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._names = ThreadPoolExecutor(MOST_LOOKUPS, thread_name_prefix="names")
        self._lookups: dict[str, asyncio.Future[Sequence[AddrInfoType]]] = {}

    async def ask(
        self, target: Target, request: bytes, *, most: int, within: float, connect_within: float, address: str | None
    ) -> HttpAnswer:
        """Send a request to its target, at this address if one is given; seconds for all of it, and to be connected.

        Raises NeverSent or NoAnswer.
        """
        place, now = (target.origin, address), asyncio.get_running_loop().time()
        connection = self._kept(place, now) or await self._connect(target, address, connect_within)
        answer = await connection.ask(request, most=most, until=now + within)
        if connection.reusable:
            self._keep(place, connection)
        return answer

    async def close(self) -> None:
        """Close all, also those on which an answer is awaited."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._names.shutdown(wait=False, cancel_futures=True)
        for connection in self._open:
            connection.close()
        while self._open:
            await asyncio.wait([connection.lost for connection in self._open])

    def _kept(self, place: _Place, now: float) -> Connection | None:
        """One that is open and was used a moment ago, the latest first; nobody else has it from here on."""
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            unused = now - connection.idle_since
            if unused < self._idle_for and not connection.closed and (unused < self._sure_for or connection.is_quiet()):
                return connection
            connection.close()
        return None

    def _keep(self, place: _Place, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(place, []).append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._idle_for, self._close_unused)

    def _close_unused(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._idle_for
        for place, idle in tuple(self._idle.items()):
            # The latest used stand last.
            while idle and (idle[0].closed or idle[0].idle_since <= oldest):
                idle.pop(0).close()
            if not idle:
                del self._idle[place]
        self._sweep = loop.call_later(self._idle_for, self._close_unused) if self._idle else None

    async def _connect(self, target: Target, address: str | None, within: float) -> Connection:
        try:
            async with asyncio.timeout(within):
                connection = await self._connected(target, address or target.host)
        except TimeoutError:
            raise never_connected(TimeoutError("operation timed out"), target.origin) from None
        except (OSError, ValueError) as error:
            # ValueError: a host that cannot be a name, with a label of a hundred letters or a dot at its beginning.
            raise never_connected(error, target.origin) from None
        if connection.closed:
            raise never_connected(ConnectionResetError("closed at once by the other side"), target.origin)
        return connection

    async def _connected(self, target: Target, host: str) -> Connection:
        loop = asyncio.get_running_loop()
        plug = await start_connection(await self._addresses(host, target.port), happy_eyeballs_delay=SECOND_TRY)
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(target.origin, plug)
        try:
            await loop.create_connection(
                lambda: connection,
                sock=plug,
                ssl=self._tls if target.tls else None,
                server_hostname=target.host if target.tls else None,
            )
        except BaseException:
            plug.close()
            raise
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._open.discard(connection))
        return connection

    async def _addresses(self, host: str, port: int) -> Sequence[AddrInfoType]:
        with suppress(ValueError):
            literal = ip_address(host)
            if isinstance(literal, IPv6Address):
                return [(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, 0))]
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = asyncio.get_running_loop().run_in_executor(self._names, self._look_up, host)
            self._lookups[host] = lookup
            lookup.add_done_callback(lambda _: self._lookups.pop(host, None))
        return [(*one[:4], (one[4][0], port, *one[4][2:])) for one in await asyncio.shield(lookup)]


def _trusting() -> ssl.SSLContext:
    """Checks certificates against the authorities of the operating system, or those that SSL_CERT_FILE and SSL_CERT_DIR
    name; only TLS 1.2 and newer."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        context = ssl.create_default_context(cafile=file or None, capath=folder or None)
        if not (file or folder or _has_authorities(context)):
            context.load_verify_locations(next(filter(os.path.exists, _BUNDLES), _BUNDLES[0]))
    except OSError as error:
        why = f"No CA certificates in {file or folder or 'the usual places'}: {in_words(error)}"
        remedy = "install the system's ca-certificates, or name a file of them in SSL_CERT_FILE"
        raise BridgeError(f"HTTPS cannot be spoken: {why}; {remedy}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _has_authorities(context: ssl.SSLContext) -> bool:
    """Of a folder OpenSSL reads a certificate when it needs it, and until then says that there are none."""
    folder = ssl.get_default_verify_paths().capath
    return bool(context.get_ca_certs()) or (folder is not None and any(Path(folder).iterdir()))
