"""The JSON Schema of rule files: an editor takes what the rulebook takes, and marks the mistakes it can know of."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bridge.platforms.registry import ADAPTERS
from bridge.rulebook.action_forms import OPERATION, ActionForm
from bridge.rulebook.fields import KNOWN
from bridge.rulebook.json_schema import json_schema
from bridge.rulebook.schema import RuleForm
from bridge.rulebook.yaml import read
from tests.rulebook.books import made

ROOT = Path(__file__).parents[2]
RULES = ROOT / "rules"
SCHEMA = RULES / "rules.schema.json"
SAMPLES = sorted(path for path in RULES.glob("*.yaml") if not path.name.endswith(".test.yaml"))
MANUAL = (RULES / "README.md").read_text(encoding="utf-8")
OPERATIONS: Mapping[str, Mapping[str, object]] = {
    f"{adapter.name}.{name}": {**operation.arguments.model_json_schema(), "description": operation.about}
    for adapter in ADAPTERS.values()
    for name, operation in adapter.operations.items()
}
VALIDATOR = Draft202012Validator(json_schema(OPERATIONS))


def refused(text: str) -> list[str]:
    """What an editor would mark in this file: paths in it."""
    node = read(text.encode(), "a.yaml")
    assert node is not None
    return sorted("/".join(map(str, error.absolute_path)) for error in VALIDATOR.iter_errors(node.value))


def test_it_is_a_schema_and_says_only_what_it_defines() -> None:
    schema: Any = json_schema(OPERATIONS)
    Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    used = set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', text))
    assert used == set(schema["$defs"])
    assert '"null"' not in text.replace('["object", "null"]', "")


def test_the_schema_beside_the_samples_is_that_of_this_version() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema(OPERATIONS), (
        "write it anew: replybridge schema > rules/rules.schema.json"
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_sample_names_it_and_is_taken(sample: Path) -> None:
    text = sample.read_text(encoding="utf-8")
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA.name}"
    assert refused(text) == []


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL))
def test_every_example_of_the_manual_is_taken(text: str) -> None:
    assert refused(text) == []


def test_the_keys_that_a_form_knows_are_completed() -> None:
    forms: Any = json_schema(OPERATIONS)["$defs"]
    assert set(forms["RuleForm"]["properties"]) == set(RuleForm.model_fields)
    assert set(forms["ActionForm"]["properties"]) == {*ActionForm.model_fields, *OPERATIONS} - {"operations"}
    assert OPERATION not in forms["ActionForm"]["properties"]
    assert set(forms["WhenForm"]["properties"]) == {*KNOWN, "all", "any", "not", "if", "time", "calendar"}
    for form, keys in (("RuleForm", ("name", "on", "do")), ("WhenForm", ("text", "if")), ("ReplyForm", ("text",))):
        for key in keys:
            assert forms[form]["properties"][key]["description"]


def test_a_second_wording_is_marked_where_it_stands_with_a_sentence() -> None:
    forms: Any = json_schema(OPERATIONS)["$defs"]
    said = 'Write one of "text", "template" and "one_of", not several.'
    assert forms["ReplyForm"]["dependentSchemas"] == {
        "text": {"errorMessage": said, "properties": {"template": False, "one_of": False}},
        "template": {"errorMessage": said, "properties": {"one_of": False}},
    }


def rule(**changes: str) -> str:
    keys = {"name": "x", "on": "message", "do": "[{forget: a}]", **changes}
    return "rules:\n  - {" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}\n"


RIGHT = [
    rule(on="[message, visited]", sender="[agent, bot]", limit="{times: 2, per: contact, within: 1.5 hours}"),
    rule(when="{text: [a, b], url: {path: /a/**, query: {a: b}}, conversation.idle: {above: 10m}, if: 'memory.a > 2'}"),
    rule(when="{attachment.size: {above: 5 MiB}, conversation.messages: 3, conversation.human_active: false}"),
    rule(when="{state: [started, stopped], contact.plan: {exists: true}, contact.memory.a.b: 5, event.raw.x.0: true}"),
    rule(when="{any: [{all: [{text: a}]}, {not: {memory.a: {at_least: 3}}}], time: [01:00-02:00, 22:00-06:00]}"),
    rule(do="[{reply: {one_of: [a, {template: b.md.j2}], attachments: [x, {url: y, name: z}], quick_replies: [a]}}]"),
    rule(do="[{after: 10m, unless: ended, do: [{after: 1 day, unless: [typing], do: [{edna.thread: {}}]}]}]"),
    rule(do="[{edna.thread: ~}, {helpcrunch.assign: {agent: 17, via: shop}}, {helpcrunch.close: {}}]"),
    rule(do="[{helpcrunch.assign: {agent: '{{ memory.agent }}', remember: x, then: [{reply: {text: a}}]}}]"),
    rule(do="[{call: {url: 'https://a', method: PUT, headers: {a: b}, body: [1, {a: ~}], remember: {a: b.c, d: ''}}}]"),
    rule(do="[{send: {text: a, via: duty, to: {room: 17, groups: [1, 2], urgent: true}}}]"),
    rule(examples="[{attachment: {name: a, size: 1 MiB}, at: 2026-03-27T10:00+02:00, expect: nothing}]"),
    rule(examples="[{event: {kind: rated, raw: {a: ~}}, expect: {reply: {matches: a}, remember: {b: 1}}}]"),
    "calendars: {a: {hours: {mon-fri: [09:00-12:00], sat: 10:00-11:00}, closed: [2026-01-01], holidays: DE}}",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_taken(text: str) -> None:
    rulebook, problems = made(text.replace("{a: ~}", "{a: 1}").replace("raw: {a: 1}", "raw: {a: ~}"))
    assert (rulebook is None, problems) == (False, [])
    assert refused(text) == []


WRONG = {
    "rule: []": [""],
    "rules: {}": ["rules"],
    rule(wen="{text: a}"): ["rules/0"],
    rule(on="mesage"): ["rules/0/on"],
    rule(on="[message, mesage]"): ["rules/0/on"],
    rule(name="5"): ["rules/0/name"],
    rule(stop="yes"): ["rules/0/stop"],
    rule(burst="soon"): ["rules/0/burst"],
    rule(priority="1.5"): ["rules/0/priority"],
    rule(limit="{per: contact}"): ["rules/0/limit"],
    rule(limit="{times: 1, within: 1 fortnight}"): ["rules/0/limit/within"],
    "rules: [{name: x, on: message}]": ["rules/0"],
    rule(when="{txt: a}"): ["rules/0/when"],
    rule(when="{}"): ["rules/0/when"],
    rule(when="{contact: a}"): ["rules/0/when"],
    rule(when="{memory.: a}"): ["rules/0/when"],
    rule(when="{text: {above: 3}}"): ["rules/0/when/text"],
    rule(when="{memory.a: {above: '3'}}"): ["rules/0/when/memory.a/above"],
    rule(when="{text: {wrods: a}}"): ["rules/0/when/text"],
    rule(when="{state: begun}"): ["rules/0/when/state"],
    rule(when="{conversation.idle: {above: 3}}"): ["rules/0/when/conversation.idle/above"],
    rule(when="{attachment.size: 5 stones}"): ["rules/0/when/attachment.size"],
    rule(when="{conversation.human_active: maybe}"): ["rules/0/when/conversation.human_active"],
    rule(when="{time: noon}"): ["rules/0/when/time"],
    rule(when="{calendar: office}"): ["rules/0/when/calendar"],
    rule(do="[{repply: {text: a}}]"): ["rules/0/do/0", "rules/0/do/0"],
    rule(do="[{helpcrunch.asign: {agent: 5}}]"): ["rules/0/do/0", "rules/0/do/0"],
    rule(do="[{helpcrunch.assign: {}}]"): ["rules/0/do/0/helpcrunch.assign"],
    rule(do="[{helpcrunch.assign: {agnt: 5}}]"): ["rules/0/do/0/helpcrunch.assign"] * 2,
    rule(do="[{helpcrunch.assign: {agent: five}}]"): ["rules/0/do/0/helpcrunch.assign/agent"],
    rule(do="[{reply: {text: a}, forget: b}]"): ["rules/0/do/0"],
    rule(do="[{reply: {text: a, template: b}}]"): ["rules/0/do/0/reply"],
    rule(do="[{reply: {one_of: [a, {template: b, text: c}]}}]"): ["rules/0/do/0/reply/one_of/1"],
    rule(do="[{reply: {one_of: [a], template: b}}]"): ["rules/0/do/0/reply"],
    rule(do="[{reply: {via: shop, to: {room: 1}}}]"): ["rules/0/do/0/reply"],
    rule(do="[{reply: {txt: a}}]"): ["rules/0/do/0/reply"] * 2,
    rule(do="[{send: {text: a, via: duty}}]"): ["rules/0/do/0/send"],
    rule(do="[{after: 10m}]"): ["rules/0/do/0"],
    rule(do="[{forget: a, unless: ended}]"): ["rules/0/do/0"],
    rule(do="[{after: 10m, unless: agent, do: [forget: a]}]"): ["rules/0/do/0/unless"],
    rule(do="[{reply: {text: a}, scope: contact}]"): ["rules/0/do/0"],
    rule(do="[{call: {url: a, method: get}}]"): ["rules/0/do/0/call/method"],
    rule(examples="[{message: a}]"): ["rules/0/examples/0"],
    rule(examples="[{message: a, expect: nothng}]"): ["rules/0/examples/0/expect"],
    rule(examples="[{message: a, ended: true, expect: nothing}]"): ["rules/0/examples/0"],
    "calendars: {a: {hours: {mon: 9-17}}}": ["calendars/a/hours/mon"],
    "calendars: {a: {}}": ["calendars/a"],
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_marked_where_it_is(text: str) -> None:
    assert refused(text) == WRONG[text]
    checked_later = "helpcrunch." in text
    assert (made(text)[0] is None) != checked_later


def test_operations_are_those_that_are_given() -> None:
    arguments = {
        "properties": {
            "n": {"$ref": "#/$defs/N"},
            "via": {"type": "integer"},
            "title": {"title": "T", "type": "string"},
        },
        "required": ["n"],
        "$defs": {"N": {"type": "integer", "minimum": 1}},
    }
    schema = Draft202012Validator(json_schema({"acme.do": arguments}))

    def taken(do: object) -> bool:
        return schema.is_valid({"rules": [{"name": "x", "on": "message", "do": [do]}]})

    assert taken({"acme.do": {"n": 1, "via": "me", "title": "x"}})
    assert taken({"acme.do": {"n": "{{ memory.n }}"}})
    assert not taken({"acme.do": {"n": 0}})
    assert not taken({"acme.do": {"n": "1"}})
    assert not taken({"acme.do": {"n": 1, "via": 5}})
    assert not taken({"acme.do": None})
    assert not taken({"acme.undo": {}})
    assert not taken({"helpcrunch.close": {}})


def test_every_key_and_every_pattern_says_what_it_wants() -> None:
    """A language server shows these; of a pattern it would show the pattern, and of several schemas that none fits."""
    schema: Any = json_schema(OPERATIONS)
    forms = [schema, *(form for name, form in schema["$defs"].items() if name.endswith("Form"))]
    silent = [
        key for form in forms for key, said in form["properties"].items() if not said.keys() & {"description", "$ref"}
    ]
    assert silent == []
    asked = schema["$defs"]["asked-of-duration"]
    assert (asked["type"], asked["patternErrorMessage"]) == (
        ["string", "array", "object"],
        'Write a number and ms, s, m, h, d or w, for example "10m".',
    )
    assert schema["$defs"]["CalendarAskForm"]["title"] == "calendar ask"
    assert "default" not in schema["$defs"]["BroadcastForm"]["properties"]["not_after"]
