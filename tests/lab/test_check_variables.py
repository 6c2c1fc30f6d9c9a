"""The proof of templates: a variable that may be missing is told before a customer's message finds it missing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import convert
from msgspec.structs import replace

from bridge.lab.given import Given, every_name, exists, given_by, nearest
from bridge.lab.variables import asked_in_when
from bridge.model.event import CERTAIN, KINDS, Event, Kind, whole
from bridge.model.facts import Facts, variables
from bridge.rulebook.fields import field_of
from bridge.templating import TemplateFault, Templates
from tests.lab.checking import found, rule
from tests.platforms.recordings import FOLDERS
from tests.rulebook.books import facts, mixed, rule_when
from tests.rulebook.test_index import ABOUT, WHEN
from tests.values import an_event

RECORDED = [
    whole(convert({**event, "repeat_within": None}, Event))
    for folder in FOLDERS
    for path in sorted(folder.glob("fixtures/inbound/*.events.json"))
    for event in json.loads(path.read_bytes())["events"]
]


def replying(text: str, **more: str) -> str:
    """A rule that replies with this text."""
    quoted = text.replace("'", "''")
    return rule(f"reply: {{text: '{quoted}'}}", **more)


def said(tmp_path: Path, text: str, **more: str) -> list[str]:
    """What is said of a reply with this text, without the place."""
    problems = found(tmp_path, replying(text, **more), at=None)
    return [problem.split(": ", 1)[1] for problem in problems]


SOUND: list[tuple[str, dict[str, str]]] = [
    ("{{ text }} {{ messages | length }} {{ text.upper() }}", {}),
    ("{{ account }} {{ platform }} {{ kind }} {{ sender }} {{ now.year }} {{ event.at | date }}", {}),
    ("{{ conversation.id }} {{ conversation.messages }} {{ conversation.age.total_seconds() }}", {}),
    ("{{ conversation.idle.days }} {% if conversation.human_active %}x{% endif %}", {}),
    ("{% for key, value in contact.items() %}{{ key }}{% endfor %}", {}),
    ("{{ memory.get('x', 'y') }} {{ contact.memory.keys() | length }}", {}),
    ("{{ contact.name | default('you') }}", {}),
    ("{% if contact.name is defined %}{{ contact.name }}{% endif %}", {}),
    ("{% if contact.name is defined %}{{ contact.name.upper() }}{% endif %}", {}),
    ("{% if attachment is defined %}{{ attachment.name }}{% endif %}", {}),
    ("{% if contact is defined %}{{ contact.memory.get('x') }}{% endif %}", {}),
    ("{% if memory is defined %}{{ memory.order }}{% endif %}", {"when": "{memory.order: {exists: true}}"}),
    ("{% set x = text %}{{ x }} {% for n in range(2) %}{{ loop.index }}{{ n }}{% endfor %}", {}),
    ("{{ url }} {{ kind }}", {"on": "visited"}),
    ("{{ state }}", {"on": "[typing, widget]"}),
    ("{{ attachment.name }}", {"on": "attachment"}),
    ("{{ attachment.size }} {{ attachment.name }}", {"when": "{attachment.size: {above: 5}}"}),
    ("{{ attachment.url }} {{ attachment.name }}", {"when": "{attachment.url: {host: files.example}}"}),
    ("{{ messages | length }}", {"on": "[message, visited]", "when": "{text: {exists: true}}"}),
    ("{{ contact.name }}", {"when": "{contact.name: {exists: true}}"}),
    ("{{ contact.name.upper() }}", {"when": "{contact.name: {starts_with: a}}"}),
    ("{{ contact.plan }} {{ contact.memory.x }}", {"when": "{contact.plan: 3, contact.memory.x: {above: 1}}"}),
    ("{{ memory.a }}", {"when": "{any: [{memory.a: 1}, {memory.a: {above: 5}, text: x}]}"}),
    ("{{ memory.a }}", {"when": "{not: {memory.a: {exists: false}}}"}),
    ("{{ memory.a }}", {"when": "{not: {any: [{text: x}, {memory.a: {exists: false}}]}}"}),
    ("{{ text }}", {"on": "[message, other]", "when": "{text: {contains: x}}"}),
    ("{{ event.raw.order.id }} {{ event.raw.order }} {{ event.raw }}", {"when": "{event.raw.order.id: {above: 1}}"}),
    ("{{ match.n }} {{ match.m | default('') }}", {"when": r"{text: {matches: '(?P<n>\d+)(?P<m>x)?'}}"}),
    ("{{ conversation.assigned }} {{ channel }}", {"when": "{conversation.assigned: a, channel: b}"}),
]


@pytest.mark.parametrize(("text", "more"), SOUND, ids=[text for text, _ in SOUND])
def test_what_is_certainly_there_needs_no_default(tmp_path: Path, text: str, more: dict[str, str]) -> None:
    assert said(tmp_path, text, **more) == []


MISSING: list[tuple[str, dict[str, str], str, str]] = [
    ("{{ contact.name }}", {}, "contact.name", "message"),
    ("{{ contact.name.upper() }}", {}, "contact.name", "message"),
    ("{{ contact.anything }}", {}, "contact.anything", "message"),
    ("{{ url }}", {"on": "[message, visited]"}, "url", "message"),
    ("{{ text }}", {"on": "[typing, visited]"}, "text", "typing, visited"),
    ("{{ messages | first }}", {"on": "ended"}, "messages", "ended"),
    ("{{ state }}", {"on": "[typing, rated]"}, "state", "rated"),
    ("{{ attachment.name }}", {}, "attachment", "message"),
    ("{{ attachment.type }}", {"on": "attachment"}, "attachment.type", "attachment"),
    ("{{ conversation.assigned }}", {"on": "assigned"}, "conversation.assigned", "assigned"),
    ("{{ event.raw.order.id }}", {"when": "{event.raw.order.name: x}"}, "event.raw.order.id", "message"),
    ("{{ contact.name }}", {"when": "{contact.name: {exists: false}}"}, "contact.name", "message"),
    ("{{ contact.name }}", {"when": "{not: {contact.name: Ada}}"}, "contact.name", "message"),
    ("{{ contact.name }}", {"when": "{any: [{contact.name: Ada}, {text: x}]}"}, "contact.name", "message"),
    ("{{ contact.name }}", {"when": '{if: "contact.name == 1"}'}, "contact.name", "message"),
    ("{{ match.n }}", {"when": r"{text: {matches: '(?P<n>\d+)?'}}"}, "match.n", "message"),
    ("{{ memory.x | default(contact.name) }}{{ memory.x is defined and contact.name }}", {}, "contact.name", "message"),
    ("{{ contact.name | upper | default('x') }}", {}, "contact.name", "message"),
    ("{% if contact is defined %}{{ contact.name }}{% endif %}", {}, "contact.name", "message"),
    ("{% if contact is defined and contact.plan %}x{% endif %}", {}, "contact.plan", "message"),
    ("{% if event.raw.a is defined %}{{ event.raw.a.b }}{% endif %}", {}, "event.raw.a.b", "message"),
    (
        "{% if event.raw is defined %}{{ event.raw.a.b }}{% if event.raw.a is defined %}{{ event.raw.a.b }}{% endif %}"
        "{% endif %}",
        {},
        "event.raw.a",
        "message",
    ),
    ("{% if attachment is defined %}{{ attachment.size }}{% endif %}", {}, "attachment.size", "message"),
    ("{{ event.raw.a }}{{ event.raw.a.b | default('') }}", {}, "event.raw.a", "message"),
]


@pytest.mark.parametrize(("text", "more", "name", "kinds"), MISSING, ids=[f"{a} {b}" for a, b, _, _ in MISSING])
def test_what_may_be_missing_needs_a_default(
    tmp_path: Path, text: str, more: dict[str, str], name: str, kinds: str
) -> None:
    text = replying(text, **more)
    [problem] = found(tmp_path, text, at=None)
    assert f'"{name}" may be missing in an event of the kind {kinds}: ' in problem
    assert f"give it a default, {{{{ {name} | default('" in problem
    line, column = map(int, problem.split(":")[1:3])
    assert text.splitlines()[line - 1][column - 1 :].startswith(name)


UNKNOWN = [
    ("{{ contct.name }}", '"contct.name": no event has this (did you mean "contact.name"?)'),
    ("{{ contct.name | default('x') }}", '"contct.name": no event has this (did you mean "contact.name"?)'),
    ("{{ conversation.mesages }}", '"conversation.mesages": no event has this (did you mean "conversation.messages"?)'),
    ("{{ text.shout }}", '"text.shout": no event has this; templates/README.md has the names that there are'),
    ("{{ now.yaer }}", '"now.yaer": no event has this; templates/README.md has the names that there are'),
    ("{{ price }}", '"price": no event has this; templates/README.md has the names that there are'),
    ("{{ match.nmber }}", '"match.nmber": no pattern of the rule has a group "nmber" (did you mean "match.number"?)'),
]


@pytest.mark.parametrize(("text", "message"), UNKNOWN, ids=[text for text, _ in UNKNOWN])
def test_a_name_that_no_event_ever_has_is_told_with_the_nearest(tmp_path: Path, text: str, message: str) -> None:
    assert said(tmp_path, text, when=r"{text: {matches: '(?P<number>\d)'}}") == [message]


def test_a_misspelt_name_of_the_contact_or_of_memory_is_told_with_the_nearest(tmp_path: Path) -> None:
    text = (
        rule("reply: {text: '{{ contact.emial }}'}")
        + "      - reply: {text: '{{ memory.paln }} {{ memory.other }}'}\n"
        + "      - remember: {plan: x}\n"
    )
    [mail, other, plan] = sorted(problem.split(": ", 1)[1] for problem in found(tmp_path, text, at=None))
    missing = "may be missing in an event of the kind message"
    assert mail.startswith(f'"contact.emial" {missing} (did you mean "contact.email"?)')
    assert other.startswith(f'"memory.other" {missing}, because no rule remembers it')
    assert plan.startswith(f'"memory.paln" {missing} (did you mean "plan"?)')


def test_what_is_within_something_remembered_is_not_taken_for_misspelt(tmp_path: Path) -> None:
    text = rule("reply: {text: '{% if memory.order is defined %}{{ memory.order.id }}{% endif %}'}")
    [problem] = found(tmp_path, text + "      - remember: {order: '{{ text }}'}\n", at=None)
    assert '"memory.order.id" may be missing in an event of the kind message: give it a default' in problem


def later(do: str) -> str:
    return f"after: 1m\n        unless: [ended]\n        do: [{do}]"


@pytest.mark.parametrize(
    ("actions", "missing"),
    [
        (["remember: {a: x}", "reply: {text: '{{ memory.a }}'}"], None),
        (["reply: {text: '{{ memory.a }}'}", "remember: {a: x}"], "memory.a"),
        (["remember: {a: x}\n        scope: contact", "reply: {text: '{{ contact.memory.a }}'}"], None),
        (["remember: {a: x}\n        scope: account", "reply: {text: '{{ account_memory.a }}'}"], None),
        (["remember: {a: x}\n        scope: account", "reply: {text: '{{ memory.a }}'}"], "memory.a"),
        (["remember: {a: x}", "forget: a", "reply: {text: '{{ memory.a }}'}"], "memory.a"),
        (["forget: step", "reply: {text: '{{ memory.step }}'}"], "memory.step"),
        (["reply: {text: '{{ memory.step }}'}", "forget: step"], None),
        (["remember: {a: x}", later("{reply: {text: '{{ memory.a }}'}}")], None),
        (
            [
                "remember: {a: x}",
                later("{reply: {text: '{{ memory.a }}'}}"),
                "after: 2m\n        do: [{forget: a}]",
            ],
            "memory.a",
        ),
        ([later("{remember: {b: x}}, {reply: {text: '{{ memory.b }}'}}")], None),
        (
            [
                later("{remember: {b: x}}"),
                "reply: {text: '{{ memory.b }}'}",
            ],
            "memory.b",
        ),
        (["helpcrunch.create_customer: {remember: c, then: [{reply: {text: '{{ memory.c.id }}'}}]}"], None),
        (["helpcrunch.create_customer: {remember: {c: id}, then: [{reply: {text: '{{ memory.c }}'}}]}"], None),
        (
            ["helpcrunch.create_customer: {remember: {c: id}}", "reply: {text: '{{ memory.c }}'}"],
            "memory.c",
        ),
        (["helpcrunch.close: {then: [{reply: {text: '{{ memory.step }}'}}]}"], None),
        (["helpcrunch.close: {then: [{reply: {text: '{{ memory.step }}'}}]}", "forget: step"], "memory.step"),
        ([later("{reply: {text: '{{ memory.step }}'}}"), "forget: step"], None),
        (["helpcrunch.create_customer: {name: '{{ contact.name }}'}"], "contact.name"),
        (["reply: {text: hi, via: shop, to: {email: '{{ contact.email }}'}}"], "contact.email"),
        (["reply: {template: t.md.j2, language: '{{ contact.language }}'}"], "contact.language"),
        (["reply: {one_of: [hi, {text: '{{ contact.name }}'}]}"], "contact.name"),
        (["remember: {a: '{{ contact.name }}'}"], "contact.name"),
    ],
)  # fmt: skip
def test_an_action_relies_on_what_those_before_it_remembered(
    tmp_path: Path, actions: list[str], missing: str | None
) -> None:
    text = "rules:\n  - name: r\n    on: message\n    when: {memory.step: 1}\n    do:\n"
    text += "".join(f"      - {action}\n" for action in actions)
    problems = found(tmp_path, text, {"t.md.j2": "hi"}, at=None)
    assert len(problems) == (missing is not None), problems
    assert missing is None or f'"{missing}" may be missing in' in problems[0]


def test_a_template_is_proved_for_each_rule_that_uses_it_with_its_translations_and_what_it_includes(
    tmp_path: Path,
) -> None:
    rules = """rules:
  - {name: a, on: message, when: {contact.name: {exists: true}}, do: [{reply: {template: hello.md.j2}}]}
  - {name: b, on: [visited, ended], do: [{reply: {template: hello.md.j2}}]}
"""
    templates = {
        "hello.md.j2": "Hello\n\n  {{ contact.name }}!\n{% include 'foot.md.j2' %}",
        "hello.uk.md.j2": "Привіт, {% if url is defined %}{{ url }}{% endif %}\n{{ url }}",
        "hello.pt-br.md.j2": "Olá {{ contact.name | default('tu') }}",
        "hello.other.md.j2": "{{ nobody }}",
        "foot.md.j2": "one\n{{ text }}",
    }
    where = 'or ask for it in "when" of'
    assert found(tmp_path, rules, templates, at=None) == [
        "templates/foot.md.j2:2:4: \"text\" may be missing in an event of the kind ended, visited: give it a default,"
        f" {{{{ text | default('...') }}}}, {where} \"b\" at rules/rules.yaml:3:5",
        "templates/hello.md.j2:3:6: \"contact.name\" may be missing in an event of the kind ended, visited: give it a"
        f" default, {{{{ contact.name | default('friend') }}}}, {where} \"b\" at rules/rules.yaml:3:5",
        "templates/hello.uk.md.j2:2:4: \"url\" may be missing in an event of the kind ended, message: give it a"
        f" default, {{{{ url | default('...') }}}}, {where} \"a\" at rules/rules.yaml:2:5",
    ]  # fmt: skip


def test_a_missing_variable_of_an_expression_is_a_no_and_a_misspelt_one_is_told(tmp_path: Path) -> None:
    text = rule("reply: {text: hi}", when='{if: "memory.n > 2 and contact.visits and contct.x"}')
    assert found(tmp_path, text, at=None) == [
        'rules/rules.yaml:4:53: "contct.x": no event has this (did you mean "contact"?)'
    ]


def test_a_text_over_several_lines_is_underlined_where_the_name_is(tmp_path: Path) -> None:
    text = "rules:\n  - name: r\n    on: message\n    do:\n      - reply:\n          text: |\n            one\n"
    [problem] = found(tmp_path, text + "            two {{ contact.name }}\n    priority: 1\n", at=None)
    assert problem.startswith('rules/rules.yaml:8:20: "contact.name" may be missing')


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_certain_is_in_every_recorded_event(kind: Kind) -> None:
    """The same recordings that show how each platform is understood show what its events have."""
    certain = given_by(frozenset({kind}), None)
    for event in (event for event in RECORDED if event.kind == kind):
        names = variables(facts(event=event))
        for name in ("text", "url", "state", "attachment", "messages", "channel"):
            if not certain.missing(name):
                assert name in names


@pytest.mark.parametrize("kind", sorted(CERTAIN))
def test_an_event_without_what_makes_it_what_it_is_is_another(kind: Kind) -> None:
    bare = an_event(kind=kind, text=None)
    made = whole(bare)
    assert (made.kind, made.text) == (("message", "") if kind == "message" else ("other", None))
    assert whole(made) == made


NAMES = st.sampled_from(
    ["text", "url", "contact.name", "contact.x", "memory.a", "memory.b", "event.raw.c", "text.upper", "messages",
     "contact.memory", "attachment.name", "conversation.assigned", "state", "match.n", "memory", "account"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(WHEN, NAMES, st.lists(ABOUT, min_size=2, max_size=3).map(mixed))
def test_what_is_proved_never_misses(when: dict[str, Any], name: str, asked: list[Facts]) -> None:
    condition = rule_when(when).when
    proved = not given_by(frozenset({"message", "visited"}), condition).missing(name)
    if not proved:
        return
    template = Templates().inline("{% if " + name + " %}{% endif %}", rule_when(when).place)
    for about in asked:
        groups: dict[str, str] = {}
        about = replace(about, event=whole(about.event))
        if about.event.kind in ("message", "visited") and condition.holds(about, groups):
            try:
                template.render(variables(about, groups))
            except TemplateFault as fault:
                pytest.fail(f"{name} in {when}: {fault}")


@pytest.mark.parametrize(
    ("name", "there"),
    [("contact.anything.at.all", True), ("memory.x", True), ("account_memory.x", True), ("attachment.size", True),
     ("contact.memory.x", True), ("event.raw.x.y", True), ("attachment.sise", False), ("conversation.x", False),
     ("event.x", False), ("messages.upper", False), ("nothing", False)],
)  # fmt: skip
def test_the_names_that_there_are(name: str, there: bool) -> None:
    assert exists(name) == there


def test_the_nearest_name() -> None:
    assert nearest("conversation.idel") == ' (did you mean "conversation.idle"?)'
    assert nearest("match.nmber", ["match.number"]) == ' (did you mean "match.number"?)'
    assert nearest("zzz") == ""


def test_what_may_be_missing_can_be_asked_for_as_the_message_advises() -> None:
    anything = Given(kinds=frozenset(KINDS), known=frozenset(), groups=frozenset())
    missing = [name for name in every_name() if anything.missing(name)]
    assert {"attachment", "attachment.url", "contact.name", "messages", "text"} <= set(missing)
    for name in missing:
        asked = asked_in_when(name)
        assert field_of(asked).name == asked
        given = given_by(frozenset(KINDS), rule_when({asked: {"exists": True}}).when)
        assert given.missing(name) == (), name
