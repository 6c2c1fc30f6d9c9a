"""What a rule's `broadcast` asks for, as every part of the lab shows it."""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.lab.events import made_up
from bridge.lab.explain import Asking, explain_made_up
from bridge.lab.play import unknown_names
from bridge.lab.simulate import Read, simulate
from bridge.lab.talk import Talk
from tests.lab.checking import found
from tests.lab.playing import behaviour_of, scenes_of, shown, steps, wrong
from tests.values import NOON

RULES = """
audiences:
  customers: {file: customers.csv}
broadcasts:
  - {name: news, via: shop, audience: customers, to: {email: E-mail}, text: "{{ said | default('') }}"}
  - {name: offer, via: shop, audience: customers, to: {email: E-mail}, text: Cheap!}
rules:
  - name: tell everybody
    on: message
    when: {text: {starts_with: "/tell "}}
    do:
      - broadcast: {name: news, variables: {said: "{{ text }}", times: 2}}
      - after: 10m
        do: [broadcast: offer]
"""
BEHAVIOUR = behaviour_of(RULES)
TOLD = "message: /tell hello"


@pytest.mark.parametrize(
    "expect",
    [
        "{broadcast: news}",
        "{broadcast: {news: {said: /tell hello}}}",
        "{broadcast: {news: {said: /tell hello, times: 2}}}",
    ],
)
def test_what_is_started_as_expected_is_nothing_wrong(expect: str) -> None:
    assert wrong(steps(BEHAVIOUR, TOLD, f"expect: {expect}")) == []


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("nothing", "expected no broadcast, but tell everybody started news"),
        ("{broadcast: nothing}", "expected no broadcast, but tell everybody started news"),
        ("{broadcast: offer}", "expected broadcast offer, but it was not started (started: news)"),
        (
            "{broadcast: {news: {said: hello}}}",
            'expected broadcast news with {"said":"hello"}; it was started with {"said":"/tell hello","times":2}',
        ),
    ],
)
def test_what_is_started_otherwise_is_told(expect: str, said: str) -> None:
    assert wrong(steps(BEHAVIOUR, TOLD, f"expect: {expect}")) == [said]


def test_a_follow_up_starts_its_own_and_the_diff_shows_it() -> None:
    later = (TOLD, "expect: {broadcast: news}", "wait: 10m")
    assert wrong(steps(BEHAVIOUR, *later, "expect: {broadcast: offer}")) == []
    failed = steps(BEHAVIOUR, *later, "expect: {broadcast: nothing}")
    assert shown(failed, BEHAVIOUR) == [
        "+ tell everybody: starts broadcast offer",
        '- expected broadcast: "nothing"',
    ]


def test_a_broadcast_that_there_is_not_is_told_before_anything_is_played() -> None:
    (scene,) = scenes_of("tests:\n  - name: t\n    steps:\n      - message: a\n      - expect: {broadcast: nws}\n")
    (problem,) = unknown_names(scene, BEHAVIOUR)
    assert problem.message == 'there is no broadcast "nws" (did you mean "news"?)'


def test_a_chat_in_the_terminal_shows_what_is_started() -> None:
    talk = Talk(lambda: BEHAVIOUR, NOON, ZoneInfo("UTC"), "site")
    lines = talk.hear("//tell hello")
    assert lines is not None
    assert [(line.mark, line.who, line.text) for line in lines] == [
        ("+", "tell everybody", 'starts broadcast news with {said: "/tell hello", times: 2}'),
        (" ", "tell everybody", "goes on in 10m"),
    ]


def test_explain_and_simulate_show_it() -> None:
    event = made_up({"message": "/tell hello"}, account="site", platform="webchat", at=NOON + timedelta(seconds=1))
    starts = 'rule tell everybody starts broadcast news with {said: "/tell hello", times: 2}'
    assert explain_made_up(event, Asking(behaviour=BEHAVIOUR)).about == (starts,)
    ((_, tried),) = simulate(Read(events=(event,)), BEHAVIOUR, NOON)
    assert [(one.broadcast, one.variables, one.rule) for one in tried.started] == [
        ("news", {"said": "/tell hello", "times": 2}, "tell everybody")
    ]


def test_texts_among_the_variables_are_templates_that_are_proved(tmp_path: Path) -> None:
    rules = RULES.replace("{{ text }}", "{{ contact.name }} {{ txt }}")
    assert [problem for problem in found(tmp_path, rules) if "rules.yaml:12:" in problem] == [
        'rules/rules.yaml:12:55: "contact.name" may be missing in an event of the kind message: give it a default, '
        """{{ contact.name | default('friend') }}, or ask for it in "when\"""",
        'rules/rules.yaml:12:74: "txt": no event has this (did you mean "text"?)',
    ]
