"""A visited address in parts, and globs on its path and host."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, unquote, urlsplit

import re2

from bridge.rulebook.folding import fold, phrase_of

MAX_QUERY_FIELDS = 200


@dataclass(frozen=True, slots=True)
class Url:
    """An address as conditions see it: percent-decoded, case-folded, without empty segments.

    `query` has all values of each parameter, in their order.
    """

    host: str
    segments: tuple[str, ...]
    query: dict[str, tuple[str, ...]]

    @property
    def path(self) -> str:
        return "".join(f"/{segment}" for segment in self.segments)


@lru_cache(maxsize=4)
def parse_url(text: str) -> Url | None:
    """The parts of an address ("example.com/a" has a host too, "/a" has none), or None where it is none."""
    text = text.strip()
    if "://" not in text.partition("?")[0] and not text.startswith("/"):
        text = "//" + text
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        query_text = "&".join(parts.query.split("&", MAX_QUERY_FIELDS)[:MAX_QUERY_FIELDS])
        pairs = parse_qsl(query_text, keep_blank_values=True)
    except ValueError:
        return None
    query: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        query[name] = (*query.get(name, ()), phrase_of(value))
    return Url(fold_host(host), tuple(_segments(parts.path)), query)


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
