"""Keeps calls whose address somebody else may have chosen out of the network inside (SSRF).

The host's name is looked up once, every address found must be public, and the connection is then made to that very
address: a name server that answers otherwise a moment later (DNS rebinding) changes nothing.

Sources: the registries behind `ipaddress.is_global`, https://www.iana.org/assignments/iana-ipv4-special-registry/ and
https://www.iana.org/assignments/iana-ipv6-special-registry/, and for addresses within addresses RFC 6052 (NAT64),
RFC 3056 (6to4) and RFC 4380 (Teredo).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")


class Inside(Exception):  # noqa: N818 - it says what is known, not what kind of class it is
    """The host is, or may be, inside."""


class Unresolved(Exception):  # noqa: N818
    """The host's name has no address."""


def is_public(address: Address) -> bool:
    """Whether it belongs to a machine out in the Internet: not private, loopback, link-local, shared, reserved or
    multicast, and no wrapping of an IPv4 address that is.
    """
    return all(one.is_global and not one.is_multicast and not one.is_reserved for one in _meant(address))


def _meant(address: Address) -> Iterator[Address]:
    """The address where packets end up: of an IPv4 address in another form only that one, else itself too."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
        return
    if address.sixtofour is not None:
        # Whether the outer address is a public one, not every version of Python says alike.
        yield address.sixtofour
        return
    # Where the IPv4 address stands in it, each network decides for itself (RFC 8215), so it counts as inside.
    yield IPv6Address("::") if address in _LOCAL_NAT64 else address
    if address.teredo is not None:
        yield from address.teredo


async def by_the_system(host: str) -> Sequence[str]:
    """The addresses of a name, as the operating system looks them up. Raises Unresolved."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved(getattr(error, "strerror", None) or "it is not a host's name") from None
    return [str(one[4][0]) for one in found]


class Guard:
    """`address(host)` gives the one address that may be called for it."""

    def __init__(
        self,
        resolve: Callable[[str], Awaitable[Sequence[str]]] = by_the_system,
        *,
        may: Callable[[Address], bool] = is_public,
    ) -> None:
        self._resolve = resolve
        self._may = may

    async def address(self, host: str) -> str:
        """Raises Inside where any address of `host` is not a public one, and Unresolved where it has none."""
        bare = host.removeprefix("[").removesuffix("]")
        try:
            found = [ip_address(bare)]
        except ValueError:
            # A link-local address has the name of its interface behind a percent sign.
            found = [ip_address(text.partition("%")[0]) for text in await self._resolve(host)]
        if not found:
            raise Unresolved("its name has no address")
        for one in found:
            if not self._may(one):
                raise Inside(f"it is at {one}, which is not a public address")
        return str(found[0])
