"""Networks in an account's options, and who is in them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge.adapter.network import Network, NetworkOption, is_among

OPTION: TypeAdapter[list[Network]] = TypeAdapter(list[NetworkOption])
EXAMPLE = "write for example 203.0.113.7 or 203.0.113.0/24"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("::/0", "::/0"),
    ],
)
def test_ipv4_has_one_spelling(text: str, kept: str) -> None:
    assert [str(network) for network in OPTION.validate_python([text])] == [kept]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (5, f"must be a text: {EXAMPLE}"),
        (None, f"must be a text: {EXAMPLE}"),
        ("", f"'' does not appear to be an IPv4 or IPv6 network: {EXAMPLE}"),
        ("203.0.113.7/24", f"203.0.113.7/24 has host bits set: {EXAMPLE}"),
        ("chat.example", f"'chat.example' does not appear to be an IPv4 or IPv6 network: {EXAMPLE}"),
    ],
)
def test_what_is_none_is_refused_in_words(given: object, why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OPTION.validate_python([given])
    assert [(problem["loc"], problem["msg"]) for problem in caught.value.errors()] == [((0,), f"Value error, {why}")]


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("203.0.113.9", True),
        ("::ffff:203.0.113.9", True),
        ("203.0.114.9", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
    ],
)
def test_who_is_among_them(address: str, known: bool) -> None:
    assert is_among(address, OPTION.validate_python(["203.0.113.0/24", "2001:db8::/32"])) is known


def test_who_has_no_address_is_told_so() -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        is_among("unix:", OPTION.validate_python(["0.0.0.0/0"]))
