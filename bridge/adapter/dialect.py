"""Replies in the dialect of the platform they go to: plain text, Markdown (CommonMark) or BB-code; and their splitting.

Conversions never fail and never lose words. A text with more than `MARKS` characters that mean something in
Markdown is not parsed: it is sent as it stands, without its escapes, so that hostile text costs little time.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pkgutil import resolve_name

from bridge.model.delivery import Reply

MARKS = 4000
"""A marked character costs the parser up to 22 µs (quotations in quotations), so this many cost less than 100 ms."""

_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_MARK = re.compile(r"\\.|[\n*_`\[\]<>&!#+=|~\\:-]", re.DOTALL)
_ACTIVE = re.compile(r"[\\`*_\[\](){}<>~|&!\r\n\0]|\A[#+\-=. \t0-9]")
_STARTS = "#+-=. \t0123456789"
_INLINE = re.compile(r"[\\`*_\[\](){}<>~|&]|!(?=\[|\Z)")
_LINE_ENDS = re.compile(r"[\r\n][\r\n \t]*")
_LINE_START = re.compile(r"(\A|\n)([ \t]*)((?:[0-9]{1,9}(?=\.(?:\s|\Z)))?)([#+\-=.]?)")


def escape_markdown(text: str) -> str:
    """`text` written so that Markdown shows it literally, wherever in a line it is put (but inside code).

    Line ends stay; blanks at the beginning of a line, which could make it code, are dropped. Time is linear.
    """
    if not _ACTIVE.search(text):
        return text
    text = _INLINE.sub(r"\\\g<0>", text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd"))
    if "\n" not in text and text[0] not in _STARTS:
        return text
    return _LINE_START.sub(_escape_start, text)


def escape_value(text: str) -> str:
    """`text` escaped for the inside of a paragraph: its blank lines, and line ends around it, are dropped.

    So a customer's words cannot leave the quotation or the list item that a template puts them into.
    """
    if not _ACTIVE.search(text):
        return text
    return escape_markdown(_LINE_ENDS.sub("\n", text).strip("\n"))


def _escape_start(found: re.Match[str]) -> str:
    """A heading, list item or rule could begin here, or after a value that was put before this one."""
    line_end, blanks, number, mark = found.groups()
    return f"{line_end}{' ' if blanks and not line_end else ''}{number}{mark and chr(92) + mark}"


def sound(text: str) -> str:
    """`text` as UTF-8 can say it: half a surrogate pair, which no rule should lose a message for, becomes `?`."""
    return text.encode(errors="replace").decode()


def to_markdown(reply: Reply) -> str:
    """The reply as Markdown: plain text is escaped, Markdown passes unchanged."""
    return reply.text if reply.format == "markdown" else escape_markdown(reply.text)


def to_plain(reply: Reply) -> str:
    """The reply as readable plain text: emphasis dropped, links as `text (url)`, list items as `- item`."""
    return reply.text if reply.format == "plain" else _convert(reply.text, _PLAIN)


def to_bbcode(reply: Reply) -> str:
    """The reply as BB-code: `[b] [i] [h1] [h2] [h3]`, lists as lines, links as `text (url)`.

    Square brackets of the text get a zero-width space after the opening one, so that no tag comes from a customer;
    no official escape is known (chayns, see the platform's doc.md).
    """
    return _tagless(reply.text) if reply.format == "plain" else _convert(reply.text, _BBCODE)


def _tagless(text: str) -> str:
    return text.replace("[", "[\u200b")


def _as_is(text: str) -> str:
    return text


def _address(url: str) -> str:
    return url.replace("[", "%5B").replace("]", "%5D")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Dialect:
    """How words and addresses are written; `tags` gives for an element of Markdown its opening and closing mark."""

    literal: Callable[[str], str]
    address: Callable[[str], str]
    tags: Mapping[str, tuple[str, str]]


_PLAIN = _Dialect(literal=_as_is, address=_as_is, tags={})
_BBCODE = _Dialect(
    literal=_tagless,
    address=_address,
    tags={
        "strong": ("[b]", "[/b]"),
        "em": ("[i]", "[/i]"),
        **{f"h{n}": (f"[h{n}]", f"[/h{n}]") for n in (1, 2, 3)},
        **{f"h{n}": ("[b]", "[/b]") for n in (4, 5, 6)},
    },
)


def _convert(text: str, dialect: _Dialect) -> str:
    if sum(1 for _ in _MARK.finditer(text)) > MARKS:
        return dialect.literal(_ESCAPED.sub(r"\1", text))
    return _written()(text, dialect.literal, dialect.address, dialect.tags)


@cache
def _written() -> Callable[..., str]:
    """Loaded for the first text that needs it: the parser of Markdown takes a megabyte, and time of every start."""
    found: Callable[..., str] = resolve_name("bridge.adapter.unmarked:written")
    return found


_PARAGRAPH = re.compile(r"(?=\n[^\S\n]*\n)")
_SENTENCE = re.compile(r"(?=\n)|[.!?…]{1,8}[)\]\"'»”’]{0,4}(?=\s)|[。！？]")


def split(text: str, limit: int) -> tuple[str, ...]:
    """`text` in parts of at most `limit` characters, cut after a paragraph, else a sentence, else a word, else hard.

    A hard cut keeps what is seen as one character together (an emoji, a letter and its accents) where it fits
    into the limit. Only blanks at a cut are lost. An empty text has no parts. Raises ValueError for a limit below 1.
    """
    if limit < 1:
        raise ValueError(f"a limit of {limit} characters leaves nothing to send: it must be 1 or more")
    parts, start = list[str](), 0
    while len(text) - start > limit:
        cut = _cut(text, start, limit)
        parts.append(text[start:cut].rstrip())
        start = cut
        while start < len(text) and text[start].isspace():
            start += 1
    return tuple(part for part in (*parts, text[start:]) if part)


def _cut(text: str, start: int, limit: int) -> int:
    """Where to cut `text[start:]`: after at most `limit` characters and at least one."""
    end = start + limit
    for pattern in (_PARAGRAPH, _SENTENCE):
        cuts = [cut for found in pattern.finditer(text, start, end + 2) if start < (cut := found.end()) <= end]
        if cuts and not text[start : cuts[-1]].isspace():
            return cuts[-1]
    for cut in range(end, start, -1):
        if text[cut].isspace():
            return cut
    return start + whole(text[start : end + 1], limit)


def whole(text: str, limit: int) -> int:
    """How many of the first `limit` characters to take so that no visible character is cut in two.

    It is `limit` where the text fits or where a single visible character is longer than the limit.
    """
    if len(text) <= limit:
        return len(text)
    for cut in range(limit, 0, -1):
        if not _joined(text, cut):
            return cut
    return limit


def _joined(text: str, cut: int) -> bool:
    """Whether the characters around `cut` are seen as one: a short form of Unicode's rules (UAX 29)."""
    left, right = text[cut - 1], text[cut]
    if _is_flag(left) and _is_flag(right):
        first = cut
        while first and _is_flag(text[first - 1]):
            first -= 1
        return (cut - first) % 2 == 1
    return (
        unicodedata.category(right)[0] == "M"
        or "\u200d" in (left, right)
        or "\U0001f3fb" <= right <= "\U0001f3ff"  # skin colours
        or "\U000e0020" <= right <= "\U000e007f"  # the letters of regional flags
        or (left, right) == ("\r", "\n")
        or ("\u1100" <= left <= "\u11ff" and "\u1160" <= right <= "\u11ff")  # parts of a Korean syllable
    )


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
