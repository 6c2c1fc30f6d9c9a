"""Rulebooks and facts for these tests, from text and from plain values."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.errors import BridgeError, Place, Problem, RulebookError
from bridge.model.conversation import Conversation, Memory
from bridge.model.event import Event
from bridge.model.facts import Facts
from bridge.model.rule import Rule, Rulebook
from bridge.rulebook.conditions import Evaluate
from bridge.rulebook.load import build
from tests.values import NOON, an_event


class UndefinedNameError(BridgeError):
    """What templating raises for a name that is not known."""


def expression(source: str, place: Place) -> Evaluate:
    """A stand-in for Jinja: "memory.n > 2" is looked up by hand; "bad" does not compile; "missing" is not known."""
    if source == "bad":
        raise RulebookError([Problem(place=place, message="not an expression")])

    def evaluate(names: Mapping[str, Any]) -> object:
        if source == "missing":
            raise UndefinedNameError('"missing" is undefined')
        if source.startswith("match."):
            return names["match"].get(source.removeprefix("match."))
        return source == "true"

    return evaluate


def made(*texts: str) -> tuple[Rulebook | None, list[str]]:
    """The rulebook of files a.yaml, b.yaml, ..., and what was found, as text."""
    files = {f"rules/{name}.yaml": text.encode() for name, text in zip("abcdefgh", texts, strict=False)}
    rulebook, problems = build(files, compile_expression=expression)
    return rulebook, [str(problem) for problem in problems]


def problems(*texts: str) -> list[str]:
    return made(*texts)[1]


def sound(*texts: str) -> Rulebook:
    rulebook, found = made(*texts)
    assert rulebook is not None, found
    return rulebook


def rules_of(*rules: Mapping[str, Any]) -> Rulebook:
    """A rulebook of these rules; what a rule must have and does not say is filled in."""
    whole = [{"name": f"rule {n}", "on": "message", "stop": False, "do": [_HELLO], **r} for n, r in enumerate(rules)]
    return sound(json.dumps({"rules": whole}, ensure_ascii=False))


_HELLO = {"reply": {"text": "Hello"}}


def rule_when(when: Mapping[str, Any]) -> Rule:
    return rules_of({"when": when}).rules[0]


def facts(
    *,
    event: Event | None = None,
    memory: Mapping[str, object] | None = None,
    contact_memory: Mapping[str, object] | None = None,
    conversation: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Facts:
    """Facts about one event. `changes` are the event's; `conversation` those of its conversation."""
    event = event or an_event(**changes)
    fields: dict[str, Any] = {
        "account": event.account,
        "id": event.conversation,
        "contact": event.contact,
        "messages": 1,
        "opened_at": NOON,
        "last_at": NOON,
    }
    return Facts(
        event=event,
        conversation=Conversation(**{**fields, **(conversation or {})}),
        now=datetime(2026, 3, 27, 12, 0, tzinfo=UTC),
        memories={
            "conversation": Memory(facts=memory or {}),
            "contact": Memory(facts=contact_memory or {}),
        },
    )


Written = dict[str, Any]
"""A rule or a condition as it is written."""


def copied(rules: list[Written], other: Written, copies: list[tuple[int, str]]) -> list[Written]:
    """The rules and a copy for each number of one: as it is, or with its condition changed by `other` as it is said."""
    for which, change in copies:
        rule = rules[which % len(rules)]
        when = rule.get("when")
        changed: Mapping[str, Written] = {
            "as it is": {},
            "stopping": {"stop": True},
            "narrowed": {"when": {"all": [when, other]} if when else other},
            "widened": {"when": {"any": [other, when]} if when else other},
            "the opposite": {"when": {"not": when} if when else other},
        }
        rules = [*rules, {**rule, **changed[change]}]
    return rules


CHANGE = st.sampled_from(["as it is", "stopping", "narrowed", "widened", "the opposite"])


def with_copies(
    rules: st.SearchStrategy[list[Written]], other: st.SearchStrategy[Written]
) -> st.SearchStrategy[list[Written]]:
    """Rules of which some repeat, widen or narrow the conditions of others, as they come about by copying."""
    return st.builds(copied, rules, other, st.lists(st.tuples(st.integers(0, 59), CHANGE), max_size=4))


def mixed(drawn: list[Facts]) -> list[Facts]:
    """Each event with each conversation and its memories: drawing takes longer than asking, so what is drawn is asked
    in every way it can be put together."""
    return [replace(other, event=one.event) for one in drawn for other in drawn]


def holds(when: Mapping[str, Any], about: Facts) -> bool:
    """Whether the condition holds; that the reason why not agrees with it is checked on the way."""
    rule = rule_when(when)
    held = rule.when.holds(about, {})
    assert (rule.when.why_not(about) is None) == held
    found = sound(json.dumps({"rules": [{"name": "x", "on": about.event.kind, "sender": about.event.sender,
                                         "when": when, "stop": True}]}, ensure_ascii=False))  # fmt: skip
    assert not held or found.index.candidates(about)
    return held


def why_not(when: Mapping[str, Any], about: Facts) -> str | None:
    return rule_when(when).when.why_not(about)
