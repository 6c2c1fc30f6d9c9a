"""The index: which of many rules can match an event, found without asking each.

Rules are parted by kind of event and sender. Of what a rule's condition must see (a value, a word, a piece of text) the
rarest is put into a table; an event lights up the rules of which it has it. What is left is asked one by one. A rule
with nothing to look for is always asked.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import re2

from bridge.model.event import Kind, Sender
from bridge.model.facts import Facts
from bridge.model.rule import Rule
from bridge.rulebook.conditions import All, Anchor, Exists, If, Not, Test
from bridge.rulebook.conditions import Any as AnyOf
from bridge.rulebook.fields import Field
from bridge.rulebook.folding import Folded, folded
from bridge.rulebook.keys import BOUNDS, GRAMS, How, amount_of, found_in
from bridge.rulebook.patterns import quiet

_FILTER_BYTES = 64 * 1024
"""RE2's filter cannot be built beyond some 130 kB of literals; above half of that it is split."""

_FEW = 128
"""Up to so many pieces are looked for one by one; for more, the text is taken to pieces."""


class Finder(Protocol):
    """Finds, in the value of one field and in one way, the numbers of the rules that it lights up."""

    def find(self, value: object, into: list[int]) -> None: ...


class TextFinder(Protocol):
    """The same in a text."""

    def find(self, text: Folded, into: list[int]) -> None: ...


@dataclass(frozen=True, slots=True)
class Table:
    """Values, the ends of a text, or parts of an address: found in a dictionary, however many rules there are."""

    how: How
    rules: Mapping[Hashable, tuple[int, ...]]

    def find(self, value: object, into: list[int]) -> None:
        rules = self.rules
        for each in found_in(self.how, value):
            if each in rules:
                into.extend(rules[each])


class Words:
    """Words: those that a text has are compared with those that rules look for all at once."""

    __slots__ = ("_rules", "_words")

    def __init__(self, rules: Mapping[str, tuple[int, ...]]) -> None:
        self._rules = rules
        self._words = frozenset(rules)

    def find(self, text: Folded, into: list[int]) -> None:
        for word in self._words & text.runs:
            into.extend(self._rules[word])


@dataclass(frozen=True, slots=True)
class Pieces:
    """A few pieces of text, looked for one by one."""

    rules: Mapping[str, tuple[int, ...]]

    def find(self, text: Folded, into: list[int]) -> None:
        whole = text.text
        for piece, numbers in self.rules.items():
            if piece in whole:
                into.extend(numbers)


class Grams:
    """Many pieces of text, by `size` characters of each: those that a text has are found all at once."""

    __slots__ = ("_grams", "_rules", "_size")

    def __init__(self, size: int, rules: Mapping[str, tuple[int, ...]]) -> None:
        self._size = size
        self._rules = {tuple(piece): numbers for piece, numbers in rules.items()}
        self._grams = frozenset(self._rules)

    def find(self, text: Folded, into: list[int]) -> None:
        whole = text.text
        for gram in self._grams.intersection(zip(*(whole[at:] for at in range(self._size)), strict=False)):
            into.extend(self._rules[gram])


@dataclass(frozen=True, slots=True)
class Ranges:
    """Bounds in their order: those that a value reaches lie together, and one search finds where they end."""

    how: How
    bounds: tuple[Any, ...]
    rules: tuple[int, ...]

    def find(self, value: object, into: list[int]) -> None:
        amount = amount_of(value)
        if amount is None:
            return
        bisect = bisect_left if self.how in ("above", "at_most") else bisect_right
        at = bisect(self.bounds, amount)
        into.extend(self.rules[:at] if self.how in ("above", "at_least") else self.rules[at:])


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns: RE2 finds the literals that they need, of all of them in one pass.

    Only "potential" matches are asked for: running every pattern here as well, only to run it again in the rule's
    condition, was measured at two to six times the cost.
    """

    filters: tuple[tuple[Any, tuple[tuple[int, ...], ...]], ...]

    def find(self, text: Folded, into: list[int]) -> None:
        for literals, rules in self.filters:
            for number in literals.Match(text.utf8, potential=True) or ():
                into.extend(rules[number])


@dataclass(frozen=True, slots=True)
class Shelf:
    """The rules for one kind of event and sender: those always asked, and what finds the others in each field: in its
    text, where it is one, and in its value."""

    always: tuple[int, ...]
    fields: tuple[tuple[Field, tuple[TextFinder, ...], tuple[Finder, ...]], ...]


class RuleIndex:
    """Finds the candidates among `rules`, which are in the rulebook's order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._shelves: dict[tuple[Kind, Sender], Shelf] = {}
        parted: dict[tuple[Kind, Sender], list[int]] = {}
        for number, rule in enumerate(rules):
            for kind in rule.on:
                for sender in rule.senders:
                    parted.setdefault((kind, sender), []).append(number)
        made: dict[tuple[int, ...], Shelf] = {}
        for key, numbers in parted.items():
            same = tuple(numbers)
            if same not in made:
                made[same] = _shelf(self._rules, same)
            self._shelves[key] = made[same]

    def candidates(self, facts: Facts) -> Sequence[Rule]:
        """The rules that can match, in the rulebook's order; kind, sender and account are right for each of them."""
        event = facts.event
        shelf = self._shelves.get((event.kind, event.sender))
        if shelf is None:
            return ()
        lit: list[int] = []
        for field, in_text, in_value in shelf.fields:
            value = field.read(facts)
            if value is None:
                continue
            if in_text and isinstance(value, str):
                text = folded(value)
                for one in in_text:
                    one.find(text, lit)
            for finder in in_value:
                finder.find(value, lit)
        numbers: Iterable[int] = shelf.always
        if lit:
            lit.extend(shelf.always)
            numbers = sorted(set(lit))
        rules, account = self._rules, event.account
        return [rule for number in numbers if not (rule := rules[number]).accounts or account in rule.accounts]


def _shelf(rules: Sequence[Rule], numbers: Sequence[int]) -> Shelf:
    offers = {number: _offers(rules[number]) for number in numbers}
    common = Counter(_shared(anchor) for sets in offers.values() for one in sets for anchor in one)
    always: list[int] = []
    chosen: dict[Field, dict[How, dict[Hashable, list[int]]]] = {}
    for number, sets in offers.items():
        if not sets:
            always.append(number)
            continue
        for anchor in min(sets, key=lambda one: sum(_weight(anchor, common) for anchor in one)):
            how, what = anchor.key
            chosen.setdefault(anchor.field, {}).setdefault(how, {}).setdefault(what, []).append(number)
    fields = ((field, *_finders(found)) for field, found in chosen.items())
    return Shelf(always=tuple(always), fields=tuple(fields))


def _offers(rule: Rule) -> Sequence[frozenset[Anchor]]:
    """What the rule's condition offers to look for; a condition of an unknown kind offers nothing."""
    when = rule.when
    return when.alternatives() if isinstance(when, Test | Exists | All | AnyOf | Not | If) else ()


def _shared(anchor: Anchor) -> Hashable:
    """What rules share that look for the same. Bounds of a field are all reached together, or many of them are."""
    return (anchor.field.name, anchor.key.how) if anchor.is_bound else anchor


def _weight(anchor: Anchor, common: Counter[Hashable]) -> int:
    """How much an anchor costs: the rules that share it, and more where RE2 has to look for it or it is a bound."""
    return common[_shared(anchor)] + (8 if anchor.is_bound or anchor.key.how == "pattern" else 0)


def _finders(
    found: Mapping[How, Mapping[Any, Sequence[int]]],
) -> tuple[tuple[TextFinder, ...], tuple[Finder, ...]]:
    """What finds in a field's text, and what finds in its value."""
    in_text: list[TextFinder] = []
    in_value: list[Finder] = []
    for how, sought in found.items():
        rules = {what: tuple(numbers) for what, numbers in sought.items()}
        if how in BOUNDS:
            reached = sorted((bound, number) for bound, numbers in rules.items() for number in numbers)
            in_value.append(Ranges(how, tuple(bound for bound, _ in reached), tuple(number for _, number in reached)))
        elif how == "pattern":
            in_text.append(Patterns(tuple(_filters([*rules.items()]))))
        elif how == "run":
            in_text.append(Words(rules))
        elif how in GRAMS:
            in_text.append(Pieces(rules) if len(rules) <= _FEW else Grams(GRAMS[how], rules))
        else:
            in_value.append(Table(how, rules))
    return tuple(in_text), tuple(in_value)


def _filters(patterns: Sequence[tuple[str, tuple[int, ...]]]) -> Iterable[tuple[Any, tuple[tuple[int, ...], ...]]]:
    """Filters over all patterns, each small enough for RE2."""
    size = 0
    batch: list[tuple[str, tuple[int, ...]]] = []
    for pattern in patterns:
        size += len(pattern[0].encode("utf-8", "replace"))
        if batch and size > _FILTER_BYTES:
            yield from _built(batch)
            batch, size = [], len(pattern[0].encode("utf-8", "replace"))
        batch.append(pattern)
    yield from _built(batch)


def _built(batch: Sequence[tuple[str, tuple[int, ...]]]) -> Iterable[tuple[Any, tuple[tuple[int, ...], ...]]]:
    literals = re2.Filter()
    for pattern, _ in batch:
        literals.Add(pattern, quiet())
    try:
        literals.Compile()
    except re2.error:
        if len(batch) == 1:
            # What RE2 cannot filter is always asked: the empty pattern stands for it, which every text may match.
            yield from _built([("", batch[0][1])])
            return
        middle = len(batch) // 2
        yield from _built(batch[:middle])
        yield from _built(batch[middle:])
        return
    yield literals, tuple(numbers for _, numbers in batch)
