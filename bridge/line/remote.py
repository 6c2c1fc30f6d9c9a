"""Remote: who sent a request, where proxies stand between."""

from collections.abc import Sequence

from bridge.adapter.network import Network, is_among


def remote_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The last address of `X-Forwarded-For` that no trusted proxy has, else `peer`, who connected.

    `forwarded` are the lines of that header, which read as one list (RFC 9110, section 5.3): many a proxy adds a line
    of its own after what the sender wrote.
    """
    addresses = [part.strip() for part in ",".join(forwarded).split(",")]
    while addresses and _is_one_of(trusted, peer):
        peer = addresses.pop() or peer
    return peer


def _is_one_of(networks: Sequence[Network], remote: str) -> bool:
    try:
        return is_among(remote, networks)
    except ValueError:
        return False
