"""Addresses in parts: the short way for usual ones gives what the standard library's reading gives."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.rulebook.folding import fold
from bridge.rulebook.urls import fold_host, parse_url

_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_HOST = st.text("abcXYZ019.-_", min_size=1, max_size=20) | st.text(_ASCII, min_size=1, max_size=20)
_REST = st.text("aB1/?#%&=.:@~", max_size=30) | st.text(_ASCII, max_size=30)


@st.composite
def _addresses(draw: st.DrawFn) -> str:
    scheme = draw(st.sampled_from(["http://", "https://"]))
    port = draw(st.sampled_from(["", "", ":", ":8080", ":x"]))
    return scheme + draw(_HOST) + port + draw(st.sampled_from(["", "/", "//", "?", "#"])) + draw(_REST)


@given(_addresses())
@example("https://Shop.Example./A//b/?x=1?#y")
@example("https://shop.example:443?a=b#c?d")
@example("http://a_b.example/%41%2f/;v=1")
@example("https://xn--bcher-kva.example/Pricing/")
def test_an_address_is_read_as_the_standard_library_reads_it(text: str) -> None:
    found = parse_url(text)
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        assert found is None
        return
    assert found is not None
    assert found.host == fold_host(host)
    assert found.segments == tuple(fold(unquote(one)).replace("/", "%2f") for one in parts.path.split("/") if one)
    assert found._query_text == parts.query


@pytest.mark.parametrize("text", ["https://shop.example/a b", "https://shop.example/a\n", "https://büro.example/Ä"])
def test_other_addresses_are_read_too(text: str) -> None:
    found = parse_url(text)
    assert found is not None
    assert found.host.endswith(".example")
    assert len(found.segments) == 1
