"""README.md taken apart: its fenced blocks and its tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.end_to_end.server import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced block: its language, the word after it, its text, and the heading of `##` above it."""

    language: str
    name: str
    text: str
    heading: str


def blocks() -> Iterator[Block]:
    heading, lines = "", iter(README.splitlines())
    for line in lines:
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif fence := re.fullmatch(r"( *)```(\w+) ?(\S*)", line):
            inside = []
            while (line := next(lines)).strip() != "```":
                inside.append(line.removeprefix(fence[1]))
            yield Block(language=fence[2], name=fence[3], text="\n".join(inside) + "\n", heading=heading)


BLOCKS = list(blocks())


def block(language: str, name: str) -> str:
    (found,) = [one.text for one in BLOCKS if (one.language, one.name) == (language, name)]
    return found


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first line begins like this."""
    rows = README.split(f"\n{head}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]


def names(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)
