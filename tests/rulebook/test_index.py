"""The index finds every rule that matches, in the rulebook's order, whatever the rules and the events are."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.event import KINDS, SENDERS, Contact
from bridge.model.facts import Facts
from bridge.model.rule import Rule, Rulebook
from bridge.rulebook.index import RuleIndex
from tests.rulebook.books import facts, mixed, rules_of

LETTERS = "aB1 ß.éÉe\u0301ЦцΣς_+ſk\u212aक\u0940"
TEXT = st.text(LETTERS, max_size=12)
PIECE = TEXT.map(lambda text: text if text.strip() else f"{text}a")
PIECES = st.lists(PIECE, min_size=1, max_size=3)
PLAIN_WORDS = ["a", "b", "ß", "Ц", "e\u0301"]
WORD = st.sampled_from([*PLAIN_WORDS, "*", "a*"])
URL_PARTS = st.lists(st.sampled_from(PLAIN_WORDS), max_size=3)
NUMBER = st.integers(-2, 3)
PATTERN = st.sampled_from(
    [
        "a+",
        "(?i)é",
        "(?i)K",
        "ß|B1",
        "^",
        "$",
        "(?P<n>[aB])1",
        r"\pL\.",
        "(?i)ς",
        "[^a]",
        "a.c",
        "(?i)ſ",
        r"\bB1\b",
        "ЦЦ?",
    ]
)

TEXT_MATCHER = st.one_of(
    PIECE,
    PIECES,
    st.fixed_dictionaries({"words": PIECES}),
    st.fixed_dictionaries({"contains": PIECES}),
    st.fixed_dictionaries({"starts_with": PIECES}),
    st.fixed_dictionaries({"ends_with": PIECES}),
    st.fixed_dictionaries({"matches": PATTERN}),
    st.fixed_dictionaries({"matches": PATTERN, "contains": PIECE}),
    st.fixed_dictionaries({"exists": st.booleans()}),
)
GLOB = st.lists(st.one_of(WORD, st.just("**")), max_size=3).map(lambda parts: "/" + "/".join(parts))
URL_MATCHER = st.one_of(
    st.fixed_dictionaries({"path": st.lists(GLOB, min_size=1, max_size=2)}),
    st.fixed_dictionaries(
        {"host": st.lists(st.lists(WORD, min_size=1, max_size=3).map(".".join), min_size=1, max_size=2)}
    ),
    st.fixed_dictionaries({"query": st.dictionaries(st.sampled_from("xy"), PIECES, min_size=1)}),
)
NUMBER_MATCHER = st.one_of(
    NUMBER, st.lists(NUMBER, min_size=1, max_size=2), st.fixed_dictionaries({"above": NUMBER, "below": NUMBER})
)
FIELD = st.one_of(
    st.tuples(st.sampled_from(["text", "contact.name", "memory.a"]), TEXT_MATCHER),
    st.tuples(st.just("url"), URL_MATCHER),
    st.tuples(st.sampled_from(["conversation.messages", "memory.b", "contact.x"]), NUMBER_MATCHER),
    st.tuples(st.sampled_from(["memory.b", "event.raw.c.0"]), st.booleans()),
)
PLAIN = st.lists(FIELD, min_size=1, max_size=2).map(dict)
WHEN: st.SearchStrategy[dict[str, Any]] = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
        st.tuples(PLAIN, inner).map(lambda two: {**two[0], "any": [two[1], two[0]]}),
    ),
    max_leaves=4,
)
RULE = st.fixed_dictionaries(
    {"on": st.sampled_from([["message"], ["visited"], ["message", "visited"]])},
    optional={
        "when": WHEN,
        "account": st.sampled_from(["site", "shop"]),
        "sender": st.sampled_from(["contact", "agent"]),
        "priority": st.integers(-1, 1),
    },
)
VALUE = st.one_of(TEXT, NUMBER, NUMBER.map(str), st.booleans(), st.none(), st.lists(TEXT, max_size=2))


def a_url(host: list[str], path: list[str], query: list[tuple[str, str]]) -> str:
    asked = "&".join(f"{name}={value}" for name, value in query)
    return f"https://{'.'.join(host) or 'h'}/{'/'.join(path)}?{asked}"


ABOUT = st.builds(
    facts,
    kind=st.sampled_from(["message", "visited"]),
    sender=st.sampled_from(["contact", "agent"]),
    account=st.sampled_from(["site", "shop", "other"]),
    text=st.one_of(st.none(), TEXT, st.lists(TEXT, max_size=4).map(" ".join), st.text(max_size=5)),
    url=st.one_of(
        st.none(),
        st.builds(a_url, URL_PARTS, URL_PARTS, st.lists(st.tuples(st.sampled_from("xy"), TEXT), max_size=3)),
        TEXT,
    ),
    contact=st.builds(Contact, name=st.one_of(st.none(), TEXT), extra=st.fixed_dictionaries({"x": VALUE})),
    memory=st.fixed_dictionaries({"a": VALUE, "b": VALUE}),
    raw=st.fixed_dictionaries({"c": st.lists(VALUE, min_size=1, max_size=1)}),
    conversation=st.fixed_dictionaries({"messages": st.integers(0, 3)}),
)


def matching(rulebook: Rulebook, about: Facts) -> list[Rule]:
    """All rules asked one by one, as if there were no index."""
    event = about.event
    return [
        rule
        for rule in rulebook.rules
        if event.kind in rule.on
        and event.sender in rule.senders
        and (not rule.accounts or event.account in rule.accounts)
        and rule.when.holds(about, {})
    ]


@settings(max_examples=400, deadline=None)
@given(st.lists(RULE, max_size=8), st.lists(ABOUT, min_size=1, max_size=3).map(mixed))
def test_the_index_finds_what_asking_every_rule_finds(rules: list[dict[str, Any]], asked: list[Facts]) -> None:
    rulebook = rules_of(*rules)
    for about in asked:
        found = [rule for rule in rulebook.index.candidates(about) if rule.when.holds(about, {})]
        assert [rule.name for rule in found] == [rule.name for rule in matching(rulebook, about)]


@settings(max_examples=300, deadline=None)
@given(WHEN, ABOUT)
def test_a_reason_is_given_exactly_when_a_condition_fails(when: dict[str, Any], about: Facts) -> None:
    condition = rules_of({"when": when}).rules[0].when
    assert (condition.why_not(about) is None) == condition.holds(about, {})


def test_only_rules_of_the_kind_sender_and_account_are_candidates() -> None:
    rulebook = rules_of(
        *(
            {"on": kind, "sender": sender, "account": account}
            for kind, sender, account in itertools.product(KINDS, SENDERS, ["site", "shop"])
        )
    )
    for kind, sender in itertools.product(KINDS, SENDERS):
        (rule,) = rulebook.index.candidates(facts(kind=kind, sender=sender, account="shop"))
        assert (rule.on, rule.senders, rule.accounts) == (frozenset({kind}), frozenset({sender}), frozenset({"shop"}))
    assert not rulebook.index.candidates(facts(account="other"))


def test_of_many_rules_an_event_finds_the_few_that_it_can_match() -> None:
    rulebook = rules_of(
        *({"when": {"text": {"words": [f"word{n}", f"two words{n}"]}}} for n in range(300)),
        *({"when": {"text": {"contains": f"{n} piece"}}} for n in range(100, 300)),
        *({"when": {"text": {"matches": f"item{n}[a-z]"}}} for n in range(300)),
        *({"when": {"url": {"path": f"/p{n}/**"}}} for n in range(300)),
        *({"when": {"memory.plan": f"plan{n}", "conversation.messages": {"above": 0}}} for n in range(300)),
        {"when": {"any": [{"text": {"words": "word7"}}, {"memory.plan": "plan9"}]}},
        {"when": {"not": {"text": "x"}}},
    )
    about = facts(text="Word7, 117 pieces, item299x", url="https://a.example/p5/x", memory={"plan": "Plan9"})
    candidates = rulebook.index.candidates(about)
    assert len(candidates) <= 12
    found = [rule.name for rule in candidates if rule.when.holds(about, {})]
    assert found == ["rule 7", "rule 317", "rule 799", "rule 805", "rule 1109", "rule 1400", "rule 1401"]


@pytest.mark.parametrize("count", [1, 100, 1_000])
def test_pieces_are_found_whether_they_are_few_or_many(count: int) -> None:
    rulebook = rules_of(*({"when": {"text": {"contains": f"{n:04}x"}}} for n in range(count)))
    for number in (0, count // 2, count - 1):
        assert f"rule {number}" in [rule.name for rule in rulebook.index.candidates(facts(text=f"a {number:04}X b"))]
    assert len(rulebook.index.candidates(facts(text="0000x"))) <= 11


@pytest.mark.parametrize("count", [5_000])
def test_more_patterns_than_one_filter_of_re2_can_hold(count: int) -> None:
    rulebook = rules_of(*({"when": {"text": {"matches": f"Bestellnummer {n:05} ([aä]|ö)+"}}} for n in range(count)))
    for number in (0, count // 2, count - 1):
        about = facts(text=f"die Bestellnummer {number:05} öä")
        assert [rule.name for rule in rulebook.index.candidates(about)] == [f"rule {number}"]


def test_an_index_without_rules_finds_nothing() -> None:
    assert RuleIndex([]).candidates(facts()) == ()
