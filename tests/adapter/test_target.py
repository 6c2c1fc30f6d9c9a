"""What is called for a URL, in whatever spelling it is given."""

import pytest

from bridge.adapter.failures import NeverSent
from bridge.adapter.target import Target, target_of


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.example", ("https://a.example", True, "a.example", 443, "a.example", "/")),
        ("HTTP://A.Example:80/B?c=1#d", ("http://a.example", False, "a.example", 80, "a.example", "/B?c=1")),
        ("https://a.example:80?", ("https://a.example:80", True, "a.example", 80, "a.example:80", "/?")),
        ("http://[::1]:8080/a", ("http://[::1]:8080", False, "::1", 8080, "[::1]:8080", "/a")),
        ("https://bücher.example/ü", ("https://xn--bcher-kva.example", True, "xn--bcher-kva.example", 443,
                                       "xn--bcher-kva.example", "/%C3%BC")),
        ("http://0x7f.1/", ("http://127.0.0.1", False, "127.0.0.1", 80, "127.0.0.1", "/")),
        ("http://h/a b/../c\r\nX: y?d e", ("http://h", False, "h", 80, "h", "/cX:%20y?d%20e")),
        ("http:\\\\h\\@a", ("http://h", False, "h", 80, "h", "/@a")),
    ],
)  # fmt: skip
def test_a_url_has_one_reading(url: str, target: tuple[str, bool, str, int, str, str]) -> None:
    origin, tls, host, port, authority, path = target
    expected = Target(origin=origin, tls=tls, host=host, port=port, authority=authority, path=path)
    assert target_of(url) == expected


@pytest.mark.parametrize("url", ["https://:hush@a.example", "http://me@a.example/", "http://a.example\\\ud800"])
def test_what_is_not_called_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(NeverSent) as caught:
        target_of(url)
    assert caught.value.reason == "invalid"
    assert "hush" not in caught.value.detail
    assert "me@" not in caught.value.detail
