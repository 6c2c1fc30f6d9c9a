"""Match: order, `stop`, and limits in every scope, with the trace that tells why."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import SetClock, to_ms
from bridge.errors import Place
from bridge.line.accounts import Accounts
from bridge.line.match import match
from bridge.line.render import Renderer
from bridge.model.conversation import Memory, Scope, begin
from bridge.model.facts import Facts
from bridge.model.rule import Rulebook
from bridge.templating import Templates
from tests.rulebook.books import facts, rules_of
from tests.values import NOON, an_event


def fired(rulebook: Rulebook, about: Facts) -> list[str]:
    return [one.rule.name for one in match(rulebook, about).matches]


def test_all_matching_rules_fire_by_priority_and_place_until_one_says_stop() -> None:
    book = rules_of(
        {"name": "c", "priority": -5},
        {"name": "a"},
        {"name": "quiet", "when": {"text": {"contains": "nothing like it"}}},
        {"name": "b", "stop": True},
        {"name": "never"},
        {"name": "first", "priority": 7},
    )
    matched = match(book, facts(text="hello"))
    assert [one.rule.name for one in matched.matches] == ["first", "a", "b"]
    assert list(matched.trace) == [
        {"rule": "first", "fired": True},
        {"rule": "a", "fired": True},
        {"rule": "b", "fired": True},
        {"rule": "b", "stopped": True},
    ]


def test_a_rule_that_is_limited_does_not_stop_the_others() -> None:
    book = rules_of({"name": "once", "stop": True, "limit": {"times": 1, "per": "conversation"}}, {"name": "else"})
    about = facts()
    memories: dict[Scope, Memory] = {"conversation": Memory(fired={"once": (to_ms(NOON),)})}
    again = Facts(event=about.event, conversation=about.conversation, now=NOON, memories=memories)
    assert fired(book, about) == ["once"]
    assert fired(book, again) == ["else"]
    assert match(book, again).trace[0] == {"rule": "once", "limited": "1 per conversation, ever"}


def test_the_named_groups_of_patterns_come_with_the_match() -> None:
    book = rules_of({"when": {"text": {"matches": r"order (?P<number>\d+)"}}})
    [found] = match(book, facts(text="where is order 4711?")).matches
    assert found.groups == {"number": "4711"}


def test_rules_of_other_accounts_kinds_and_senders_stay_silent() -> None:
    book = rules_of(
        {"name": "here", "account": "site"},
        {"name": "elsewhere", "account": "shop"},
        {"name": "on visits", "on": "visited"},
        {"name": "of agents", "sender": "agent"},
        {"name": "of both", "sender": ["agent", "contact"]},
    )
    assert fired(book, facts()) == ["here", "of both"]
    assert fired(book, facts(sender="agent")) == ["of agents", "of both"]
    assert fired(book, facts(sender="bot")) == []
    assert fired(book, facts(kind="visited", url="https://shop.example/")) == ["on visits"]


@pytest.mark.parametrize("per", ["conversation", "contact", "account", "rule"])
def test_the_trace_says_when_a_limited_rule_may_fire_again(per: Scope) -> None:
    book = rules_of({"name": "r", "limit": {"times": 2, "per": per, "within": "1h"}})
    about = facts()
    times = (to_ms(NOON - timedelta(minutes=40)), to_ms(NOON - timedelta(minutes=10)))
    limited = Facts(
        event=about.event, conversation=about.conversation, now=NOON, memories={per: Memory(fired={"r": times})}
    )
    assert match(book, limited).trace == ({"rule": "r", "limited": f"2 per {per} within 1h; again in 20m"},)
    later = Facts(
        event=about.event, conversation=about.conversation, now=NOON + timedelta(minutes=20), memories=limited.memories
    )
    assert fired(book, later) == ["r"]


@given(
    times=st.integers(1, 4),
    within=st.integers(1, 120),
    steps=st.lists(st.integers(0, 90), min_size=1, max_size=40),
)
def test_no_window_ever_holds_more_firings_than_the_limit(times: int, within: int, steps: list[int]) -> None:
    """And the rule fires whenever the limit leaves room: it is neither too eager nor too shy."""
    book = rules_of({"name": "r", "limit": {"times": times, "per": "conversation", "within": f"{within} s"}})
    renderer = Renderer(Templates(), Accounts([], {}))
    clock = SetClock(NOON)
    memories: dict[Scope, Memory] = {}
    at: list[float] = []
    for step in steps:
        clock.advance(step)
        event = an_event(at=clock.now())
        about = Facts(event=event, conversation=begin(event).after(event), now=clock.now(), memories=memories)
        matched = match(book, about)
        now = clock.monotonic()
        assert bool(matched.matches) == (sum(now - within < before for before in at) < times)
        for one in matched.matches:
            memories = dict(renderer.render(one, about).facts.memories)
            at.append(now)


def test_a_rule_remembers_no_more_firings_than_its_limit_needs() -> None:
    book = rules_of({"name": "r", "limit": {"times": 2, "per": "conversation", "within": "1 s"}})
    renderer = Renderer(Templates(), Accounts([], {}))
    about = facts()
    for second in range(5):
        now = NOON + timedelta(seconds=second)
        about = Facts(event=about.event, conversation=about.conversation, now=now, memories=about.memories)
        [one] = match(book, about).matches
        about = renderer.render(one, about).facts
    assert about.memories["conversation"].fired == {
        "r": (to_ms(NOON + timedelta(seconds=3)), to_ms(NOON + timedelta(seconds=4)))
    }
    assert one.rule.place == Place(file="rules/a.yaml", line=1, column=12)
