"""Markdown written anew, for a platform that has none: plain text, or marks of another kind.

This is loaded for the first such text (see dialect.py).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

_NESTING = 10
_PARSER = MarkdownIt("commonmark", {"html": False, "maxNesting": _NESTING})


def written(
    text: str, literal: Callable[[str], str], address: Callable[[str], str], tags: Mapping[str, tuple[str, str]]
) -> str:
    """`text`, of which `literal` writes the words, `address` the addresses, and `tags` has for an element of Markdown
    its opening and closing mark."""
    return _Writer(literal=literal, address=address, tags=tags).write(_PARSER.parse(text))


@dataclass(kw_only=True, slots=True)
class _Writer:
    """Writes one token stream. `prefixes` stand at the beginning of every line of the block being written.

    `bullet` is the mark of a list item whose first line has not been written yet, `numbers` those of the
    lists that are open (None: not numbered), `gap` says whether an empty line comes before the next block.
    """

    literal: Callable[[str], str]
    address: Callable[[str], str]
    tags: Mapping[str, tuple[str, str]]
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
                    self.wrap = self.tags.get(token.tag, ("", ""))
                case "heading_close":
                    self.wrap, self.gap = ("", ""), True
                case "paragraph_close":
                    self.gap = not token.hidden
                case "code_block" | "fence":
                    self._block(self.literal(token.content.rstrip("\n")))
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
        literal, links, since = self.literal, list[tuple[str, int]](), list[str]()
        for token in tokens:
            piece = ""
            match token.type:
                case "text" | "text_special" | "code_inline":
                    piece = literal(token.content)
                case "softbreak" | "hardbreak":
                    piece = "\n"
                case "strong_open" | "em_open":
                    piece = self.tags.get(token.tag, ("", ""))[0]
                case "strong_close" | "em_close":
                    piece = self.tags.get(token.tag, ("", ""))[1]
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
        url = self.address(url)
        if text in ("", url) or f"mailto:{text}" == url:
            return text or url
        return f"{text} ({url})" if url else text
