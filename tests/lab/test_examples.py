"""Examples: what their author expects, tried on the real rules; what comes out otherwise is said in words."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge.lab.check import check
from bridge.lab.examples import run_examples
from bridge.line.accounts import Accounts
from bridge.line.render import Renderer
from bridge.platforms.registry import ADAPTERS
from bridge.templating import Templates
from tests.platforms.omnidesk_calls import an_account
from tests.rulebook.books import rules_of
from tests.values import NOON

ACCOUNTS = Accounts([an_account()], ADAPTERS)
PRICE = {
    "name": "price",
    "when": {"text": {"words": ["price"]}},
    "do": [
        {"remember": {"asked": True}},
        {"reply": {"text": "The price is 9 € for {{ contact.name | default('you') }}."}},
    ],
}


def tried(*rules: dict[str, Any]) -> list[str]:
    """What is wrong with the examples of these rules, without its place."""
    problems = run_examples(rules_of(*rules), Renderer(Templates(), ACCOUNTS), ACCOUNTS, NOON)
    return [problem.message for problem in problems]


def price(**example: Any) -> list[str]:
    return tried({**PRICE, "examples": [example]})


@pytest.mark.parametrize(
    "expect",
    [
        {"reply": {"is": "the price is 9 € for you."}},
        {"reply": {"contains": "PRICE IS", "starts_with": "the", "ends_with": "you."}},
        {"reply": {"matches": r"\d €", "via": "site"}},
        {"remember": {"asked": True}},
        {"reply": {"contains": "9"}, "remember": {"asked": True}},
    ],
)
def test_what_is_expected_and_comes_is_no_problem(expect: dict[str, Any]) -> None:
    assert price(message="the price?", expect=expect) == []
    assert price(message="hello", expect="nothing") == []


SAID = "'The price is 9 € for you.'"


@pytest.mark.parametrize(
    ("message", "expect", "said"),
    [
        ("price", "nothing", f"expected nothing, but price replied {SAID}"),
        ("hello", {"reply": {"contains": "9"}}, "expected a reply, but no rule replied (fired: none)"),
        (
            "price",
            {"reply": {"contains": "10", "starts_with": "Hi"}},
            f"expected a reply that contains '10' and starts with 'Hi'; the reply was {SAID}",
        ),
        ("price", {"reply": {"is": "9 €"}}, f"expected a reply that is '9 €'; the reply was {SAID}"),
        ("price", {"reply": {"matches": "^9"}}, f"expected a reply that matches '^9'; the reply was {SAID}"),
        ("price", {"reply": {"via": "shop"}}, f"expected a reply that goes via 'shop'; the reply was {SAID}"),
        ("price", {"remember": {"asked": False}}, "expected to remember asked = false, but it is true"),
        ("hello", {"remember": {"asked": True}}, "expected to remember asked = true, but it is nothing"),
    ],
)
def test_what_comes_out_otherwise_is_said_in_words(message: str, expect: Any, said: str) -> None:
    assert price(message=message, expect=expect) == [f'example of "price": {said}']


def test_every_kind_of_event_can_be_given() -> None:
    given: dict[str, Any] = {
        "visited": ({"visited": "https://shop.example/a"}, "{{ url }}", "https://shop.example/a"),
        "typing": ({"typing": "started"}, "{{ state }}", "started"),
        "ended": ({"ended": True}, "{{ kind }}", "ended"),
        "attachment": ({"attachment": {"name": "a.png", "size": 5}}, "{{ attachment.name }}", "a.png"),
        "rated": ({"event": {"kind": "rated", "text": "5"}}, "{{ kind }} {{ text }}", "rated 5"),
        "message": ({"message": "x", "contact": {"name": "Ann", "plan": "gold"}},
                    "{{ contact.name }} {{ contact.plan }}", "Ann gold"),
        "widget": ({"event": {"kind": "widget", "state": "expanded"}}, "{{ state }}", "expanded"),
    }  # fmt: skip
    for kind, (event, text, wanted) in given.items():
        example = {**event, "expect": {"reply": {"is": wanted}}}
        assert tried({"on": kind, "do": [{"reply": {"text": text}}], "examples": [example]}) == [], kind


def test_an_example_may_say_what_is_remembered_and_for_which_account() -> None:
    rule = {
        "when": {"memory.n": {"above": 2}, "account": "site"},
        "do": [{"reply": {"text": "{{ memory.n }}"}}],
    }
    assert tried({**rule, "examples": [{"message": "x", "memory": {"n": 3}, "expect": {"reply": {"is": "3"}}}]}) == []
    assert tried({**rule, "examples": [{"message": "x", "memory": {"n": 2}, "expect": "nothing"}]}) == []
    other = {"message": "x", "memory": {"n": 3}, "account": "shop", "expect": "nothing"}
    assert tried({**rule, "examples": [other]}) == []


def test_a_template_that_fails_in_an_example_is_told_with_its_place() -> None:
    example = {"message": "x", "expect": "nothing"}
    [said] = tried({"name": "r", "do": [{"reply": {"text": "{{ contact.phone }}"}}], "examples": [example]})
    assert said.startswith('example of "r": rules/a.yaml:1:')
    assert "phone" in said


def test_other_rules_are_tried_too_because_they_are_live_too() -> None:
    said = tried(
        {"name": "greedy", "priority": 9, "do": [{"reply": {"text": "first!"}}], "stop": True},
        {**PRICE, "examples": [{"message": "price", "expect": {"reply": {"contains": "9"}}}]},
    )
    assert said == ["example of \"price\": expected a reply that contains '9'; the reply was 'first!'"]


def test_a_burst_is_over_once_the_message_is_said_and_follow_ups_are_still_to_come() -> None:
    later = {"after": "1m", "do": [{"reply": {"text": "later"}}]}
    rule = {"burst": "9s", "do": [{"reply": {"text": "{{ messages | length }}"}}, later]}
    assert tried({**rule, "examples": [{"message": "x", "expect": {"reply": {"is": "1"}}}]}) == []
    said = tried({**rule, "examples": [{"message": "x", "expect": {"reply": {"is": "later"}}}]})
    assert said == ["example of \"rule 0\": expected a reply that is 'later'; the reply was '1'"]


def test_what_comes_after_an_operation_comes_in_an_example_too() -> None:
    call = {"url": "https://crm.example/", "then": [{"reply": {"text": "done"}}]}
    crm = ADAPTERS["webhook"].account.model_validate(
        {"name": "crm", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "call_hosts": ["crm.example"]}
    )
    accounts = Accounts([an_account(), crm], ADAPTERS)
    for expect, wrong in (({"reply": {"is": "done"}}, 0), ("nothing", 1)):
        book = rules_of({"do": [{"call": call}], "examples": [{"message": "x", "expect": expect}]})
        assert len(list(run_examples(book, Renderer(Templates(), accounts), accounts, NOON))) == wrong


def test_an_event_comes_from_the_first_account_that_sends_events() -> None:
    duty = ADAPTERS["groupalarm"].account.model_validate({"name": "duty", "organization": 1, "api_token": "t"})
    book = rules_of({"when": {"account": "site"}, "examples": [{"message": "x", "expect": {"reply": {"is": "Hello"}}}]})
    accounts = Accounts([duty, an_account()], ADAPTERS)
    assert list(run_examples(book, Renderer(Templates(), accounts), accounts, NOON)) == []


def test_a_failing_example_is_an_error_at_its_own_place(tmp_path: Path) -> None:
    text = (
        "rules:\n  - name: r\n    on: message\n    do: [{reply: {text: hi}}]\n"
        "    examples:\n      - message: a\n        expect: {reply: {contains: hi}}\n"
        "      - message: b\n        expect: nothing\n"
    )
    (tmp_path / "rules.yaml").write_text(text)
    result = check(
        rules=tmp_path, templates=tmp_path / "t", timezone=ZoneInfo("UTC"), accounts=ACCOUNTS, examples_at=NOON
    )
    [problem] = result.errors
    assert (problem.place.line, problem.place.column) == (8, 9)
    assert problem.message == "example of \"r\": expected nothing, but r replied 'hi'"


def test_a_long_reply_is_cut_in_the_sentence_about_it() -> None:
    [said] = tried({"do": [{"reply": {"text": "x" * 500}}], "examples": [{"message": "x", "expect": "nothing"}]})
    assert len(said) < 200
    assert said.endswith("xxx...'")
