"""Replies in the dialect of the platform they go to: plain text, Markdown (CommonMark) or BB-code; and their splitting.

Conversions never fail and never lose words. A text with more than `MARKS` characters that mean something in
Markdown is not parsed: it is sent as it stands, without its escapes, so that hostile text costs little time.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bridge.model.delivery import Reply

MARKS = 4000
"""A marked character costs the parser up to 22 µs (quotations in quotations), so this many cost less than 100 ms."""

_NESTING = 10
_PARSER = MarkdownIt("commonmark", {"html": False, "maxNesting": _NESTING})

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
    """`tags` gives for an element of Markdown its opening and closing mark."""

    literal: Callable[[str], str]
    tags: dict[str, tuple[str, str]]


_PLAIN = _Dialect(literal=_as_is, tags={})
_BBCODE = _Dialect(
    literal=_tagless,
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
    return _Writer(dialect=dialect).write(_PARSER.parse(text))


@dataclass(kw_only=True, slots=True)
class _Writer:
    """Writes one token stream. `prefixes` stand at the beginning of every line of the block being written.

    `bullet` is the mark of a list item whose first line has not been written yet, `numbers` those of the
    lists that are open (None: not numbered), `tight` says for each whether its items stand close together.
    """

    dialect: _Dialect
    lines: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    bullet: str = ""
    numbers: list[int | None] = field(default_factory=list)
    gap: bool = False
    wrap: tuple[str, str] = ("", "")

    def write(self, tokens: list[Token]) -> str:
        for token in tokens:
            match token.type:
                case "inline":
                    self._block(self.wrap[0] + "".join(self._inline(token.children or [])) + self.wrap[1])
                case "heading_open":
                    self.wrap = self.dialect.tags.get(token.tag, ("", ""))
                case "heading_close":
                    self.wrap, self.gap = ("", ""), True
                case "paragraph_close":
                    self.gap = not token.hidden
                case "code_block" | "fence":
                    self._block(self.dialect.literal(token.content.rstrip("\n")))
                    self.gap = True
                case "hr":
                    self._block("---")
                    self.gap = True
                case _:
                    self._container(token)
        return "\n".join(self.lines)

    def _container(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open":
                self.numbers.append(None)
            case "ordered_list_open":
                self.numbers.append(int(token.attrs.get("start", 1)))
            case "list_item_open":
                self._item()
            case "blockquote_open":
                self.prefixes.append("> ")
            case "list_item_close":
                if self.bullet:
                    self._block("")
                self.prefixes.pop()
            case "blockquote_close":
                self.prefixes.pop()
                self.gap = True
            case "bullet_list_close" | "ordered_list_close":
                self.numbers.pop()
                self.gap = not self.numbers

    def _item(self) -> None:
        if self.bullet:
            self._block("")
        number = self.numbers[-1]
        if number is not None:
            self.numbers[-1] = number + 1
        self.bullet = "- " if number is None else f"{number}. "
        self.prefixes.append(" " * len(self.bullet))

    def _block(self, text: str) -> None:
        """Write a block's lines; the first one carries the list item's mark where one waits."""
        if self.gap and self.lines:
            self.lines.append("".join(self.prefixes[: -1 if self.bullet else None]).rstrip())
        self.gap = False
        for line in text.split("\n"):
            if self.bullet:
                self.lines.append(("".join(self.prefixes[:-1]) + self.bullet + line).rstrip())
                self.bullet = ""
            else:
                self.lines.append(("".join(self.prefixes) + line).rstrip())

    def _inline(self, tokens: list[Token]) -> Iterator[str]:
        literal, links, since = self.dialect.literal, list[tuple[str, int]](), list[str]()
        for token in tokens:
            piece = ""
            match token.type:
                case "text" | "text_special" | "code_inline":
                    piece = literal(token.content)
                case "softbreak" | "hardbreak":
                    piece = "\n"
                case "strong_open" | "em_open":
                    piece = self.dialect.tags.get(token.tag, ("", ""))[0]
                case "strong_close" | "em_close":
                    piece = self.dialect.tags.get(token.tag, ("", ""))[1]
                case "image":
                    piece = self._link(literal(token.content), str(token.attrs.get("src", "")))
                case "link_open":
                    links.append((str(token.attrs.get("href", "")), len(since)))
                case "link_close":
                    url, start = links.pop()
                    text = "".join(since[start:])
                    del since[start:]
                    piece = self._link(text, url)
            since.append(piece)
        yield from since

    def _link(self, text: str, url: str) -> str:
        url = _address(url) if self.dialect is _BBCODE else url
        if text in ("", url) or f"mailto:{text}" == url:
            return text or url
        return f"{text} ({url})" if url else text


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
