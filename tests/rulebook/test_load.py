"""Whole files and directories: what a rule becomes, in which order, and every mistake at once."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RulebookError
from bridge.model.rule import Forget, Limit, Remember, ReplyAction
from bridge.model.wording import Wording
from bridge.rulebook.load import build, examine, load
from tests.rulebook.books import expression, facts, made, problems, sound

WHOLE = """
rules:
  - name: price question
    on: [message, visited]
    account: [site, shop]
    sender: [contact, agent]
    when:
      text: {words: price}
    limit: {times: 2, per: contact, within: 24h}
    do:
      - reply: {text: "Hello {{ contact.name }}"}
      - reply: {template: price.md.j2, via: duty, to: {room: 17, name: "{{ contact.name }}"}}
      - remember: {asked: true, text: "{{ text }}", n: 1.5}
        scope: contact
      - forget: [a, b]
      - forget: c
        scope: account
    stop: true
    priority: -3
    examples:
      - message: "How much?"
        contact: {name: Ann, vip: true}
        memory: {asked: false}
        account: site
        url: https://shop.example
        expect: {reply: {contains: Ann, via: site}, remember: {asked: true}}
      - attachment: {name: a.png, size: 1 MiB}
        expect: nothing
"""


def test_a_rule_in_all_its_parts() -> None:
    (rule,) = sound(WHOLE).rules
    assert rule.name == "price question"
    assert str(rule.place) == "rules/a.yaml:3:5"
    assert rule.on == {"message", "visited"}
    assert rule.accounts == {"site", "shop"}
    assert rule.senders == {"contact", "agent"}
    assert rule.limit == Limit(times=2, per="contact", within=timedelta(hours=24))
    assert (rule.stop, rule.priority) == (True, -3)
    first, second, third, fourth, fifth = rule.do
    assert isinstance(first, ReplyAction)
    assert first.wordings == (Wording(place=first.place, text="Hello {{ contact.name }}"),)
    assert str(first.place) == "rules/a.yaml:11:23"
    assert second == ReplyAction(
        place=second.place,
        wordings=(Wording(place=second.place, template="price.md.j2"),),
        via="duty",
        to={"room": 17, "name": "{{ contact.name }}"},
    )
    assert str(second.place) == "rules/a.yaml:12:27"
    facts_kept = {"asked": True, "text": "{{ text }}", "n": 1.5}
    assert third == Remember(place=third.place, facts=facts_kept, scope="contact")
    assert fourth == Forget(place=fourth.place, names=("a", "b"), scope="conversation")
    assert fifth == Forget(place=fifth.place, names=("c",), scope="account")
    one, two = rule.examples
    assert one.given == {
        "message": "How much?",
        "contact": {"name": "Ann", "vip": True},
        "memory": {"asked": False},
        "account": "site",
        "url": "https://shop.example",
    }
    assert one.expect == {"reply": {"contains": "Ann", "via": "site"}, "remember": {"asked": True}}
    assert (two.given, two.expect) == ({"attachment": {"name": "a.png", "size": 1024**2}}, "nothing")
    assert str(two.place) == "rules/a.yaml:27:9"


def test_what_is_not_said_has_its_default() -> None:
    (rule,) = sound("rules: [{name: x, on: message, stop: true}]").rules
    assert (rule.accounts, rule.senders) == (frozenset(), frozenset({"contact"}))
    assert (rule.limit, rule.do, rule.priority) == (None, (), 0)
    assert rule.when.holds(facts(), {})
    assert rule.when.why_not(facts()) is None


def test_rules_are_in_order_of_priority_then_file_then_place() -> None:
    def rule(name: str, priority: int = 0) -> str:
        return f"{{name: {name}, on: message, do: [forget: a], priority: {priority}}}"

    rulebook = sound(
        f"rules: [{rule('a1')}, {rule('a2', 5)}, {rule('a3', -1)}]", f"rules: [{rule('b1')}, {rule('b2', 5)}]"
    )
    assert [rule.name for rule in rulebook.rules] == ["a2", "b2", "a1", "b1", "a3"]
    assert [rule.name for rule in rulebook.index.candidates(facts())] == ["a2", "b2", "a1", "b1", "a3"]


def test_files_are_read_from_below_a_directory_in_their_order(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    for name in ("b.yaml", "a/z.yml", "a.yaml", "a/x.test.yaml", ".hidden/c.yaml", "notes.txt", "README.md"):
        (rules / name).parent.mkdir(parents=True, exist_ok=True)
        (rules / name).write_text(f"rules: [{{name: {name}, on: message, do: [forget: a]}}]")
    rulebook = load(rules, compile_expression=expression)
    assert [rule.name for rule in rulebook.rules] == ["a/z.yml", "a.yaml", "b.yaml"]


def test_the_files_of_a_kubernetes_volume_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "a.yaml").write_text("rules: [{name: a, on: message, do: [forget: a]}]")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    rulebook = load(tmp_path, compile_expression=expression)
    assert [rule.place.file for rule in rulebook.rules] == [(tmp_path / "a.yaml").as_posix()]


def test_places_are_shown_as_the_directory_was_given(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "pricing.yaml").write_text("rules: {}\n")
    relative = Path(os.path.relpath(tmp_path / "rules"))
    rulebook, found = examine(relative, compile_expression=expression)
    assert rulebook is None
    assert [str(problem) for problem in found] == [
        f'{relative.as_posix()}/pricing.yaml:1:8: "rules" must be a list, not a mapping'
    ]


@pytest.mark.parametrize("there", [True, False])
def test_a_directory_that_is_empty_or_missing_is_an_empty_rulebook(tmp_path: Path, there: bool) -> None:
    directory = tmp_path / "rules"
    if there:
        directory.mkdir()
    rulebook = load(directory, compile_expression=expression)
    assert (rulebook.rules, rulebook.calendars) == ((), {})
    assert rulebook.index.candidates(facts()) == ()


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "gone.yaml").symlink_to("nowhere")
    for name, reason in (("rules", "is no directory"), ("more", "cannot be read: No such file or directory")):
        with pytest.raises(RulebookError, match=reason):
            load(tmp_path / name, compile_expression=expression)


def test_the_version_names_the_content() -> None:
    def version(files: dict[str, bytes]) -> str:
        rulebook, _ = build(files, compile_expression=expression)
        assert rulebook is not None
        return rulebook.version

    first = version({"a.yaml": b"rules: []"})
    assert first == version({"a.yaml": b"rules: []"})
    assert len({first, version({"a.yaml": b"rules: [] "}), version({"b.yaml": b"rules: []"}), version({})}) == 4
    assert len(first) == 12


def test_all_problems_of_all_files_are_found_at_once() -> None:
    found = problems(
        "rules:\n- name: x\n  on: mesage\n  when: {txt: a, text: {above: 1}, any: []}\n  do: [reply: {}]\n- 5\n",
        "rules:\n- name: y\n  on: message\n  when: {if: bad}\n  do: [forget: a]\ncalendars: {o: 1}\n",
        "a: [\n",
    )
    assert [line.partition(" ")[0] for line in found] == [
        "rules/a.yaml:3:7:",
        "rules/a.yaml:4:10:",
        "rules/a.yaml:4:25:",
        "rules/a.yaml:4:41:",
        "rules/a.yaml:5:15:",
        "rules/a.yaml:6:3:",
        "rules/b.yaml:4:14:",
        "rules/b.yaml:6:16:",
        "rules/c.yaml:2:1:",
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{on: message, stop: true}", 'the rule needs "name"'),
        ("{name: x, stop: true}", 'the rule needs "on"'),
        ("{name: x, on: message}", 'the rule does nothing: give it "do", or "stop: true"'),
        ("{name: x, on: message, do: []}", '"do" must not be empty'),
        ("{name: x, on: [], stop: true}", '"on" must not be empty'),
        ("{name: ' x', on: message, stop: true}", '"name" is a name of 1 to 100 characters in one line'),
        ("{name: 5, on: message, stop: true}", '"name" must be a text, not 5; put it in quotes: "5"'),
        ("{name: x, on: message, stop: yes}", '"stop" must be true or false, not "yes"'),
        ("{name: x, on: message, stop: true, sender: human}", '"sender" must be one of contact, agent, bot, system'),
        ("{name: x, on: message, stop: true, priority: 1.5}", '"priority" must be a whole number, not 1.5'),
        ("{name: x, on: message, stop: true, priority: 99999999}", '"priority" must be at most 1000000'),
        ("{name: x, on: message, stop: true, limit: {per: contact}}", '"limit" needs "times"'),
        ("{name: x, on: message, stop: true, limit: {times: 0}}", '"times" must be at least 1, not 0'),
        (
            "{name: x, on: message, stop: true, limit: {times: 1, within: 3}}",
            '"within" must be written like "24h"',
        ),
        (
            "{name: x, on: message, stop: true, limit: {times: 1, within: 0}}",
            '"within" must be written like "24h"',
        ),
        ("{name: x, on: message, stop: true, limit: {times: 1, within: '0'}}", '"within" must be longer than nothing'),
        (
            "{name: x, on: message, stop: true, limit: {times: 1, within: 1 fortnight}}",
            '"1 fortnight" is not a duration',
        ),
        (
            "{name: x, on: message, stop: true, limit: {times: 1, per: day}}",
            '"per" must be one of conversation, contact',
        ),
        ("{name: x, on: message, stop: true, burst: 11s}", '"burst" must be at most 10s'),
        ("{name: x, on: message, stop: true, burst: '0'}", '"burst" must be longer than nothing'),
        ("{name: x, on: message, stop: true, even_if_human: maybe}", '"even_if_human" must be true or false'),
        ("{name: x, on: message, stop: true, wen: {text: a}}", 'unknown key "wen" (did you mean "when"?)'),
        ("{name: x, on: message, do: {reply: {text: a}}}", '"do" must be a list, not a mapping'),
        ("{name: x, on: message, do: [reply: hello]}", '"reply" must be a mapping (key: value), not "hello"'),
        ("{name: x, on: message, do: [reply: {via: a}]}", '"reply" needs one of "text", "template", "one_of"'),
        ("{name: x, on: message, do: [reply: {text: a, template: b}]}", '"one_of", not "text" and "template"'),
        ("{name: x, on: message, do: [reply: {text: ' '}]}", '"text" must not be empty'),
        ("{name: x, on: message, do: [reply: {text: a, to: {chat: 1}}]}", '"to" needs "via"'),
        (
            "{name: x, on: message, do: [{reply: {text: a}, forget: b}]}",
            "remember, forget, call, broadcast, after or <platform>.<operation>: "
            "reply, forget are an action each, with a dash of its own",
        ),
        ("{name: x, on: message, do: [{reply: {text: a}, scope: contact}]}", '"scope" goes with remember and forget'),
        ("{name: x, on: message, do: [{scope: contact}]}", "an action is one of reply, send, remember, forget"),
        (
            "{name: x, on: message, do: [{forget: a, scope: rule}]}",
            '"scope" must be one of conversation, contact, account',
        ),
        ("{name: x, on: message, do: [remember: {}]}", '"remember" must not be empty'),
        ("{name: x, on: message, do: [remember: {a b: 1}]}", '"a b" is no name for a fact'),
        ("{name: x, on: message, do: [remember: {a: [1]}]}", '"a" must be a text, a number, true or false; not a list'),
        ("{name: x, on: message, do: [broadcast: offer]}", 'there is no broadcast "offer"; put it below "broadcasts:"'),
        ("{name: x, on: message, do: [broadcast: {}]}", '"broadcast" needs "name"'),
        ("{name: x, on: message, do: [broadcast: {name: a, variables: {b: [1]}}]}", '"b" must be a text, a number'),
        ("{name: x, on: message, do: [replay: {text: a}]}", 'unknown key "replay" (did you mean "reply"?)'),
        (
            "{name: x, on: message, stop: true, examples: [{expect: nothing}]}",
            "the example needs one event: one of message",
        ),
        (
            "{name: x, on: message, stop: true, examples: [{message: a, ended: true, expect: nothing}]}",
            "needs one event",
        ),
        ("{name: x, on: message, stop: true, examples: [{message: a}]}", 'the example needs "expect"'),
        (
            "{name: x, on: message, stop: true, examples: [{message: a, expect: nothng}]}",
            '"expect" must be nothing; not "nothng"',
        ),
        ("{name: x, on: message, stop: true, examples: [{message: a, expect: {}}]}", 'expects "nothing", a reply or'),
        ("{name: x, on: message, stop: true, examples: [{message: a, expect: [a]}]}", '"expect" must be a mapping'),
        ("{name: x, on: message, stop: true, examples: [{message: a, expect: {reply: {matches: (}}}]}", "missing )"),
        (
            "{name: x, on: message, stop: true, examples: [{typing: on, expect: nothing}]}",
            '"typing" must be one of started, stopped',
        ),
        (
            "{name: x, on: message, stop: true, examples: [{event: {kind: foo}, expect: nothing}]}",
            '"kind" must be one of message',
        ),
        (
            "{name: x, on: message, stop: true, examples: [{message: a, contact: {id: 5}, expect: nothing}]}",
            '"id" must be a text, not 5',
        ),
    ],
)
def test_mistakes_in_rules(rule: str, message: str) -> None:
    found = problems(f"rules: [{rule}]")
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "rules/a.yaml:1:1: the file must be a mapping (key: value), not a list"),
        ("hello", 'rules/a.yaml:1:1: the file must be a mapping (key: value), not "hello"'),
        ("rule: []", 'rules/a.yaml:1:1: unknown key "rule" (did you mean "rules"?)'),
        ("broadcasts: {}", 'rules/a.yaml:1:13: "broadcasts" must be a list, not a mapping'),
        (
            "broadcasts: [{name: x, via: a, audience: b, text: hello}]",
            'rules/a.yaml:1:42: there is no audience "b"; put it below "audiences:"',
        ),
        ("rules: [hello]", 'rules/a.yaml:1:9: the rule must be a mapping (key: value), not "hello"'),
        ("rules: [~]", "rules/a.yaml:1:9: nothing stands here: give it a value or remove the line"),
    ],
)
def test_mistakes_in_files(text: str, message: str) -> None:
    assert problems(text) == [message]


@pytest.mark.parametrize("text", ["", "rules:\ncalendars:\n", "rules: []", "calendars: {}"])
def test_files_without_rules_are_fine(text: str) -> None:
    assert made(text)[1] == []


def test_a_name_is_used_once() -> None:
    rule = "rules: [{name: x, on: message, do: [forget: a]}]"
    assert problems(rule, rule) == [
        'rules/b.yaml:1:9: another rule is named "x" already, at rules/a.yaml:1:9: rename one'
    ]


@pytest.mark.parametrize(
    ("stopper", "later", "warned"),
    [
        ("on: message", "on: message", True),
        ("on: [message, typing]", "on: typing, account: site, when: {state: started}", True),
        ("on: message", "on: [message, typing]", False),
        ("on: message", "on: message, sender: agent", False),
        ("on: message, sender: [contact, agent]", "on: message, sender: agent", True),
        ("on: message, account: site", "on: message", False),
        ("on: message, account: [site, shop]", "on: message, account: site", True),
        ("on: message, when: {text: a}", "on: message", False),
        ("on: message, limit: {times: 1}", "on: message", False),
        ("on: message, priority: -1", "on: message", False),
    ],
)
def test_a_rule_behind_one_that_always_stops_is_never_reached(stopper: str, later: str, warned: bool) -> None:
    rulebook, found = made(f"rules: [{{name: s, {stopper}, stop: true}}, {{name: later, {later}, do: [forget: a]}}]")
    assert rulebook is not None
    assert [line.partition(": ")[2] for line in found] == (
        ['warning: "later" is never reached: "s" at rules/a.yaml:1:9 stops every event before it'] if warned else []
    )


_SCALARS = st.sampled_from(
    ["", "a", "5", "-1", "true", "null", "~", "'x'", "message", "contact", "{}", "[]", "24h", "\ud7ff"]
)
_WORDS = """rules calendars name on account sender when limit do stop priority examples text all any not if words is in
    matches path query above exists reply remember forget scope template via to times per within message expect event
    kind raw contact memory attachment size hours timezone closed holidays mon country [key] str send call after unless
    then one_of quick_replies attachments url edna.thread burst time calendar open even_if_human private a.b body"""
_KEYS = st.sampled_from(_WORDS.split())
_TREES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(_KEYS, inner, max_size=4).map(
            lambda items: "{" + ", ".join(f"'{key}': {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=12,
)


@given(_TREES, _TREES, _TREES, _TREES)
def test_whatever_a_file_says_it_is_read_or_refused_in_words(rule: str, when: str, do: str, calendar: str) -> None:
    text = (
        f"rules: [{rule}, {{name: x, on: message, when: {when}, do: {do}, examples: [{rule}]}}]\n"
        f"calendars: {{office: {calendar}}}\n"
    )
    rulebook, found = made(text)
    assert (rulebook is None) == any(" warning: " not in line for line in found)
    assert not [line for line in found if "Input should" in line or "validat" in line or "cannot be" in line]
