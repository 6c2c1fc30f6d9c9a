"""Examine: read the folders and put them before the gate, so that what passed is exactly what was read."""

from dataclasses import dataclass, replace
from pathlib import Path

from bridge.errors import Place, Problem, RulebookError
from bridge.lab.check import near
from bridge.lab.gate import Gate, Passed
from bridge.reload.folders import NOTHING, Folders, Look, Sources

TRIES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What came of it: `passed`, or the `problems` that keep the folders from going live.

    Where they cannot be read, `readable` is false and there are no sources.
    """

    look: Look
    readable: bool = True
    sources: Sources = NOTHING
    passed: Passed | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def version(self) -> str:
        return self.sources.version if self.readable else "unreadable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Examiner:
    folders: Folders
    gate: Gate

    def read(self, *, had_rules: bool) -> Examined:
        """The folders unexamined; with problems where they cannot be read, or the rules that there were are gone."""
        look = self.folders.look()
        rules = self.folders.rules
        if had_rules and not rules.exists():
            # A disk that is not there, a checkout in the middle: nobody takes all rules out in this way.
            message = "this folder is gone; leave it there, empty, to run without rules"
            return _unreadable(look, rules, message)
        try:
            return Examined(look=look, sources=self.folders.read())
        except OSError as error:
            return _unreadable(look, Path(error.filename), f"cannot be read: {error.strerror}")

    def examine(self, read: Examined, *, had_rules: bool) -> Examined:
        """What the gate says of what was read. What is written to in the meantime is read again, a few times."""
        for _ in range(TRIES):
            if not read.readable:
                return read
            examined = self._judged(read)
            if self.folders.look() == read.look:
                return examined
            read = self.read(had_rules=had_rules)
        return _unreadable(read.look, self.folders.rules, "the files change while they are read; try again")

    def _judged(self, read: Examined) -> Examined:
        try:
            return replace(read, passed=self.gate.admit(self.folders.rules, self.folders.templates))
        except RulebookError as error:
            return replace(read, problems=error.problems)


def _unreadable(look: Look, file: Path, message: str) -> Examined:
    problem = Problem(place=Place(file=near(file).as_posix(), line=1, column=1), message=message)
    return Examined(look=look, readable=False, problems=(problem,))
