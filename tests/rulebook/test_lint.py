"""What is said about the rulebook as a whole is never wrong: what is told to be unreachable never fires."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import to_ms
from bridge.line.match import match
from bridge.model.conversation import Memory
from bridge.model.facts import Facts
from bridge.model.rule import Rule
from bridge.rulebook.fields import field_of
from bridge.rulebook.groups import certain_groups
from bridge.rulebook.imply import disjoint, implies, known_by, never_holds
from bridge.rulebook.lint import lint, unreachable
from bridge.rulebook.matchers import Pattern
from tests.rulebook.books import facts, made, mixed, problems, rule_when, rules_of, with_copies
from tests.rulebook.test_index import ABOUT, RULE, WHEN
from tests.values import NOON

STOPPING = st.tuples(
    RULE,
    st.fixed_dictionaries(
        {},
        optional={
            "stop": st.booleans(),
            "limit": st.just({"times": 1, "per": "conversation"}),
            "sender": st.sampled_from([["contact"], ["agent"], ["contact", "agent"]]),
            "even_if_human": st.booleans(),
            "do": st.just([{"remember": {"a": 1}}]),
        },
    ),
).map(lambda two: {**two[0], **two[1]})


BOOKS = with_copies(st.lists(STOPPING, min_size=1, max_size=5), WHEN)

SMALL_TEXT = st.sampled_from(["a", "b", "a b", "ab"])
SMALL_NUMBER = st.integers(0, 3)
SMALL_LINE = st.one_of(
    st.tuples(
        st.just("text"),
        st.one_of(
            SMALL_TEXT,
            st.lists(SMALL_TEXT, min_size=1, max_size=3),
            st.dictionaries(
                st.sampled_from(["words", "contains", "starts_with", "ends_with"]), SMALL_TEXT, min_size=1, max_size=2
            ),
            st.fixed_dictionaries({"exists": st.booleans()}),
            st.fixed_dictionaries({"matches": st.sampled_from(["a", "^b"])}),
        ),
    ),
    st.tuples(
        st.just("memory.n"),
        st.one_of(
            SMALL_NUMBER,
            st.lists(SMALL_NUMBER, min_size=1, max_size=3),
            st.dictionaries(
                st.sampled_from(["above", "below", "at_least", "at_most"]), SMALL_NUMBER, min_size=1, max_size=2
            ),
            st.fixed_dictionaries({"exists": st.booleans()}),
        ),
    ),
)
SMALL_WHEN: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.lists(SMALL_LINE, min_size=1, max_size=2).map(dict),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"all": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=4,
)
SMALL_RULE = st.fixed_dictionaries(
    {"stop": st.booleans()},
    optional={
        "on": st.sampled_from(["visited", ["message", "visited"]]),
        "when": SMALL_WHEN,
        "account": st.sampled_from(["site", ["site", "shop"]]),
        "sender": st.sampled_from(["agent", ["contact", "agent"]]),
        "limit": st.just({"times": 1, "per": "conversation"}),
        "even_if_human": st.booleans(),
        "burst": st.sampled_from(["1s", "2s"]),
        "do": st.just([{"remember": {"a": 1}}]),
    },
)


def every_event(limited: tuple[str, ...]) -> Iterator[Facts]:
    """All events of a small world, for which the rules in `limited` have fired as often as they may."""
    fired = Memory(fired={name: (to_ms(NOON),) for name in limited})
    for kind, sender, account, text, number, human in product(
        ("message", "visited"), ("contact", "agent"), ("site", "shop"),
        (None, "a", "b", "a b", "ab", "b a"), (None, 0, 1, 2, 3), (None, NOON),
    ):  # fmt: skip
        about = facts(kind=kind, sender=sender, account=account, text=text, conversation={"agent_at": human})
        known = {} if number is None else {"n": number}
        yield about.with_memory("conversation", Memory(facts=known, fired=fired.fired))


WORLD = tuple(every_event(()))


@settings(max_examples=150, deadline=None)
@given(st.lists(SMALL_RULE, min_size=2, max_size=6))
def test_in_a_small_world_no_event_at_all_fires_a_rule_that_is_told_to_be_unreachable(
    rules: list[dict[str, Any]],
) -> None:
    rulebook = rules_of(*rules)
    told = {problem.message.split('"')[1] for problem in lint(rulebook.rules) if " never " in problem.message}
    if not told:
        return
    limited = every_event(tuple(rule.name for rule in rulebook.rules if rule.limit))
    # A burst is looked at once more when it is over, by those rules only that wait for it.
    for asked, about in product((None, _at_once, _in_bursts), (*WORLD, *limited)):
        fired = match(rulebook, about, asked).matches
        assert not told & {one.rule.name for one in fired}


def _at_once(rule: Rule) -> bool:
    return rule.burst is None


def _in_bursts(rule: Rule) -> bool:
    return rule.burst is not None


@settings(max_examples=300, deadline=None)
@given(SMALL_WHEN, SMALL_WHEN)
def test_in_a_small_world_what_is_implied_always_holds(one: dict[str, Any], other: dict[str, Any]) -> None:
    a, b = rule_when(one).when, rule_when(other).when
    follows, apart, never = implies(a, b), disjoint(a, b), never_holds(a)
    for about in WORLD:
        if a.holds(about, {}):
            assert not never
            assert not apart or not b.holds(about, {})
            assert not follows or b.holds(about, {})


@settings(max_examples=400, deadline=None)
@given(BOOKS, st.lists(ABOUT, min_size=2, max_size=3).map(mixed))
def test_a_rule_that_is_told_to_be_unreachable_or_vain_never_fires(
    rules: list[dict[str, Any]], asked: list[Facts]
) -> None:
    rulebook = rules_of(*rules)
    told = {problem.message.split('"')[1] for problem in lint(rulebook.rules) if " never " in problem.message}
    for about in asked:
        fired = {one.rule.name for one in match(rulebook, about).matches}
        assert not fired & told


@settings(max_examples=500, deadline=None)
@given(WHEN, WHEN, st.lists(ABOUT, min_size=2, max_size=3).map(mixed))
def test_what_is_implied_holds_and_what_is_apart_does_not(
    one: dict[str, Any], other: dict[str, Any], asked: list[Facts]
) -> None:
    whens = ({"all": [one, other]}, {"any": [other, one]}, one, other)
    both, either, first, second = (rule.when for rule in rules_of(*({"when": when} for when in whens)).rules)
    for a, b in ((both, second), (first, either), (first, second), (second, first)):
        follows, apart, never, known = implies(a, b), disjoint(a, b), never_holds(a), known_by(a)
        for about in asked:
            held = a.holds(about, {})
            assert not (held and never)
            assert not (held and follows) or b.holds(about, {})
            assert not (held and apart and b.holds(about, {}))
            assert not held or all(field_of(name).read(about) is not None for name in known)


IMPLIED = [
    ({"text": "Hello"}, {"text": ["hello", "hi"]}),
    ({"text": "hello you"}, {"text": {"words": ["HELLO"]}}),
    ({"text": {"words": ["price list", "cost"]}}, {"text": {"words": ["cost", "price"]}}),
    ({"text": {"words": "pricelist"}}, {"text": {"contains": "list"}}),
    ({"text": {"starts_with": "order no"}}, {"text": {"starts_with": "order"}}),
    ({"text": {"ends_with": "no order"}}, {"text": {"contains": "order"}}),
    ({"text": {"matches": "a+"}}, {"text": {"matches": "a+"}}),
    ({"conversation.messages": {"above": 5}}, {"conversation.messages": {"at_least": 5}}),
    ({"conversation.messages": 7}, {"conversation.messages": {"above": 5}}),
    ({"conversation.age": {"below": "5m"}}, {"conversation.age": {"at_most": "1h"}}),
    ({"url": {"path": "/prices/enterprise"}}, {"url": {"path": ["/help", "/prices/**"]}}),
    ({"url": {"query": {"a": ["x"], "b": "y"}}}, {"url": {"query": {"a": ["x", "z"]}}}),
    ({"text": "x", "contact.name": "Ada"}, {"contact.name": {"exists": True}}),
    ({"text": "x"}, {"not": {"text": "y"}}),
    ({"memory.step": "email"}, {"not": {"memory.step": {"exists": False}}}),
    ({"any": [{"text": "a"}, {"text": "b"}]}, {"text": ["a", "b", "c"]}),
    ({"not": {"text": ["a", "b"]}}, {"not": {"text": "a"}}),
    ({"text": {"matches": "a", "contains": "b"}}, {"all": [{"text": {"contains": "b"}}, {"text": {"matches": "a"}}]}),
    ({"if": "true"}, {"if": "true"}),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), IMPLIED, ids=[str(pair) for pair in IMPLIED])
def test_a_narrower_condition_implies_a_wider_one_and_not_the_other_way_round(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    a, b = rule_when(one).when, rule_when(other).when
    assert implies(a, b)
    same = implies(b, a)
    assert same == (str(one) in ("{'text': {'matches': 'a+'}}", "{'if': 'true'}") or "all" in other)


RANGES = [
    {word: bound} for word in ("above", "below", "at_least", "at_most", "is") for bound in range(4)
]  # fmt: skip


@pytest.mark.parametrize("one", RANGES, ids=str)
def test_ranges_are_compared_exactly(one: dict[str, Any]) -> None:
    values = [facts(memory={"n": step / 2}) for step in range(-2, 10)]
    a = rule_when({"memory.n": one}).when
    for other in RANGES:
        b = rule_when({"memory.n": other}).when
        within = [b.holds(about, {}) for about in values if a.holds(about, {})]
        assert implies(a, b) == all(within), other
        assert disjoint(a, b) == (not any(within)), other


NEVER = [
    {"conversation.messages": {"at_least": 5, "below": 3}},
    {"conversation.age": {"above": "1h", "at_most": "1h"}},
    {"all": [{"text": "a"}, {"text": "b"}]},
    {"text": {"is": "price list", "words": ["cost"]}},
    {"text": {"starts_with": "a"}, "all": [{"text": {"starts_with": "b"}}]},
    {"memory.x": 3, "not": {"memory.x": {"exists": True}}},
    {"memory.x": {"is": True}, "not": {"memory.x": [True, False]}},
    {"contact.email": {"exists": False}, "any": [{"contact.email": "a"}, {"contact.email": {"contains": "b"}}]},
    {"any": [{"memory.x": {"above": 3, "below": 2}}, {"memory.x": 2, "all": [{"memory.x": {"above": 3}}]}]},
]  # fmt: skip


@pytest.mark.parametrize("when", NEVER, ids=map(str, NEVER))
def test_conditions_that_contradict_one_another_are_told(when: dict[str, Any]) -> None:
    [problem] = lint(rules_of({"name": "r", "when": when}).rules)
    assert problem.warning
    assert problem.message == '"r" never holds: its conditions contradict one another'


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"when": {"kind": "visited"}}, 'its "when" asks for another kind than message'),
        ({"when": {"sender": ["agent", "bot"]}}, 'its "when" asks for another sender than contact'),
        (
            {"account": ["site", "shop"], "when": {"account": "club"}},
            'its "when" asks for another account than shop or site',
        ),
    ],
)
def test_conditions_that_no_event_of_the_rule_meets_are_told(rule: dict[str, Any], said: str) -> None:
    [problem] = lint(rules_of({"name": "r", **rule}).rules)
    assert problem.message == f'"r" never holds: {said}'


@pytest.mark.parametrize(
    ("on", "when", "said"),
    [
        (["typing", "visited"], {"text": "hi"}, '"r" asks for "text", which events of the kind typing or visited'),
        ("ended", {"attachment.size": {"above": 1}}, '"r" asks for "attachment.size", which events of the kind ended'),
        (["typing", "message"], {"text": {"words": "hi"}}, None),
        ("typing", {"any": [{"text": "hi"}, {"state": "started"}]}, None),
    ],
)  # fmt: skip
def test_what_events_of_a_kind_do_not_have_is_told(on: object, when: dict[str, Any], said: str | None) -> None:
    found = [problem.message for problem in lint(rules_of({"name": "r", "on": on, "when": when}).rules)]
    assert found == ([] if said is None else [f"{said} hardly ever have"])


SHADOWS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {"when": {"text": "x"}}, True),
    ({"on": ["message", "visited"]}, {}, True),
    ({}, {"on": ["message", "visited"]}, False),
    ({"account": "site"}, {}, False),
    ({"account": "site"}, {"account": ["site", "shop"]}, False),
    ({"account": ["site", "shop"]}, {"account": "shop"}, True),
    ({"sender": ["contact", "agent"]}, {"sender": "agent"}, True),
    ({"sender": "contact"}, {"sender": ["agent", "contact"]}, False),
    ({"limit": {"times": 1}}, {}, False),
    ({"stop": False}, {"when": {"text": "x"}}, False),
    ({"even_if_human": True}, {"even_if_human": True}, True),
    ({}, {"even_if_human": True}, False),
    ({"do": [{"remember": {"a": 1}}]}, {"even_if_human": True}, True),
    ({"burst": "2s"}, {}, False),
    ({"burst": "2s"}, {"burst": "1s"}, True),
    ({"when": {"text": {"words": ["a", "b"]}}}, {"when": {"text": {"words": "b"}, "memory.x": 1}}, True),
    ({"when": {"text": {"words": ["list"]}}}, {"when": {"text": {"words": "pricing list"}}}, True),
    ({"when": {"text": {"words": ["hello"]}}}, {"when": {"text": "hello there"}}, True),
    ({"when": {"url": {"path": "/prices/**"}}}, {"when": {"url": {"path": "/prices/enterprise"}}}, True),
    ({"when": {"memory.x": {"above": 1}}}, {"when": {"memory.x": {"above": 2}}}, True),
    ({"when": {"not": {"text": "a"}}}, {"when": {"text": {"words": "b"}, "not": {"text": "a"}}}, True),
    ({"when": {"any": [{"text": "a"}, {"memory.x": 1}]}}, {"when": {"memory.x": 1}}, True),
    ({"when": {"any": [{"text": "a"}, {"memory.x": 1}]}}, {"when": {"any": [{"memory.x": 1}, {"text": "a"}]}}, True),
]


@pytest.mark.parametrize(("first", "second", "told"), SHADOWS, ids=range(len(SHADOWS)))
def test_what_a_stopping_rule_takes_from_a_later_one(first: dict[str, Any], second: dict[str, Any], told: bool) -> None:
    rules = rules_of({"name": "first", "stop": True, **first}, {"name": "second", **second}).rules
    found = [problem.message for problem in unreachable(rules)]
    wanted = f'"second" is never reached: "first" at {rules[0].place} stops every event before it'
    assert found == ([wanted] if told else [])


def test_several_rules_may_stop_all_events_of_a_later_one_together() -> None:
    rules = rules_of(
        {"name": "a", "on": "message", "stop": True},
        {"name": "b", "on": "visited", "stop": True},
        {"name": "c", "on": ["message", "visited"]},
    ).rules
    [problem] = unreachable(rules)
    assert problem.message.startswith('"c" is never reached: ')
    assert f'"a" at {rules[0].place}' in problem.message
    assert f'"b" at {rules[1].place} stop every event before it' in problem.message


def test_a_rule_that_shadows_itself_is_not_told() -> None:
    assert not list(unreachable(rules_of({"stop": True}).rules))


TWICE: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({}, {}, "neither has conditions"),
    ({}, {"on": "visited"}, None),
    ({}, {"account": "site", "sender": "agent"}, None),
    ({"account": "shop"}, {"account": "site"}, None),
    ({"stop": True, "limit": {"times": 1}}, {}, None),
    ({"do": [{"remember": {"a": 1}}]}, {}, None),
    ({}, {"when": {"text": "a"}}, None),
    (
        {"when": {"text": {"words": ["Price", "cost"]}}},
        {"when": {"text": {"words": ["x", "price"]}, "memory.b": 1}},
        'both look for "price" in text',
    ),
    (
        {"when": {"text": {"words": ["price"]}, "not": {"memory.b": 1}}},
        {"when": {"text": {"words": ["price"]}, "memory.b": 1}},
        None,
    ),
    ({"when": {"url": {"path": "/a"}}}, {"when": {"url": {"path": "/a"}}}, "both have the same conditions"),
]


@pytest.mark.parametrize(("first", "second", "said"), TWICE, ids=range(len(TWICE)))
def test_two_rules_that_answer_the_same_event_unmeant(
    first: dict[str, Any], second: dict[str, Any], said: str | None
) -> None:
    rules = rules_of({"name": "first", **first}, {"name": "second", **second}).rules
    found = [problem.message for problem in lint(rules)]
    if said is None:
        assert not [message for message in found if "answers what" in message]
    else:
        assert found == [
            f'"second" answers what "first" at {rules[0].place} has answered: {said};'
            ' give "first" stop: true, or tell them apart'
        ]


PIECE = st.recursive(
    st.sampled_from(["a", "b", ".", r"\(", "[(|]", r"\Q|(\E", "^", r"\|", "[]|]", "[^)]", r"\pL", "[[:alpha:]?]"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map("|".join),
        inner.map(lambda piece: f"({piece})"),
        inner.map(lambda piece: f"(?:{piece})"),
        inner.map(lambda piece: f"(?i:{piece})"),
        inner.map(lambda piece: f"(?P<NAME>{piece})"),
        inner.map(lambda piece: f"(?<NAME>{piece})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{0,2}", "{1}", "{0}", "+?", "??", "{,2}"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{0,2}", "{2}"])).map(
            lambda two: f"(?P<NAME>{two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


def _with_names(pattern: str) -> str:
    for name in "klmnopqrstuvwxyz":
        pattern = pattern.replace("NAME", name, 1)
    return pattern


@settings(max_examples=500, deadline=None)
@given(PIECE.map(_with_names), st.lists(st.text("ab(|)?", max_size=6), min_size=4, max_size=8))
def test_a_group_that_is_told_to_be_certain_takes_part_in_every_match(pattern: str, texts: list[str]) -> None:
    try:
        matcher = Pattern(pattern)
    except ValueError:
        return
    certain = certain_groups(pattern)
    for text in texts:
        groups: dict[str, str] = {}
        if matcher.test(text, groups):
            assert certain <= groups.keys()


@pytest.mark.parametrize(
    ("pattern", "certain"),
    [
        (r"(?i)order\s*#?(?P<number>[0-9]{4,10})", {"number"}),
        ("(?P<a>x)|(?P<b>y)", set()),
        ("(?P<a>x)?(?P<b>y)+", {"b"}),
        ("((?P<a>x)|y)(?:(?P<b>z))", {"b"}),
        ("((?P<a>x))*", set()),
        (r"[(|]\((?<a>x)\|", {"a"}),
        (r"\Q(?P<a>|\E(?P<b>x)", {"b"}),
    ],
)
def test_groups_that_are_certain(pattern: str, certain: set[str]) -> None:
    assert certain_groups(pattern) == certain


def test_what_is_suspicious_in_the_yaml_is_told_unless_it_is_wrong_there() -> None:
    rulebook, found = made("""
rules:
  - name: a
    on: message
    do:
      - reply: {text: Your order #{{ text }} is ready
          }
      - remember: {code: 01067}
""")
    assert rulebook is not None
    assert found == [
        'rules/a.yaml:6:34: warning: "#{{" and what follows is a comment: put the text in quotes if it belongs to it',
        "rules/a.yaml:8:26: warning: 01067 is read as the number 1067: put it in quotes to keep it whole",
    ]
    assert problems("rules: [{name: 0123, on: message, stop: true}]") == [
        'rules/a.yaml:1:16: "name" must be a text, not 0123; put it in quotes: "0123"'
    ]
