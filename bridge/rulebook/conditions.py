"""What `when` says, compiled: tests of single fields, joined by all, any and not.

`alternatives` are for the index. Each is a set of things to look for in an event, and the condition never holds for an
event that has none of the set; where a condition offers several, any one of them is enough to go by.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bridge.errors import BridgeError
from bridge.model.facts import Facts, variables
from bridge.rulebook.fields import Field
from bridge.rulebook.keys import BOUNDS, Key
from bridge.rulebook.matchers import Matcher, show
from bridge.rulebook.yaml import shown

Evaluate = Callable[[Mapping[str, object]], object]
Groups = dict[str, str]
"""The named groups that patterns found so far; later parts of the same rule may use them in `if`."""


class Anchor(NamedTuple):
    """Something to look for in one field of an event."""

    field: Field
    key: Key

    @property
    def is_bound(self) -> bool:
        return self.key.how in BOUNDS


class Part(Protocol):
    """A condition of bridge.model.rule, or a piece of one, that can also say what it is and what to look for."""

    @property
    def wants(self) -> str:
        """What it asks, in words: 'text has a word of "price"'."""
        ...

    def holds(self, facts: Facts, groups: Groups) -> bool: ...
    def why_not(self, facts: Facts, groups: Groups | None = None) -> str | None: ...
    def alternatives(self) -> Sequence[frozenset[Anchor]]: ...


@dataclass(frozen=True, slots=True)
class Test:
    """One matcher on one field. A value that is not known is a no."""

    field: Field
    matcher: Matcher

    @property
    def wants(self) -> str:
        return f"{self.field.name} {self.matcher.yes}"

    def holds(self, facts: Facts, groups: Groups) -> bool:
        value = self.field.read(facts)
        return value is not None and self.matcher.test(value, groups)

    def why_not(self, facts: Facts, groups: Groups | None = None) -> str | None:
        value = self.field.read(facts)
        if value is None:
            return f"{self.field.name}: is not known"
        return None if self.matcher.test(value, {}) else f"{self.field.name}: {show(value)} {self.matcher.no}"

    def alternatives(self) -> Sequence[frozenset[Anchor]]:
        return [frozenset(Anchor(self.field, key) for key in keys) for keys in self.matcher.offers()]


@dataclass(frozen=True, slots=True)
class Exists:
    """`exists`: whether a value is known at all."""

    field: Field
    wanted: bool

    @property
    def wants(self) -> str:
        return f"{self.field.name} is {'known' if self.wanted else 'not known'}"

    def holds(self, facts: Facts, groups: Groups) -> bool:
        return (self.field.read(facts) is not None) == self.wanted

    def why_not(self, facts: Facts, groups: Groups | None = None) -> str | None:
        value = self.field.read(facts)
        if (value is not None) == self.wanted:
            return None
        return f"{self.field.name}: is not known" if value is None else f"{self.field.name}: {show(value)} is known"

    def alternatives(self) -> Sequence[frozenset[Anchor]]:
        return ()


@dataclass(frozen=True, slots=True)
class All:
    """Every part must hold. Without parts it always does."""

    parts: tuple[Part, ...] = ()

    @property
    def wants(self) -> str:
        return " and ".join(part.wants for part in self.parts) or "always"

    def holds(self, facts: Facts, groups: Groups) -> bool:
        for part in self.parts:  # noqa: SIM110 - a generator would cost more than the tests
            if not part.holds(facts, groups):
                return False
        return True

    def why_not(self, facts: Facts, groups: Groups | None = None) -> str | None:
        groups = dict(groups or {})
        for part in self.parts:
            before = dict(groups)
            if not part.holds(facts, groups):
                return part.why_not(facts, before)
        return None

    def alternatives(self) -> Sequence[frozenset[Anchor]]:
        return [one for part in self.parts for one in part.alternatives()]


@dataclass(frozen=True, slots=True)
class Any:
    """One part must hold; the named groups are those of the first that does."""

    parts: tuple[Part, ...]

    @property
    def wants(self) -> str:
        return "any of (" + "; ".join(part.wants for part in self.parts) + ")"

    def holds(self, facts: Facts, groups: Groups) -> bool:
        for part in self.parts:
            found = dict(groups)
            if part.holds(facts, found):
                groups.update(found)
                return True
        return False

    def why_not(self, facts: Facts, groups: Groups | None = None) -> str | None:
        reasons = [part.why_not(facts, groups) for part in self.parts]
        return None if None in reasons else f"any: none of ({'; '.join(filter(None, reasons))})"

    def alternatives(self) -> Sequence[frozenset[Anchor]]:
        """One: what every part offers, taken together. Of several offers of a part the cheapest is taken."""
        together: set[Anchor] = set()
        for part in self.parts:
            offers = part.alternatives()
            if not offers:
                return ()
            together |= min(offers, key=_cost)
        return (frozenset(together),)


def _cost(offer: AbstractSet[Anchor]) -> int:
    """A bound counts as many things to look for, because many events reach it."""
    return sum(10 if anchor.is_bound else 1 for anchor in offer)


@dataclass(frozen=True, slots=True)
class Not:
    """The part must not hold."""

    part: Part

    @property
    def wants(self) -> str:
        return f"not ({self.part.wants})"

    def holds(self, facts: Facts, groups: Groups) -> bool:
        return not self.part.holds(facts, dict(groups))

    def why_not(self, facts: Facts, groups: Groups | None = None) -> str | None:
        if not self.part.holds(facts, dict(groups or {})):
            return None
        seen = f", it is {show(self.part.field.read(facts))}" if isinstance(self.part, Test) else ""
        return f"not: {self.part.wants}{seen}"

    def alternatives(self) -> Sequence[frozenset[Anchor]]:
        return ()


@dataclass(frozen=True, slots=True)
class If:
    """A Jinja expression. One that fails (a name that is not known) is a no, with the failure as its reason."""

    source: str
    evaluate: Evaluate

    @property
    def wants(self) -> str:
        return f"if {shown(self.source)}"

    def holds(self, facts: Facts, groups: Groups) -> bool:
        try:
            return bool(self.evaluate(variables(facts, groups)))
        except BridgeError:
            return False

    def why_not(self, facts: Facts, groups: Groups | None = None) -> str | None:
        try:
            value = self.evaluate(variables(facts, groups))
            return None if value else f"if: {shown(self.source)} is {show(value)}"
        except BridgeError as error:
            return f"if: {shown(self.source)} cannot be told: {shown(str(error), 200)[1:-1]}"

    def alternatives(self) -> Sequence[frozenset[Anchor]]:
        return ()
