"""Rule files and messages that want too much: refused by name, or done with in little time."""

import time
from collections.abc import Callable, Iterator

import pytest

from bridge.model.rule import Rulebook
from bridge.rulebook.folding import MOST
from bridge.rulebook.load import build
from bridge.rulebook.urls import MAX_AUTHORITY, parse_url
from bridge.rulebook.yaml import MAX_FILE
from tests.rulebook.books import expression, facts, rules_of

MILLION = 1_000_000
EVIL = (
    {"text": {"matches": "(a+)+$"}},
    {"text": {"matches": "(a|aa)+$"}},
    {"text": {"matches": "(?:a?){100}a{100}"}},
    {"text": {"matches": r"(\pL+\s?)+$"}},
    {"text": {"matches": r"(?i)(\w+\s+){1,50}x"}},
    {"text": {"words": ["a a a a a b", "a" * 500, "क\u0940"]}},
    {"text": {"words": ["!!", "👍"]}},
    {"text": {"contains": ["a" * 500, "aaaab", "e\u0301\u0301b"]}},
    {"text": {"starts_with": "a" * 500}},
    {"text": {"ends_with": "\u0301"}},
    {"url": {"path": ["/**/a/**/b/**", "/*a*a*a*b/**"]}},
    {"url": {"host": "*a*a*a*b"}},
    {"url": {"query": {"a": "c"}}},
    {"conversation.messages": {"at_least": 0}, "not": {"text": "a"}},
)
"""Conditions that are slow where they are not linear."""

HOSTILE = {
    "one word": "a" * MILLION,
    "one word and a sign": "a" * MILLION + "!",
    "short words": "a " * (MILLION // 2),
    "the words of all rules": " ".join(f"word{number} слово {number} {number} pieces" for number in range(30_000)),
    "marks in the wrong order": "\u0327\u0301" * (MILLION // 2),
    "one letter with many marks": "e" + "\u0301" * MILLION,
    "letters that fold to several": "ßİﬃ" * (MILLION // 3),
    "blanks": " \u2003\u00a0" * (MILLION // 3),
    "signs": "!" * MILLION,
    "emoji": "👍🏽" * (MILLION // 2),
    "halves of characters": "\ud800" * MILLION,
    "nothing": "\0" * MILLION,
    "a long path": "https://a.example/" + "a/" * (MILLION // 2),
    "a long query": "https://a.example/?" + "a=b&" * (MILLION // 4),
    "codes": "https://a.example/" + "%41" * (MILLION // 3),
    "a host of labels": "https://" + "xn--a." * (MILLION // 6),
    "a host in brackets": "https://[" + ":" * MILLION + "]/",
}


@pytest.fixture(scope="module")
def many() -> Rulebook:
    """The slow conditions among a thousand others."""
    return rules_of(
        *({"when": when} for when in EVIL),
        *({"when": {"text": {"words": [f"word{number}", f"слово {number}"]}}} for number in range(600)),
        *({"when": {"text": {"contains": f"{number} piece"}}} for number in range(300)),
        *({"when": {"text": {"matches": f"item{number}[a-z]+x"}}} for number in range(300)),
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_message_of_a_million_characters_takes_a_moment(many: Rulebook, text: str) -> None:
    about = facts(text=text, url=text)
    began = time.process_time()
    for rule in many.index.candidates(about):
        rule.when.holds(about, {})
    assert time.process_time() - began < 10  # at most 1.5 where nothing else runs


def test_of_a_long_text_conditions_see_the_beginning() -> None:
    """So that the work for one message is bounded, with every rule's words in it and ten thousand rules."""
    asked = ({"words": "price"}, {"contains": "the price"}, {"matches": "pr[i]ce"}, {"ends_with": "price"})
    rules = rules_of(*({"when": {"text": one}} for one in asked))
    filling = "x " * MOST

    def held(text: str) -> list[str]:
        about = facts(text=text)
        candidates = [rule for rule in rules.index.candidates(about) if rule.when.holds(about, {})]
        assert candidates == [rule for rule in rules.rules if rule.when.holds(about, {})]
        return [rule.name for rule in candidates]

    last = filling[: MOST - len("the price")] + "the price"
    assert held(last) == held(last + filling) == ["rule 0", "rule 1", "rule 2", "rule 3"]
    assert held(filling[:MOST] + " the price") == []


@pytest.mark.parametrize(
    "before", ["", "https://", "//", "/\t/", "https:/\n/", "\x00//", "https://user@", "http:////"], ids=ascii
)
def test_an_address_whose_host_is_longer_than_any_is_none(before: str) -> None:
    marks = "\u0327\u0301" * 100_000
    began = time.process_time()
    url = parse_url(before + marks + ("://" if not before else ""))
    assert url is None or len(url.host) <= MAX_AUTHORITY
    assert time.process_time() - began < 5  # the standard library takes half a minute to normalise such a host


def test_a_host_of_the_usual_length_may_have_marks() -> None:
    url = parse_url("https://bu\u0308cher.example/a?b=c")
    assert url is not None
    assert (url.host, url.segments, url.query) == ("b\u00fccher.example", ("a",), {"b": ("c",)})


def many_rules(when: Callable[[int], str], action: str = "do: [forget: a]") -> str:
    """A tenth of a file that is as full of rules as it may be: these tests are for every day."""

    def lines() -> Iterator[str]:
        size = number = 0
        while size < MAX_FILE // 10:
            line = f"- {{name: r{number}, on: message, when: {when(number)}, {action}}}\n"
            size, number = size + len(line), number + 1
            yield line

    return "rules:\n" + "".join(lines())


FILES = {
    "brackets": "[" * MAX_FILE,
    "dashes": "- " * (MAX_FILE // 2),
    "keys": "".join(f"k{number}: 1\n" for number in range(15_000)),
    "rules that are none": "rules:\n" + "- x\n" * 20_000,
    "rules of one name": "rules:\n" + "- {name: a, on: message, stop: true}\n" * 5_000,
    "nested conditions": many_rules(lambda number: "{not: " * 20 + f"{{text: a{number}}}" + "}" * 20),
    "branches within branches": many_rules(
        lambda number: "{any: [{text: b}, " * 15 + f"{{text: a{number}}}" + "]}" * 15
    ),
    "patterns that look for nothing": many_rules(lambda number: f"{{text: {{matches: '(a+)+${number}'}}}}"),
    "patterns that are too large": many_rules(lambda n: f"{{text: {{matches: '((a{{100}}){{10}}){{9}}{n}'}}}}"),
    "stopping rules that look for the same": many_rules(
        lambda number: f"{{not: {{text: a{number}}}, memory.x: 1}}", "stop: true"
    ),
    "stopping rules that look for much": many_rules(
        lambda number: f"{{any: [{{text: a}}, {{text: b{number}}}]}}", "stop: true"
    ),
    "stopping rules with bounds": many_rules(
        lambda number: f"{{memory.n: {{below: {number}}}, memory.m: {number}}}", "stop: true"
    ),
    "the same words again and again": "rules:\n"
    + "".join(
        f"- {{name: r{one}, on: message, stop: true, when: {{text: {{words: [{', '.join(words)}]}}}}}}\n"
        for one in range(60)
        for words in [[f"w{number}" for number in range(one, one + 400)]]
    ),
    "calendars that are closed for years": "calendars:\n"
    + "".join(
        f"  c{number}: {{hours: {{mon-sun: '00:00-24:00'}}, closed: [2020-01-01..2029-12-01]}}\n"
        for number in range(2_000)
    ),
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_rule_file_that_wants_too_much_is_done_with_in_a_moment(text: str) -> None:
    began = time.process_time()
    rulebook, problems = build({"rules/a.yaml": text.encode()[:MAX_FILE]}, compile_expression=expression)
    assert rulebook is not None or problems
    assert all(problem.place.file == "rules/a.yaml" for problem in problems)
    assert time.process_time() - began < 4  # at most 0.8 where nothing else runs
