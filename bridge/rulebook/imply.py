"""What follows from a condition: another condition, its contrary, or that a field is known.

Sound and not complete: a yes is certain, a no means that it could not be told. Every question is bounded in steps.
"""

from datetime import timedelta

from bridge.rulebook.conditions import All, Any, Exists, If, Not, Part, Test
from bridge.rulebook.keys import as_number
from bridge.rulebook.matchers import Compare, Matcher, Pattern, Pieces, Same, UrlGlob, UrlQuery, Words
from bridge.rulebook.moments import Opening, TimeOfDay

_STEPS = 2_000
"""Pairs of parts that one question may look at: conditions of rules have a dozen at most."""


def implies(one: object, other: object) -> bool:
    """Whether `other` certainly holds wherever `one` holds."""
    return _Proof().implies(one, other)


def disjoint(one: object, other: object) -> bool:
    """Whether the two certainly never hold together."""
    return _Proof().disjoint(one, other)


def never_holds(part: object) -> bool:
    """Whether a condition certainly holds for no event at all."""
    return _Proof().never(part)


def known_by(part: object) -> frozenset[str]:
    """The fields that are certainly known where `part` holds: "contact.email", "memory.plan"."""
    match part:
        case Test(field=field) | Exists(field=field, wanted=True):
            return frozenset([field.name])
        case All(parts=parts):
            return frozenset[str]().union(*map(known_by, parts))
        case Any(parts=parts) if parts:
            return frozenset.intersection(*map(known_by, parts))
        case Not(part=inner):
            return _known_without(inner)
    return frozenset()


def _known_without(part: object) -> frozenset[str]:
    """The fields that are certainly known where `part` does not hold."""
    match part:
        case Exists(field=field, wanted=False):
            return frozenset([field.name])
        case Any(parts=parts):
            return frozenset[str]().union(*map(_known_without, parts))
        case All(parts=parts) if parts:
            return frozenset.intersection(*map(_known_without, parts))
        case Not(part=inner):
            return known_by(inner)
    return frozenset()


class _Proof:
    """One question, with the steps that are left for it."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _STEPS

    def implies(self, one: object, other: object) -> bool:
        self._left -= 1
        if self._left < 0:
            return False
        match one, other:
            case _, All(parts=parts):
                return all(self.implies(one, part) for part in parts)
            case Any(parts=parts), _:
                return all(self.implies(part, other) for part in parts)
            case _, Any(parts=parts) if any(self.implies(one, part) for part in parts):
                return True
            case All(parts=parts), _ if any(self.implies(part, other) for part in parts):
                return True
            case Not(part=inner), Not(part=other_inner) if self.implies(other_inner, inner):
                return True
            case _, Not(part=inner) if self.disjoint(one, inner):
                return True
        return _leaf_implies(one, other)

    def disjoint(self, one: object, other: object) -> bool:
        self._left -= 1
        if self._left < 0:
            return False
        match one, other:
            case Any(parts=parts), _:
                return all(self.disjoint(part, other) for part in parts)
            case _, Any(parts=parts):
                return all(self.disjoint(one, part) for part in parts)
            case All(parts=parts), _ if any(self.disjoint(part, other) for part in parts):
                return True
            case _, All(parts=parts) if any(self.disjoint(one, part) for part in parts):
                return True
            case Not(part=inner), _ if self.implies(other, inner):
                return True
            case _, Not(part=inner) if self.implies(one, inner):
                return True
        return _leaves_disjoint(one, other)

    def never(self, part: object) -> bool:
        match part:
            case All():
                parts = _flat(part)
                return any(map(self.never, parts)) or any(
                    self.disjoint(one, other) for number, one in enumerate(parts) for other in parts[:number]
                )
            case Any(parts=parts):
                return all(map(self.never, parts))
        return False


def _flat(part: Part) -> list[Part]:
    """All that must hold for `part` to hold, with no `All` among it."""
    if isinstance(part, All):
        return [inner for one in part.parts for inner in _flat(one)]
    return [part]


def _existence(part: object) -> tuple[str, bool] | None:
    """What `exists` says of which field, also where it is turned round by `not`."""
    match part:
        case Exists(field=field, wanted=wanted):
            return field.name, wanted
        case Not(part=Exists(field=field, wanted=wanted)):
            return field.name, not wanted
    return None


def _told(part: object) -> tuple[str, bool] | None:
    """What a part tells of whether which field is known."""
    return (part.field.name, True) if isinstance(part, Test) else _existence(part)


def _leaf_implies(one: object, other: object) -> bool:
    if isinstance(one, If) and isinstance(other, If):
        # An expression over the groups of patterns depends on the other lines of its own rule.
        return one.source == other.source and "match" not in one.source
    if (existence := _existence(other)) is not None:
        return (isinstance(one, Test) and existence == (one.field.name, True)) or _existence(one) == existence
    if isinstance(one, Test) and isinstance(other, Test) and one.field.name == other.field.name:
        return covers(other.matcher, one.matcher)
    if isinstance(one, TimeOfDay) and isinstance(other, TimeOfDay) and one.zone == other.zone:
        return one.minutes() <= other.minutes()
    return isinstance(one, Opening) and one == other


def _leaves_disjoint(one: object, other: object) -> bool:
    if isinstance(one, Opening) and isinstance(other, Opening):
        return one.name == other.name and one.wanted != other.wanted
    if isinstance(one, TimeOfDay) and isinstance(other, TimeOfDay):
        return one.zone == other.zone and one.minutes().isdisjoint(other.minutes())
    if isinstance(one, Test) and isinstance(other, Test):
        return one.field.name == other.field.name and (
            _apart(one.matcher, other.matcher) or _apart(other.matcher, one.matcher)
        )
    told, others = _told(one), _told(other)
    return told is not None and others is not None and told[0] == others[0] and told[1] != others[1]


def covers(wide: Matcher, narrow: Matcher) -> bool:
    """Whether every value that `narrow` takes is certainly taken by `wide`."""
    if wide == narrow:
        return True
    match narrow, wide:
        case Same(), Same():
            return narrow.same <= wide.same
        case Same(), Words() | Pieces() if _texts(narrow):
            return all(wide.test(value, {}) for value in narrow.values)
        case Same(), Compare():
            return all(_reached(wide, value) is True for _, value in narrow.same)
        case Words(), Words():
            return all(phrase in wide.folded or wide.test(phrase, {}) for phrase in narrow.folded)
        case Words(), Pieces(where="contains"):
            return all(wide.test(phrase, {}) for phrase in narrow.phrases)
        case Pieces(), Pieces():
            return all(any(_piece_has(narrow, mine, wide, piece) for piece in wide.pieces) for mine in narrow.pieces)
        case Pattern(), Pattern():
            return narrow.pattern == wide.pattern
        case Compare(), Compare():
            return _range_within(narrow, wide)
        case UrlGlob(), UrlGlob():
            return narrow.part == wide.part and all(
                glob in wide.globs or _path_within(glob, wide) for glob in narrow.globs
            )
        case UrlQuery(), UrlQuery():
            return all(
                name in narrow.wanted and set(narrow.wanted[name]) <= set(values)
                for name, values in wide.wanted.items()
            )
    return False


def _apart(one: Matcher, other: Matcher) -> bool:
    """Whether certainly no value is taken by both, as far as it can be told looking from `one`."""
    match one, other:
        case Same(), Same():
            return not any(_meet(mine, others) for mine in one.same for others in other.same)
        case Same(), Words() | Pieces() if _texts(one):
            return not any(other.test(value, {}) for value in one.values)
        case Same(), Compare():
            return all(_reached(other, value) is False for _, value in one.same)
        case Compare(), Compare():
            return _ranges_apart(one, other)
        case Pieces(where="starts_with"), Pieces(where="starts_with"):
            return not any(a.startswith(b) or b.startswith(a) for a in one.pieces for b in other.pieces)
        case Pieces(where="ends_with"), Pieces(where="ends_with"):
            return not any(a.endswith(b) or b.endswith(a) for a in one.pieces for b in other.pieces)
    return False


def _texts(matcher: Same) -> bool:
    return all(kind == "text" for kind, _ in matcher.same)


def _meet(one: tuple[str, object], other: tuple[str, object]) -> bool:
    """Whether one value may equal both. A text that says a number equals two things, nothing else does."""
    if one[0] == other[0]:
        return one[1] == other[1]
    told = dict([one, other])
    return told.keys() == {"text", "number"} and as_number(told["text"]) == told["number"]


def _piece_has(narrow: Pieces, mine: str, wide: Pieces, piece: str) -> bool:
    if wide.where == "contains":
        return piece in mine
    if wide.where != narrow.where:
        return False
    return mine.startswith(piece) if wide.where == "starts_with" else mine.endswith(piece)


def _reached(bound: Compare, value: object) -> bool | None:
    """Whether a number or duration is within the bound; None for what is neither, or not of the bound's kind."""
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        return None
    return bound.reaches(value) if isinstance(value, timedelta) == isinstance(bound.bound, timedelta) else None


def _comparable(one: Compare, other: Compare) -> bool:
    return isinstance(one.bound, timedelta) == isinstance(other.bound, timedelta)


def _range_within(narrow: Compare, wide: Compare) -> bool:
    """`above 5` is within `at_least 5`, and not the other way round."""
    if not _comparable(narrow, wide) or _upwards(narrow) != _upwards(wide):
        return False
    if narrow.bound == wide.bound:
        return narrow.word == wide.word or narrow.word in ("above", "below")
    return wide.reaches(narrow.bound)


def _ranges_apart(one: Compare, other: Compare) -> bool:
    if not _comparable(one, other) or _upwards(one) == _upwards(other):
        return False
    if one.bound == other.bound:
        return one.word in ("above", "below") or other.word in ("above", "below")
    return not one.reaches(other.bound) and not other.reaches(one.bound)


def _upwards(matcher: Compare) -> bool:
    return matcher.word in ("above", "at_least")


def _path_within(glob: str, wide: UrlGlob) -> bool:
    """A path without stars is one path, so that it can be tried; what is written in codes is not."""
    plain = "/" + "/".join(filter(None, glob.split("/")))
    if wide.part != "path" or not plain.isascii() or any(sign in plain for sign in "*%;?#\\[]"):
        return False
    return wide.test(plain, {})
