"""Networks of IP addresses, as an option of accounts, and whether an address is in one of them."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from pydantic import BeforeValidator

Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")
_EXAMPLE = "write for example 203.0.113.7 or 203.0.113.0/24"


def _network(value: object) -> Network:
    """IPv4 in IPv6's spelling is IPv4: "::ffff:203.0.113.0/120" is "203.0.113.0/24"."""
    if not isinstance(value, str):
        raise ValueError(f"must be a text: {_EXAMPLE}")
    try:
        network = ip_network(value)
    except ValueError as error:
        raise ValueError(f"{error}: {_EXAMPLE}") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


NetworkOption = Annotated[Network, BeforeValidator(_network)]
"""The type of a network, or of a single address, in an account's options."""


def is_among(address: str, networks: Iterable[Network]) -> bool:
    """Whether one of the networks has this address, in either spelling of IPv4. Raises ValueError for no address."""
    found: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return any(found in network for network in networks)
