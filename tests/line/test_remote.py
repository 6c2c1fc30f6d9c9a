"""Who sent a request: only what a trusted proxy says of it is believed."""

from ipaddress import ip_network

import pytest

from bridge.line.remote import remote_of

TRUSTED = (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "remote"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.1, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        # A server that listens on [::] sees IPv4 in IPv6's spelling.
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        # The first line is the sender's own invention, the second the proxy's.
        ("127.0.0.1", ["192.0.2.1", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.1, 192.0.2.2", "198.51.100.1, 10.0.0.1"], "198.51.100.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.1, "], "192.0.2.1"),
        ("127.0.0.1", ["192.0.2.1, no address"], "no address"),
        ("127.0.0.1", ["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ("", ["192.0.2.1"], ""),
    ],
)
def test_who_sent_it(peer: str, forwarded: list[str], remote: str) -> None:
    assert remote_of(peer, forwarded, TRUSTED) == remote
