"""The matchers: what a condition asks of one value.

Each says what it asks in two ways, `yes` and `no`, so that a trace can tell why a rule did not fire. `offers` is what
an index may look for: sets of keys, and a value that the matcher takes has at least one key of each set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import ge, gt, le, lt
from typing import Any, Literal, Protocol

import re2

from bridge.model.quantity import say_duration
from bridge.rulebook.folding import folded, phrase_of, piece_of, runs_of
from bridge.rulebook.keys import EDGE, NOTHING, Bound, How, Key, Offers, amount_of, gram, identities
from bridge.rulebook.patterns import compile_pattern, quiet
from bridge.rulebook.urls import host_glob, parse_url, path_glob
from bridge.rulebook.yaml import shown

Where = Literal["contains", "starts_with", "ends_with"]
_GRAM_OFFERS = 6


class Matcher(Protocol):
    @property
    def yes(self) -> str: ...
    @property
    def no(self) -> str: ...
    def test(self, value: object, groups: dict[str, str]) -> bool: ...
    def offers(self) -> Offers: ...


def said(values: Sequence[object]) -> str:
    """Values as a person lists them, the first few of many."""
    few = ", ".join(show(value) for value in values[:5])
    return few if len(values) <= 5 else f"{few} and {len(values) - 5} more"


def show(value: object) -> str:
    return say_duration(value) if isinstance(value, timedelta) else shown(value)


class Same:
    """`is` and `in`."""

    __slots__ = ("same", "values")

    def __init__(self, values: Sequence[object]) -> None:
        self.values = tuple(values)
        self.same = frozenset(identities(value)[0] for value in values)

    @property
    def yes(self) -> str:
        return f"is {said(self.values)}" if len(self.values) == 1 else f"is one of {said(self.values)}"

    @property
    def no(self) -> str:
        return f"is not {said(self.values)}" if len(self.values) == 1 else f"is none of {said(self.values)}"

    def test(self, value: object, groups: dict[str, str]) -> bool:
        return not self.same.isdisjoint(identities(value))

    def offers(self) -> Offers:
        return (frozenset(Key("same", same) for same in self.same),)


class Words:
    """`words`: whole words or phrases."""

    __slots__ = ("_bare", "_by_run", "_runs", "folded", "phrases")

    def __init__(self, phrases: Sequence[str]) -> None:
        self.phrases = tuple(phrases)
        self.folded = frozenset(map(phrase_of, phrases))
        self._bare: list[str] = []
        self._by_run: dict[str, list[str]] = {}
        for phrase in sorted(self.folded):
            runs = runs_of(phrase)
            if runs:
                self._by_run.setdefault(max(runs, key=len), []).append(phrase)
            else:
                self._bare.append(phrase)
        self._runs = frozenset(self._by_run)

    @property
    def yes(self) -> str:
        return f"has a word of {said(self.phrases)}"

    @property
    def no(self) -> str:
        return f"has no word of {said(self.phrases)}"

    def test(self, value: object, groups: dict[str, str]) -> bool:
        if not isinstance(value, str):
            return False
        text = folded(value)
        for run in self._runs & text.runs:
            if any(map(text.has_phrase, self._by_run[run])):
                return True
        return any(map(text.has_phrase, self._bare))

    def offers(self) -> Offers:
        return NOTHING if self._bare else (frozenset(Key("run", run) for run in self._runs),)


class Pieces:
    """`contains`, `starts_with` and `ends_with`."""

    __slots__ = ("_given", "_test", "pieces", "where")

    def __init__(self, where: Where, pieces: Sequence[str]) -> None:
        self.where = where
        self._given = tuple(pieces)
        self.pieces = tuple(map(piece_of, pieces))

    @property
    def yes(self) -> str:
        return f"{self.where.replace('_', ' ')} {said(self._given)}"

    @property
    def no(self) -> str:
        verb = self.where.split("_")[0].removesuffix("s")
        rest = " with" if self.where.endswith("with") else ""
        return f"does not {verb}{rest} {said(self._given)}"

    def test(self, value: object, groups: dict[str, str]) -> bool:
        if not isinstance(value, str):
            return False
        text = folded(value).text
        if self.where == "starts_with":
            return text.startswith(self.pieces)
        if self.where == "ends_with":
            return text.endswith(self.pieces)
        return any(piece in text for piece in self.pieces)

    def offers(self) -> Offers:
        if self.where == "starts_with":
            return (frozenset(Key("start", piece[:EDGE]) for piece in self.pieces),)
        if self.where == "ends_with":
            return (frozenset(Key("end", piece[-EDGE:]) for piece in self.pieces),)
        return [
            frozenset(gram(piece, part / (_GRAM_OFFERS - 1)) for piece in self.pieces) for part in range(_GRAM_OFFERS)
        ]


class Pattern:
    """`matches`: an RE2 pattern on the text as it came. Raises ValueError for a pattern that RE2 does not take."""

    __slots__ = ("_regexp", "named", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._regexp = compile_pattern(pattern)
        self.named = tuple(self._regexp.groupindex.items())

    @property
    def yes(self) -> str:
        return f"matches {shown(self.pattern)}"

    @property
    def no(self) -> str:
        return f"does not match {shown(self.pattern)}"

    def test(self, value: object, groups: dict[str, str]) -> bool:
        if not isinstance(value, str):
            return False
        found = self._regexp.search(folded(value).utf8)
        if found is None:
            return False
        for name, number in self.named:
            text = found[number]
            if text is not None:
                groups[name] = text.decode("utf-8", "replace")
        return True

    def offers(self) -> Offers:
        return (frozenset({Key("pattern", self.pattern)}),)


class Compare:
    """`above`, `below`, `at_least` and `at_most`."""

    __slots__ = ("_test", "bound", "word")

    _TESTS: Mapping[str, tuple[Bound, Any]] = {
        "above": ("above", gt), "below": ("below", lt), "at_least": ("at_least", ge), "at_most": ("at_most", le),
    }  # fmt: skip

    def __init__(self, word: str, bound: int | float | timedelta) -> None:
        self.word, self._test = self._TESTS[word]
        self.bound = bound

    @property
    def yes(self) -> str:
        return f"is {self.word.replace('_', ' ')} {show(self.bound)}"

    @property
    def no(self) -> str:
        return f"is not {self.word.replace('_', ' ')} {show(self.bound)}"

    def test(self, value: object, groups: dict[str, str]) -> bool:
        amount = amount_of(value)
        return amount is not None and self.reaches(amount)

    def reaches(self, amount: int | float | timedelta) -> bool:
        return bool(self._test(amount, self.bound))

    def offers(self) -> Offers:
        return (frozenset({Key(self.word, self.bound)}),)


class UrlGlob:
    """`path` and `host`. Raises ValueError for what is no glob."""

    __slots__ = ("_fixed", "_regexp", "globs", "part")

    def __init__(self, part: Literal["path", "host"], globs: Sequence[str]) -> None:
        self.part = part
        self.globs = tuple(globs)
        made = [path_glob(glob) if part == "path" else host_glob(glob) for glob in globs]
        self._fixed = [fixed for _, fixed in made]
        self._regexp = re2.compile("|".join(f"(?:{pattern})" for pattern, _ in made), quiet())

    @property
    def yes(self) -> str:
        return f"has the {self.part} {said(self.globs)}"

    @property
    def no(self) -> str:
        return f"does not have the {self.part} {said(self.globs)}"

    def test(self, value: object, groups: dict[str, str]) -> bool:
        url = parse_url(value) if isinstance(value, str) else None
        if url is None:
            return False
        part = url.path if self.part == "path" else url.host
        if not part and self.part == "host":
            return False
        return self._regexp.fullmatch(part.encode("utf-8", "replace")) is not None

    def offers(self) -> Offers:
        how: How = "segment" if self.part == "path" else "label"
        if not all(self._fixed):
            return NOTHING
        return (frozenset(Key(how, max(sorted(fixed), key=len)) for fixed in self._fixed),)


@dataclass(frozen=True, slots=True)
class UrlQuery:
    """`query`: each named parameter has one of its values."""

    wanted: Mapping[str, tuple[str, ...]]

    @property
    def _said(self) -> str:
        return " and ".join(f"{name}={' or '.join(values)}" for name, values in self.wanted.items())

    @property
    def yes(self) -> str:
        return f"has the query {self._said}"

    @property
    def no(self) -> str:
        return f"does not have the query {self._said}"

    def test(self, value: object, groups: dict[str, str]) -> bool:
        url = parse_url(value) if isinstance(value, str) else None
        if url is None:
            return False
        return all(
            not {*map(phrase_of, values)}.isdisjoint(url.query.get(name, ())) for name, values in self.wanted.items()
        )

    def offers(self) -> Offers:
        return [
            frozenset(Key("query", (name, phrase_of(value))) for value in values)
            for name, values in self.wanted.items()
        ]
