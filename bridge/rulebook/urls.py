"""A visited address in parts, and globs on its path and host."""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import parse_qsl, unquote, urlsplit

import re2
from msgspec import Struct

from bridge.rulebook.folding import fold, phrase_of

MAX_QUERY_FIELDS = 200
MAX_AUTHORITY = 1000
"""Characters of an address that may stand before its path. A host has 253; and the standard library normalises what
stands there, which takes quadratic time for a long run of combining marks."""

_USUAL = re.compile(
    r"https?://(?P<host>[A-Za-z0-9._-]{1,253})(?::[0-9]*)?(?P<path>(?:/[!\"$&->@-~]*)?)"
    r"(?:\?(?P<query>[!\"$-~]*))?(?:#[!-~]*)?"
)
"""Printable ASCII with nothing to decode in its path: what nearly every address is, read in a fourth of the time."""
_DROPPED = re.compile(r"[\t\r\n]")
_AUTHORITY = re.compile(r"[^/?#]*//([^/?#]*)")


class Url(Struct):
    """An address as conditions see it: percent-decoded, case-folded, without empty segments."""

    host: str
    segments: tuple[str, ...]
    _query_text: str
    _query: dict[str, tuple[str, ...]] | None = None

    @property
    def path(self) -> str:
        return "".join(f"/{segment}" for segment in self.segments)

    @property
    def query(self) -> dict[str, tuple[str, ...]]:
        """All values of each parameter, in their order; read when it is first asked for, which is seldom."""
        if self._query is None:
            self._query = _parameters(self._query_text)
        return self._query


@lru_cache(maxsize=4)
def parse_url(text: str) -> Url | None:
    """The parts of an address ("example.com/a" has a host too, "/a" has none), or None where it is none."""
    usual = _USUAL.fullmatch(text)
    if usual is None:
        return _parse_any(text)
    segments = filter(None, usual["path"].lower().split("/"))
    return Url(fold_host(usual["host"]), tuple(segments), usual["query"] or "")


def _parse_any(text: str) -> Url | None:
    text = _DROPPED.sub("", text.strip())
    if "://" not in text.partition("?")[0] and not text.startswith("/"):
        text = "//" + text
    authority = _AUTHORITY.match(text)
    if authority is not None and len(authority[1]) > MAX_AUTHORITY:
        return None
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return None
    return Url(fold_host(host), tuple(_segments(parts.path)), parts.query)


def _parameters(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    first = "&".join(text.split("&", MAX_QUERY_FIELDS)[:MAX_QUERY_FIELDS])
    for name, value in parse_qsl(first, keep_blank_values=True):
        found[name] = (*found.get(name, ()), phrase_of(value))
    return found


def _segments(path: str) -> Iterable[str]:
    return (fold(unquote(part)).replace("/", "%2f") for part in path.split("/") if part)


def fold_host(host: str) -> str:
    """A host without case and final dot, with `xn--` labels as the letters that they stand for."""
    if "xn--" not in host.lower():
        return fold(host).rstrip(".")
    return ".".join(map(_label, fold(host).rstrip(".").split(".")))


def _label(label: str) -> str:
    if not label.startswith("xn--") or not label.isascii() or len(label) > 63:
        return label
    try:
        return fold(label[4:].encode("ascii").decode("punycode"))
    except UnicodeError:
        return label


def path_glob(glob: str) -> tuple[str, frozenset[str]]:
    """A glob on a path as an RE2 pattern, and the segments that every path it matches has.

    `*` stands for anything within a segment, a segment `**` for any number of segments, none included.
    Raises ValueError with what is wrong.
    """
    if not glob.startswith("/"):
        raise ValueError(f'a path begins with "/": "/{glob}"; for the host write "host"')
    if "?" in glob or "#" in glob:
        raise ValueError('a path has no "?" and no "#": write "query" for the parameters')
    pattern, fixed = "", set()
    for segment in filter(None, glob.split("/")):
        if segment == "**":
            pattern += "(?:/[^/]+)*"
            continue
        if "**" in segment:
            raise ValueError('"**" stands alone between two slashes: "/a/**"')
        folded_segment = fold(unquote(segment)).replace("/", "%2f")
        if "*" not in segment:
            fixed.add(folded_segment)
        pattern += "/" + "[^/]*".join(re2.escape(part) for part in folded_segment.split("*"))
    return pattern, frozenset(fixed)


def host_glob(glob: str) -> tuple[str, frozenset[str]]:
    """A glob on a host as an RE2 pattern, and the labels that every host it matches has.

    `*.shop.example` is every host below shop.example, not shop.example itself.

    Raises ValueError with what is wrong.
    """
    if "/" in glob or ":" in glob:
        raise ValueError('a host is a name such as "shop.example", without "https://", port and path')
    host = fold_host(glob)
    fixed = frozenset(label for label in host.split(".") if label and "*" not in label)
    return ".*".join(re2.escape(part) for part in host.split("*")), fixed
