"""All pairs of many small conditions and scopes: what is told of two of them is true of every event they could meet.

Random conditions are seldom about the same value of the same field; here all of them are.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.model.facts import Facts
from bridge.rulebook.imply import disjoint, implies, never_holds
from bridge.rulebook.lint import unreachable
from tests.rulebook.books import facts, rules_of, sound

WORDS: list[Any] = ["a", "b", "a b", "ab", ["a", "b"], ["b", "c"], ["a b", "ab"]]
NUMBERS: list[Any] = [0, 1, "1", "1.0", True, [0, 1], ["a", 1], [2, "1"]]
BOUNDS = ("above", "below", "at_least", "at_most")
QUERIES: list[Any] = [{"x": "a"}, {"x": ["a", "b"]}, {"x": ["b", "c"]}, {"y": "a"}, {"x": "a", "y": ["a", "b"]}]
PATHS: list[Any] = ["/", "/a", "/a/*", "/a/**", "/**", "/*b", "/a*", ["/a", "/ab"], "/a/b", "/%61"]
HOSTS: list[Any] = ["h", "a.h", "*.h", "*", "a.*", ["h", "a.h"], "**.h"]
SPANS: list[Any] = ["08:00-10:00", "09:00-17:00", "22:00-06:00", "23:00-24:00", ["08:00-09:00", "09:00-17:00"]]
CALENDARS = {
    "east": {"timezone": "Europe/Kyiv", "hours": {"mon-fri": ["09:00-17:00"]}, "closed": []},
    "west": {"timezone": "America/New_York", "hours": {"mon-sun": ["22:00-06:00"]}, "closed": ["2026-03-28"]},
}


def texts() -> Iterator[Any]:
    """What can be asked of a text."""
    yield from WORDS
    yield from ({word: some} for word in ("words", "contains", "starts_with", "ends_with") for some in WORDS)
    yield from ({"matches": pattern} for pattern in ("a", "^b", "^$"))
    yield from ({"exists": True}, {"exists": False}, {"exists": True, "words": "a"})


def values() -> Iterator[Any]:
    """What can be asked of a value of any kind."""
    yield from NUMBERS
    yield from ({word: bound} for word in BOUNDS for bound in (0, 1, 1.5, 2))
    yield from ({word: "1"} for word in ("words", "contains", "starts_with", "ends_with"))
    yield from ({"exists": True}, {"exists": False}, {"at_least": 1, "below": 2})


def urls() -> Iterator[Any]:
    """What can be asked of an address."""
    yield from ({"query": query} for query in QUERIES)
    yield from ({"path": path} for path in PATHS)
    yield from ({"host": host} for host in HOSTS)


def moments() -> Iterator[dict[str, Any]]:
    """What can be asked of the moment, in three time zones."""
    yield from ({"calendar": {state: name}} for state in ("open", "closed") for name in CALENDARS)
    asked = [*({"is": span} for span in SPANS if isinstance(span, str)), {"at_least": "08:00", "below": "17:00"}]
    yield from ({"time": span} for span in SPANS)
    yield from ({"time": {**one, "calendar": name}} for one in asked for name in CALENDARS)


SAID = [None, "", "a", "b", "c", "A B", "ab", "b a", "a b c", "abc", "ba", "a1", "1"]
KEPT = [None, 0, 0.5, 1, 1.5, 2, 3, "1", "1.0", "01", "a", "a 1", "11", True, False, [1], {"a": 1}]
QUERY = ["", "?x=a", "?x=b", "?x=c&x=a", "?y=a", "?x=a&y=b", "?x=b&y=a", "?x"]
SEEN = [f"https://{host}{path}{query}" for host, path, query in product(
    ("h", "a.h", "b.a.h", "a.i"), ("/", "/a", "/a/", "/ab", "/a/b", "/a/b/c", "/b"), QUERY)]  # fmt: skip
WEEK = [datetime(2026, 3, 24, tzinfo=UTC) + timedelta(minutes=30 * number) for number in range(7 * 48)]

ALL = {
    "text": ([{"text": one} for one in texts()], [facts(text=said) for said in SAID]),
    "memory": ([{"memory.n": one} for one in values()], [facts(memory={"n": kept}) for kept in KEPT]),
    "url": ([{"url": one} for one in urls()], [facts(url=seen) for seen in [None, "not an address", *SEEN]]),
    "moment": ([*moments()], [replace(facts(), now=now) for now in WEEK]),
}


@pytest.mark.parametrize(("whens", "events"), ALL.values(), ids=ALL)
def test_what_is_told_of_any_two_conditions_is_true_of_every_event(
    whens: list[dict[str, Any]], events: list[Facts]
) -> None:
    whens = [*whens, *({"not": when} for when in whens)]
    rules = [{"name": str(number), "on": "message", "when": when, "stop": True} for number, when in enumerate(whens)]
    parts = [rule.when for rule in sound(json.dumps({"rules": rules, "calendars": CALENDARS})).rules]
    met = [frozenset(number for number, about in enumerate(events) if part.holds(about, {})) for part in parts]
    told = 0
    for (when, one, mine), (wide, other, theirs) in product(zip(whens, parts, met, strict=True), repeat=2):
        if implies(one, other):
            told += when != wide
            assert mine <= theirs, f"{when} does not imply {wide}"
        if disjoint(one, other):
            told += 1
            assert not mine & theirs, f"{when} and {wide} meet"
    assert not any(never_holds(part) and mine for part, mine in zip(parts, met, strict=True))
    assert told > len(whens)


def scopes() -> Iterable[dict[str, Any]]:
    for on, sender, account in product(
        ("message", "visited", ["message", "visited"]),
        ("contact", "agent", ["contact", "agent"]),
        (None, "site", ["site", "shop"]),
    ):
        yield {"on": on, "sender": sender, "stop": True, **({"account": account} if account else {})}


def test_a_rule_is_told_to_be_stopped_by_another_exactly_if_all_events_it_is_for_are() -> None:
    rulebook = rules_of(*scopes())
    events = [
        facts(kind=kind, sender=sender, account=account)
        for kind, sender, account in product(("message", "visited"), ("contact", "agent"), ("site", "shop", "other"))
    ]
    met: dict[str, set[int]] = {rule.name: set() for rule in rulebook.rules}
    for number, about in enumerate(events):
        for rule in rulebook.index.candidates(about):
            met[rule.name].add(number)
    for stopper, rule in product(rulebook.rules, repeat=2):
        told = [*unreachable([stopper, rule])]
        assert bool(told) == (met[rule.name] <= met[stopper.name]), (stopper.name, rule.name)
