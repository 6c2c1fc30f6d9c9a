"""Tests in the playing: what an `expect` takes, what it tells when it is something else, and who is meant."""

from pathlib import Path

import pytest

from bridge.lab.play import unknown_names
from bridge.lab.tests import report, run_tests
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour
from tests.lab.playing import UTC, behaviour_in, behaviour_of, scenes_of, shown, steps, wrong

ECHO = """
rules:
  - name: echo
    on: [message, visited]
    when: {not: {text: quiet}}
    do:
      - remember: {last: "{{ text | default(url) }}", count: 3, flag: true}
      - reply: {text: "you said {{ text | default(url) }}"}
      - after: 10m
        unless: agent_message
        do: [{reply: {text: "later: {{ text }}"}}]
  - name: bell
    on: message
    when: {text: {words: bell}}
    limit: {times: 1, per: rule}
    do:
      - send: {via: shop, to: {chat: 17}, text: "ding", private: true}
      - helpcrunch.tag: {via: shop, to: {chat: 17}, tags: [bell, loud]}
      - remember: {rung: true}
        scope: contact
"""
BEHAVIOUR = behaviour_of(ECHO)


@pytest.mark.parametrize(
    "expect",
    [
        "{reply: {is: you said bell}}",
        "{reply: you said BELL}",
        "{reply: {contains: said, starts_with: you, ends_with: bell, matches: '^you', via: site, rule: echo}}",
        "{reply: [{is: you said bell}, {is: ding, private: true}]}",
        "{send: ding}",
        "{send: [{is: ding, to: {chat: 17}, via: shop, rule: bell}]}",
        "{operation: helpcrunch.tag}",
        "{operation: {helpcrunch.tag: {tags: [bell, loud]}}}",
        "{rule: [bell, echo]}",
        "{remember: {last: bell, count: 3, flag: true}}",
        "{remember: {rung: true}, scope: contact, forget: [last, count]}",
        "{forget: never}",
    ],
)
def test_what_comes_as_expected_is_nothing_wrong(expect: str) -> None:
    assert wrong(steps(BEHAVIOUR, "message: bell", f"expect: {expect}")) == []


SAID = "the replies were 'you said bell', 'ding'"


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("nothing", "expected nothing, but echo, bell replied 'you said bell'"),
        ("{reply: nothing}", "expected no reply, but echo, bell replied 'you said bell'"),
        ("{send: nothing}", "expected no message to somebody else, but bell replied 'ding'"),
        ("{send: {is: dong}}", "expected a message to somebody else that is 'dong'; the reply was 'ding'"),
        (
            "{send: {to: {chat: 18}}}",
            "expected a message to somebody else that is for {\"chat\":18}; the reply was 'ding'",
        ),
        ("{reply: {contains: x, via: shop}}", f"expected a reply that contains 'x' and goes via 'shop'; {SAID}"),
        ("{reply: {is: ding, private: false}}", f"expected a reply that is 'ding' and is private = false; {SAID}"),
        ("{reply: {quick_replies: [a]}}", f'expected a reply that offers ["a"]; {SAID}'),
        ("{reply: {attachments: [a]}}", f'expected a reply that has the files ["a"]; {SAID}'),
        ("{reply: {is: ding, rule: echo}}", f"expected a reply that is 'ding' and is said by 'echo'; {SAID}"),
        ("{reply: [{is: you said bell}]}", "expected 1 message, but 2 came; too many: 'ding'"),
        (
            "{reply: [{contains: said}, {is: ding}, {is: dong}]}",
            "expected 3 messages, but 2 came; missing: one that is 'dong'",
        ),
        (
            "{reply: [{is: ding}, {contains: i}]}",
            "expected as message 1 one that is 'ding'; it was 'you said bell'",
        ),
        ("{operation: nothing}", "expected no operation, but bell did helpcrunch.tag"),
        ("{operation: helpcrunch.close}", "expected helpcrunch.close, but it was not done (done: helpcrunch.tag)"),
        (
            "{operation: {helpcrunch.tag: {tags: [bell]}}}",
            'expected helpcrunch.tag with {"tags":["bell"]}; it was done with {"tags":["bell","loud"]}',
        ),
        ("{rule: [echo, no, bells]}", "expected no, bells to fire, but fired: echo, bell"),
        ("{remember: {last: x}}", "expected to remember last = 'x', but it is 'bell'"),
        ("{remember: {flag: 1}}", "expected to remember flag = 1, but it is true"),
        ("{remember: {rung: true}}", "expected to remember rung = true, but it is nothing"),
        ("{forget: last}", "expected nothing to be remembered as last, but it is 'bell'"),
    ],
)
def test_what_comes_otherwise_is_said(expect: str, said: str) -> None:
    assert wrong(steps(BEHAVIOUR, "message: bell", f"expect: {expect}")) == [said]


def test_an_expect_looks_at_what_came_since_the_last() -> None:
    assert not wrong(
        steps(
            BEHAVIOUR,
            "message: a",
            "message: b",
            "expect: {reply: [you said a, you said b]}",
            "expect: nothing",
            "wait: 599s",
            "expect: nothing",
            "wait: 1s",
            "expect: {reply: ['later: a', 'later: b'], rule: echo}",
        )
    )


def test_what_falls_due_on_the_way_is_done_at_its_own_moment() -> None:
    rules = """
rules:
  - name: r
    on: message
    do: [{after: 10m, do: [{reply: {text: "it is {{ now | date('%H:%M') }}"}}]}]
"""
    assert not wrong(steps(rules, "message: a", "wait: 3 days", "expect: {reply: [it is 12:10]}"))


def test_a_reply_that_is_kept_back_was_not_said() -> None:
    twice = steps(BEHAVIOUR, "message: a", "expect: {reply: you said a}", "message: a", "expect: {reply: you said a}")
    assert wrong(twice) == [
        "expected a reply, but it was held back: the same text was sent to this conversation less than a minute ago"
        " (fired: echo)"
    ]
    assert not wrong(steps(BEHAVIOUR, "message: a", "message: a", "expect: {reply: [you said a]}"))


def test_several_people_talk_in_one_test() -> None:
    assert not wrong(
        steps(
            BEHAVIOUR,
            "{message: bell, conversation: a, contact: {id: '1'}}",
            "{message: bell, conversation: b, contact: {id: '2'}}",
            "{message: third}",
            "{expect: {remember: {last: bell}, reply: [you said bell]}, conversation: b}",
            "{expect: {reply: [you said bell, ding]}, conversation: a}",
            "{expect: {remember: {rung: true}, scope: contact}, conversation: a}",
            "{expect: {forget: rung, scope: contact}, conversation: b}",
            "expect: {reply: [you said third], remember: {last: third}}",
            "{agent: here I am, conversation: b}",
            "wait: 10m",
            "expect: {reply: ['later: bell', 'later: third']}",
        )
    )


def test_the_same_contact_may_talk_in_two_conversations_and_on_two_accounts() -> None:
    one = "contact: {id: '1'}"
    assert not wrong(
        steps(
            BEHAVIOUR,
            f"{{message: bell, conversation: a, {one}}}",
            f"{{message: hi, conversation: b, {one}}}",
            "{expect: {remember: {rung: true}, scope: contact}, conversation: b}",
            f"{{message: hi, account: shop, {one}}}",
            "{expect: {forget: rung, scope: contact, reply: {via: shop}}, account: shop}",
        )
    )


def test_what_is_known_before_it_begins() -> None:
    rules = """
rules:
  - name: r
    on: message
    when: {memory.step: 2}
    do: [{reply: {text: "{{ contact.name }} {{ contact.plan }} {{ url | default('') }}"}}]
"""
    about = "    contact: {name: Ada, plan: gold}\n    memory: {step: 2}\n    account: site\n"
    page = "{message: a, url: 'https://shop.example/'}"
    assert not wrong(steps(rules, page, "expect: {reply: Ada gold https://shop.example/}", about=about))
    grace = "{message: a, contact: {name: Grace, plan: silver}}"
    assert not wrong(steps(rules, grace, "expect: {reply: Grace silver}", about=about))
    assert wrong(steps(rules, "message: a", "expect: nothing")) == []


def test_every_step_is_the_event_that_it_says() -> None:
    rules = """
rules:
  - name: r
    on: [message, visited, typing, ended, attachment, rated]
    sender: [contact, agent, bot, system]
    even_if_human: true
    do: [{remember: {seen: "{{ sender }} {{ kind }} {{ text | default(url | default(state | default('-'))) }}"}}]
"""
    for step, seen in {
        "message: a": "contact message a",
        "agent: a": "agent message a",
        "bot: a": "bot message a",
        "visited: 'https://shop.example/'": "contact visited https://shop.example/",
        "typing: stopped": "contact typing stopped",
        "ended: true": "contact ended -",
        "attachment: {name: a.pdf, size: 1 MiB}": "contact attachment -",
        "event: {kind: rated, sender: system, text: '5'}": "system rated 5",
        "event: {kind: message}": "contact message",
    }.items():
        assert wrong(steps(rules, step, f"expect: {{remember: {{seen: '{seen}'}}}}")) == [], step


def test_what_operations_find_is_said_by_the_test() -> None:
    rules = """
rules:
  - name: r
    on: message
    do:
      - call:
          url: https://crm.example/
          remember: {state: body.state}
          then: [{reply: {text: "{{ memory.state | default('not known') }}"}}]
"""
    found = "    answers: {call: {status: 200, body: {state: sent}}}\n"
    assert not wrong(steps(rules, "message: a", "expect: {reply: sent, operation: call}", about=found))
    assert not wrong(steps(rules, "message: a", "expect: {reply: not known}"))


def test_a_template_that_fails_is_never_expected() -> None:
    rules = "rules:\n  - {name: r, on: message, do: [{reply: {text: '{{ contact.phone }}'}}]}\n"
    for after in ("expect: nothing", "expect: {rule: r}"):
        (said,) = wrong(steps(rules, "message: a", after))
        assert said.startswith("rules/a.yaml:2:")
    unseen = steps(rules, "expect: nothing", "message: a")
    assert unseen.failure is not None
    assert "phone" in wrong(unseen)[0]


def test_names_that_there_are_not_are_told_before() -> None:
    (scene,) = scenes_of("""
tests:
  - name: t
    account: sit
    answers: {helpcrunch.tagg: 1}
    steps:
      - {message: a, account: shopp}
      - expect: {rule: [echo, belll], operation: webhook.call}
""")
    assert [str(problem).removeprefix("rules/a.test.yaml:") for problem in unknown_names(scene, BEHAVIOUR)] == [
        '3:11: account: there is no account "sit" (did you mean "site"?)',
        '3:11: no rule has "helpcrunch.tagg" done (did you mean "helpcrunch.tag"?)',
        '7:10: account: there is no account "shopp" (did you mean "shop"?)',
        '8:9: there is no rule "belll" (did you mean "bell"?)',
        '8:9: no rule has "webhook.call" done',
    ]


def test_a_failure_shows_what_happened_what_was_wanted_what_came_and_what_was_near() -> None:
    played = steps(
        BEHAVIOUR, "message: bell", "expect: {send: ding}", "agent: hm", "message: bell", "expect: {send: x}"
    )
    assert shown(played, BEHAVIOUR) == [
        "  agent: hm",
        "  contact: bell",
        '- expected send: {is: "x"}',
        "? echo: silent: an agent wrote 0s ago; again in 15m",
        "? bell: limited: 1 per rule, ever",
    ]


def test_a_text_of_several_lines_is_shown_line_by_line() -> None:
    rules = 'rules:\n  - {name: r, on: message, do: [{reply: {text: "one\\ntwo\\nthree"}}]}\n'
    played = steps(rules, "message: a", 'expect: {reply: {is: "one\\nTWO\\nfour"}}')
    assert [line for line in shown(played, behaviour_of(rules)) if not line.startswith("+ r")] == [
        "  contact: a",
        "- expected reply: line by line:",
        "  : one",
        "- : TWO",
        "- : four",
        "+ : two",
        "+ : three",
    ]


def test_rules_that_nothing_fires_are_told() -> None:
    rules = """
rules:
  - {name: a, on: message, when: {text: a}, do: [{remember: {x: 1}}]}
  - name: b
    on: message
    when: {text: b}
    stop: true
    examples: [{message: b, expect: nothing}]
  - {name: c, on: message, when: {text: c}, do: [{reply: {text: c}}]}
"""
    behaviour = behaviour_of(rules)
    scenes = scenes_of("tests:\n  - {name: t, steps: [message: a, expect: nothing]}\n")
    result = report(scenes, behaviour, UTC)
    assert [rule.name for rule in result.unfired] == ["c"]
    assert (result.examples, result.steps, result.passed) == (1, 2, True)
    assert [rule.name for rule in report(scenes, behaviour, UTC, examples=False).unfired] == ["b", "c"]


def test_the_gate_is_told_every_failure_and_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules:\n  - {name: r, on: message, do: [{reply: {text: hi}}]}\n")
    behaviour, tests = behaviour_in(tmp_path), tmp_path / "a.test.yaml"
    assert run_tests(tmp_path, behaviour, UTC) == []
    for steps_, said in (
        ("[message: a, expect: {reply: hi}]", []),
        ("[message: a, expect: nothing]", ["4:18: test \"t\": expected nothing, but r replied 'hi'"]),
        ("[message: a, expect: {rule: q}]", ['4:18: there is no rule "q"']),
        ("[message: a]", ['3:5: the test expects nothing of all that happens: add a step "expect"']),
    ):
        tests.write_text(f"# Tests.\ntests:\n  - name: t\n    steps: {steps_}\n")
        found = [str(problem).removeprefix(f"{tests}:") for problem in run_tests(tmp_path, behaviour, UTC)]
        assert [one.partition(": ")[2] for one in found] == [one.partition(": ")[2] for one in said]
        assert all(one[0] in "34" for one in found)
    nobody = Behaviour(rulebook=behaviour.rulebook, renderer=behaviour.renderer, accounts=Accounts([], {}))
    tests.write_text("tests: [{name: t, steps: [message: a, expect: nothing]}]")
    assert run_tests(tmp_path, nobody, UTC) == []
