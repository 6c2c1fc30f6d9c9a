"""What an index may look for in a value: the value itself, a word, a piece of text, a part of an address, a bound."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple, get_args

from bridge.rulebook.folding import folded
from bridge.rulebook.urls import parse_url

Bound = Literal["above", "below", "at_least", "at_most"]
How = Literal["same", "run", "gram1", "gram2", "gram3", "start", "end", "pattern", "segment", "label", "query"] | Bound
# Written as `int | float`, it would be made anew each time that an event is looked at.
_NUMBERS = (int, float)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")


class Key(NamedTuple):
    """Something to look for in a value, and how it is found there."""

    how: How
    what: Hashable


Offers = Sequence[frozenset[Key]]

NOTHING: Offers = ()
BOUNDS: frozenset[How] = frozenset(get_args(Bound))
"""A value has all the bounds that it reaches, which may be most of them: an index looks for anything else first."""
GRAMS: Mapping[How, int] = {"gram1": 1, "gram2": 2, "gram3": 3}
EDGE = 12
"""How much of the start or the end of a text an index looks at, in characters."""


def gram(piece: str, share: float) -> Key:
    """The three characters (all, if it has fewer) that stand in `piece` at this share of its length."""
    size = min(3, len(piece))
    at = int(share * (len(piece) - size))
    sizes: tuple[How, ...] = ("gram1", "gram2", "gram3")
    return Key(sizes[size - 1], piece[at : at + size])


def found_in(how: How, value: object) -> Iterable[Hashable]:
    """All that an index can find in a value in one way: its identity, its start or end, a part of an address."""
    if how == "same":
        return identities(value)
    if not isinstance(value, str):
        return ()
    if how in ("segment", "label", "query"):
        return _found_in_url(how, value)
    text = folded(value).text
    edge = range(1, min(EDGE, len(text)) + 1)
    return [text[:size] if how == "start" else text[-size:] for size in edge]


def _found_in_url(how: How, value: str) -> Iterable[Hashable]:
    url = parse_url(value)
    if url is None:
        return ()
    if how == "segment":
        return url.segments
    if how == "label":
        return url.host.split(".")
    return [(name, one) for name, values in url.query.items() for one in values]


def as_number(value: object) -> int | float | None:
    """The number that a value is, or that a short text says: what templates remember is text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, _NUMBERS):
        return value
    if isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return None


def amount_of(value: object) -> int | float | timedelta | None:
    """The number or the duration that a value is."""
    if value.__class__ is int:
        # What nearly every value is that is compared with a bound.
        return value
    return value if isinstance(value, timedelta) else as_number(value)


def identities(value: object) -> list[tuple[str, Hashable]]:
    """What a value equals. A text that says a number equals the number too; nothing else equals two things."""
    if isinstance(value, str):
        same: list[tuple[str, Hashable]] = [("text", folded(value).text)]
        if (number := as_number(value)) is not None:
            same.append(("number", number))
        return same
    if isinstance(value, bool):
        return [("flag", value)]
    if isinstance(value, _NUMBERS):
        return [("number", value)]
    return [("duration", value)] if isinstance(value, timedelta) else []
