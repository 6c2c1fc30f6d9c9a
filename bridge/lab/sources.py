"""The files that are checked, as a person sees them: the line of a problem, and what of it is meant."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bridge.errors import Place, Problem

MOST = 4 * 1024 * 1024
"""Bytes of a file that are looked at; rules and templates are far smaller."""

_BREAK = re.compile(r"\r\n|\r|\n")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:''|[^'])*'")
_WORD = re.compile(r"\{\{.*?\}\}|[\w.*/@#?!-]+|\S")


class Excerpt(Struct, frozen=True, kw_only=True):
    """The line of a problem: its text, and the part that is meant, as an offset and a length in characters."""

    line: str
    start: int
    length: int


@dataclass(slots=True)
class Sources:
    """Reads each file once. A file that cannot be read has no lines."""

    _lines: dict[str, list[str]] = field(default_factory=dict)

    def excerpt(self, problem: Problem) -> Excerpt | None:
        """The line that a problem is about; None where its file has no such line."""
        place = problem.place
        line = self._line(place.file, place.line)
        if line is None or not line.strip():
            return None
        start = min(place.column - 1, len(line) - 1)
        if start == 0:
            start = len(line) - len(line.lstrip())
        found = _QUOTED.match(line, start) or _WORD.match(line, start)
        return Excerpt(line=line, start=start, length=len(found[0]) if found else 1)

    def find(self, place: Place, name: str) -> Place:
        """Where a variable stands in the text that begins at `place`; that place itself where it is not found."""
        written = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
        around, number, start = -1, place.line, place.column - 1
        while (line := self._line(place.file, number)) is not None:
            indent = len(line) - len(line.lstrip())
            if line.strip() and indent <= around:
                break
            if found := written.search(line, start):
                return replace(place, line=number, column=found.start() + 1)
            around, number, start = max(around, indent if number == place.line else around), number + 1, 0
        return place

    def _line(self, file: str, number: int) -> str | None:
        if file not in self._lines:
            self._lines[file] = _read(Path(file))
        lines = self._lines[file]
        return lines[number - 1] if 0 < number <= len(lines) else None


def _read(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            return _BREAK.split(file.read(MOST).decode("utf-8-sig", "replace"))
    except OSError:
        return []
