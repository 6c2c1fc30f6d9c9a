"""Actions: what each form of them becomes, and every mistake in them at its place."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.rule import (
    Action,
    File,
    FollowUp,
    OperationAction,
    Remember,
    ReplyAction,
    key_place,
    numbered,
)
from bridge.model.wording import Wording
from tests.rulebook.books import made, problems, sound


def actions(do: str) -> tuple[Action, ...]:
    return sound(f"rules:\n  - name: x\n    on: message\n    do:\n{do}").rules[0].do


def wrong(do: str) -> list[str]:
    return problems(f"rules:\n  - name: x\n    on: message\n    do:\n{do}")


def test_a_reply_in_all_its_parts() -> None:
    (reply,) = actions("""
      - reply:
          template: price.md.j2
          via: shop
          to: {email: "{{ contact.email }}", groups: [3, 5], urgent: true}
          private: true
          language: uk
          attachments: ["https://shop.example/a.pdf", {url: "https://shop.example/{{ memory.n }}.pdf", name: b.pdf}]
          quick_replies: [Yes, "No, {{ contact.name }}"]
""")
    assert isinstance(reply, ReplyAction)
    assert reply == ReplyAction(
        place=reply.place,
        wordings=(Wording(place=reply.place, template="price.md.j2"),),
        via="shop",
        to={"email": "{{ contact.email }}", "groups": [3, 5], "urgent": True},
        private=True,
        language="uk",
        attachments=(
            File(url="https://shop.example/a.pdf"),
            File(url="https://shop.example/{{ memory.n }}.pdf", name="b.pdf"),
        ),
        quick_replies=("Yes", "No, {{ contact.name }}"),
    )
    assert not reply.answers
    assert str(reply.place) == "rules/a.yaml:7:21"
    assert str(key_place(reply, "to.groups")) == "rules/a.yaml:9:46"
    assert str(key_place(reply, "quick_replies.1")) == "rules/a.yaml:13:32"


def test_one_of_several_wordings_each_with_its_place() -> None:
    (reply,) = actions("""
      - reply:
          one_of:
            - Hello!
            - {text: "Hi!"}
            - {template: hello.md.j2}
""")
    assert isinstance(reply, ReplyAction)
    assert [(one.text, one.template, one.place.line, one.place.column) for one in reply.wordings] == [
        ("Hello!", None, 8, 15),
        ("Hi!", None, 9, 22),
        (None, "hello.md.j2", 10, 26),
    ]
    assert reply.answers


def test_to_send_is_to_reply_to_somebody_else() -> None:
    (sent,) = actions("""
      - send: {text: "A customer waits.", via: duty, to: {room: 17}}
""")
    assert isinstance(sent, ReplyAction)
    assert (sent.via, sent.to, sent.answers) == ("duty", {"room": 17}, False)


def test_an_operation_with_its_arguments_and_what_follows() -> None:
    (operation,) = actions("""
      - edna.client:
          phones: ["{{ contact.phone }}"]
          deep: {a: [1, {b: true}]}
          via: support
          to: {client_id: 5}
          remember: {name: clients.0.name, all: .}
          then:
            - reply: {text: "Hello {{ memory.name }}"}
            - edna.thread:
""")
    assert isinstance(operation, OperationAction)
    assert (operation.operation, operation.platform, operation.name) == ("edna.client", "edna", "client")
    assert operation.arguments == {"phones": ["{{ contact.phone }}"], "deep": {"a": [1, {"b": True}]}}
    assert (operation.via, operation.to) == ("support", {"client_id": 5})
    assert operation.keep == {"name": "clients.0.name", "all": ""}
    assert str(operation.place) == "rules/a.yaml:6:9"
    assert str(key_place(operation, "phones.0")) == "rules/a.yaml:7:20"
    assert str(key_place(operation, "remember.all")) == "rules/a.yaml:11:44"
    assert [type(action) for action in operation.then] == [ReplyAction, OperationAction]


@pytest.mark.parametrize("nothing", ["", " {}", " ~"])
def test_an_operation_may_have_no_arguments(nothing: str) -> None:
    (operation,) = actions(f"      - edna.thread:{nothing}\n")
    assert operation == OperationAction(place=operation.place, operation="edna.thread")


def test_a_call_is_an_operation_of_the_webhook_platform() -> None:
    (call,) = actions("""
      - call:
          url: https://crm.example/orders/{{ match.number }}
          via: crm
          method: PUT
          headers: {X-Shop: "5"}
          body: {customer: "{{ contact.id }}", items: []}
          remember: order
          then:
            - reply: {text: "Your order is {{ memory.order.body.state }}."}
""")
    assert isinstance(call, OperationAction)
    assert call.operation == "webhook.call"
    assert call.arguments == {
        "url": "https://crm.example/orders/{{ match.number }}",
        "method": "PUT",
        "headers": {"X-Shop": "5"},
        "body": {"customer": "{{ contact.id }}", "items": []},
    }
    assert (call.via, call.to, call.keep) == ("crm", None, {"order": ""})
    assert len(call.then) == 1
    (plain,) = actions("      - call: {url: https://crm.example}\n")
    assert isinstance(plain, OperationAction)
    assert plain.arguments == {"url": "https://crm.example"}


def test_a_follow_up_with_what_is_inside_it() -> None:
    rule = sound("""
rules:
  - name: x
    on: message
    do:
      - remember: {asked: true}
      - after: 10m
        unless: [agent_message, ended]
        do:
          - reply: {text: "Still there?"}
          - after: 1 day
            unless: contact_message
            do: [helpcrunch.close: {}]
""").rules[0]
    later = rule.do[1]
    assert isinstance(later, FollowUp)
    assert (later.wait, later.unless) == (timedelta(minutes=10), frozenset({"agent_message", "ended"}))
    assert str(later.place) == "rules/a.yaml:7:9"
    inner = rule.action("1.1")
    assert isinstance(inner, FollowUp)
    assert (inner.wait, inner.unless) == (timedelta(days=1), frozenset({"contact_message"}))
    assert [path for path, _ in numbered(rule.do)] == ["0", "1", "1.0", "1.1", "1.1.0"]
    assert rule.answers


def nested(levels: int) -> str:
    """A reply in so many follow-ups."""
    return "{after: 1m, do: [" * levels + "{reply: {text: hi}}" + "]}" * levels


@given(st.integers(min_value=0, max_value=12))
def test_actions_stand_in_five_others_at_most(levels: int) -> None:
    _, found = made(f"rules: [{{name: x, on: message, do: [{nested(levels)}]}}]")
    assert [line.partition(" ")[2] for line in found] == (
        ["actions inside actions: at most 5 may stand around another"] if levels > 5 else []
    )


def test_a_rule_that_waits_for_a_burst_and_answers_beside_a_human() -> None:
    (rule, plain) = sound("""
rules:
  - {name: x, on: message, burst: 2.5s, even_if_human: true, do: [{reply: {text: "{{ messages | length }}"}}]}
  - {name: y, on: message, burst: 10s, stop: true}
""").rules
    assert (rule.burst, rule.even_if_human) == (timedelta(seconds=2.5), True)
    assert (plain.burst, plain.even_if_human) == (timedelta(seconds=10), False)


def test_a_rule_knows_where_its_keys_stand() -> None:
    (rule,) = sound("""
rules:
  - name: x
    on: [message, visited]
    when:
      any:
        - {contact.email: a@b.example}
    do: [forget: a]
""").rules
    assert str(key_place(rule, "when.any.0.contact.email")) == "rules/a.yaml:7:12"
    assert str(key_place(rule, "on.1")) == "rules/a.yaml:4:19"
    assert str(key_place(rule, "limit.times")) == str(rule.place)
    assert not [path for path in rule.places if path.startswith("do")]


KINDS = "reply, send, remember, forget, call, broadcast, after or <platform>.<operation>"


@pytest.mark.parametrize(
    ("action", "column", "message"),
    [
        ("repply: {text: a}", 9, 'unknown key "repply" (did you mean "reply"?)'),
        ("sent: {text: a}", 9, 'unknown key "sent" (did you mean "send"?)'),
        ("assign: {agent: 5}", 9, 'unknown key "assign"; known: reply, send, remember, forget, scope, call, broadcast'),
        ("assign: {agent: 5}", 9, ", unless, do, <platform>.<operation>"),
        ("HelpCrunch.assign: {}", 9, '"HelpCrunch.assign" is no operation: write <platform>.<operation>, for example'),
        ("helpcrunch.: {}", 9, '"helpcrunch." is no operation'),
        ("a.b.c: {}", 9, '"a.b.c" is no operation'),
        ("helpcrunch.tag: vip", 25, '"helpcrunch.tag" must be a mapping (key: value), not "vip"'),
        ("helpcrunch.tag: {tag: }", 26, '"tag" is empty: give it a value or remove it'),
        ("helpcrunch.tag: {via: 5}", 31, '"via" must be a text, not 5; put it in quotes: "5"'),
        ("helpcrunch.tag: {to: 5}", 30, '"to" must be a mapping (key: value), not 5'),
        ("helpcrunch.tag: {to: {}}", 30, '"to" must not be empty'),
        ("helpcrunch.tag: {remember: a b}", 26, '"a b" is no name for a fact'),
        ("helpcrunch.tag: {remember: {a: b..c}}", 40, '"b..c" is no path: names or numbers with dots between'),
        ("helpcrunch.tag: {remember: [a]}", 36, '"remember" must be a mapping (key: value), not a list'),
        ("helpcrunch.tag: {then: []}", 32, '"then" must not be empty'),
        ("helpcrunch.tag: {then: [repli: {}]}", 33, 'unknown key "repli" (did you mean "reply"?)'),
        ("helpcrunch.tag: {then: [{}]}", 33, f"an action is one of {KINDS}"),
        ("{helpcrunch.tag: {}, edna.thread: {}}", 9, f"one of {KINDS}: helpcrunch.tag, edna.thread are an action each"),
        ("{helpcrunch.tag: {}, scope: contact}", 9, '"scope" goes with remember and forget'),
        ("send: {text: a, via: duty}", 15, '"send" needs "to"'),
        ("send: {text: a, to: {room: 1}}", 15, '"send" needs "via"'),
        ("send: {via: duty, to: {room: 1}}", 15, '"send" needs one of "text", "template", "one_of"'),
        ("reply: {text: a, one_of: [b]}", 16, 'needs one of "text", "template", "one_of", not "text" and "one_of"'),
        ("reply: {one_of: []}", 25, '"one_of" must not be empty'),
        ("reply: {text: 0123}", 23, '"text" must be a text, not 0123; put it in quotes: "0123"'),
        ("reply: {one_of: [5]}", 26, 'the wording must be a text, not 5; put it in quotes: "5"'),
        ("reply: {one_of: [' ']}", 26, "must not be empty"),
        ("reply: {one_of: [{}]}", 26, 'the wording needs either "text" or "template"'),
        ("reply: {one_of: [{txt: a}]}", 27, 'unknown key "txt" (did you mean "text"?)'),
        ("reply: {text: a, language: uk}", 16, '"language" goes with a template'),
        ("reply: {text: a, private: 1}", 35, '"private" must be true or false, not 1'),
        ("reply: {text: a, attachments: [{name: b}]}", 40, 'the attachment needs "url"'),
        ("reply: {text: a, attachments: [{url: b, nme: c}]}", 49, 'unknown key "nme" (did you mean "name"?)'),
        ("reply: {text: a, quick_replies: [{}]}", 42, "the quick reply must be a text, not a mapping"),
        ("call: {method: GET}", 15, '"call" needs "url"'),
        ("call: {url: a, method: get}", 32, '"method" must be one of GET, POST, PUT, PATCH, DELETE; not "get"'),
        ("call: {url: a, header: {a: b}}", 24, 'unknown key "header" (did you mean "headers"?)'),
        ("call: {url: a, headers: {X-Shop: 5}}", 42, '"X-Shop" must be a text, not 5; put it in quotes: "5"'),
        ("call:", 9, '"call" is empty'),
        ("after: 10m", 9, '"after" needs "do", beside it: what to do then'),
        ("{after: 0m, do: [forget: a]}", 17, '"after" must be longer than nothing'),
        ("{after: 400d, do: [forget: a]}", 17, '"after" must be at most 366 days'),
        ("{after: ten minutes, do: [forget: a]}", 17, '"ten minutes" is not a duration'),
        ("{after: 10, do: [forget: a]}", 17, '"after" must be written like "24h", not 10'),
        ("{after: 10m, unless: agent, do: [forget: a]}", 30, '"unless" must be one of contact_message, agent_message'),
        ("{after: 10m, unless: [], do: [forget: a]}", 30, '"unless" must not be empty'),
        ("{after: 10m, until: [ended], do: [forget: a]}", 22, 'unknown key "until"; known: reply, send'),
        ("{forget: a, unless: ended}", 9, '"unless" goes with "after"'),
        ("{forget: a, do: [forget: b]}", 9, '"do" goes with "after"'),
    ],
)  # fmt: skip
def test_mistakes_in_actions(action: str, column: int, message: str) -> None:
    found = wrong(f"      - {action}\n")
    assert len(found) == 1, found
    assert message in found[0]
    assert found[0].startswith(f"rules/a.yaml:5:{column}: ")


def test_every_mistake_of_an_action_is_told_at_once() -> None:
    found = wrong("""
      - after: 5 parsecs
        unles: ended
        do:
          - reply: {txt: a}
          - remember: {x: 5, a b: 1}
""")
    assert [line.partition(": ")[2] for line in found] == [
        '"5 parsecs" is not a duration: write a number and ms, s, m, h, d or w, for example "10m"',
        'unknown key "unles" (did you mean "unless"?)',
        'unknown key "txt" (did you mean "text"?)',
        '"a b" is no name for a fact: use letters, digits and "_", no digit first',
    ]


def test_remembering_beside_an_operation_is_still_remembering() -> None:
    (kept,) = actions("      - {remember: {a: 1}, scope: account}\n")
    assert kept == Remember(place=kept.place, facts={"a": 1}, scope="account")
