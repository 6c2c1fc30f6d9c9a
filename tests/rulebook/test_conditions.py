"""Every matcher and every field: what holds, what does not, and the reason that is given."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from bridge.model.event import Attachment, Contact
from tests.rulebook.books import facts, holds, problems, rule_when, why_not

TEXTS: list[tuple[Mapping[str, Any] | str | list[str], str, bool]] = [
    ("hello", "  Hello ", True),
    ("STRASSE", "straße", True),
    ("good morning", "Good \n MORNING", True),
    ("hello", "hello!", False),
    (["hi", "hello"], "HI", True),
    ({"in": ["hi", "hello"]}, "hey", False),
    ({"is": "e\u0301te\u0301"}, "ÉTÉ", True),
    ({"words": "price"}, "Price?", True),
    ({"words": "price"}, "pricey", False),
    ({"words": "price"}, "a_price", False),
    ({"words": "price"}, "(price)", True),
    ({"words": ["cost", "how much"]}, "HOW\n much is it", True),
    ({"words": "how much"}, "how very much", False),
    ({"words": "how much"}, "somehow much", False),
    ({"words": "цена"}, "Какая ЦЕНА?", True),
    ({"words": "цен"}, "Какая цена?", False),
    ({"words": "Straße"}, "STRASSE 5", True),
    ({"words": "कीमत"}, "इसकी कीमत क्या है", True),
    ({"words": "क"}, "इसकी कीमत क्या है", False),
    ({"words": "abc"}, "abc\u0302 is one word", False),
    ({"words": "c++"}, "I write C++, you?", True),
    ({"words": "c++"}, "c++11", False),
    ({"words": "👍"}, "ok 👍!", True),
    ({"words": "👍"}, "ok", False),
    ({"words": "e-mail"}, "my E-Mail address", True),
    ({"words": "mail"}, "mailmail mail", True),
    ({"contains": "ПрИвЕт"}, "всем привет", True),
    ({"contains": ["x", "ve"]}, "above", True),
    ({"contains": "how  much"}, "how much", True),
    ({"contains": "z"}, "above", False),
    ({"contains": "价格"}, "这个价格是多少", True),
    ({"starts_with": "/START"}, " /start now", True),
    ({"starts_with": "start"}, "/start now", False),
    ({"starts_with": ["a very long beginning of", "b"]}, "A very long beginning of it", True),
    ({"ends_with": ["?", "please"]}, "now PLEASE ", True),
    ({"ends_with": "please"}, "please now", False),
    ({"matches": r"[0-9]{4}"}, "order 10072", True),
    ({"matches": r"order"}, "ORDER", False),
    ({"matches": r"(?i)ордер"}, "ОРДЕР", True),
    ({"matches": r"^$"}, "", True),
    ({"matches": r"\d", "contains": "a"}, "a1", True),
    ({"matches": r"\d", "contains": "a"}, "b1", False),
    ({"exists": True}, "", True),
    ({"exists": False}, "a", False),
]


@pytest.mark.parametrize(("asked", "text", "held"), TEXTS)
def test_text(asked: Any, text: str, held: bool) -> None:
    assert holds({"text": asked}, facts(text=text)) is held


URLS: list[tuple[Mapping[str, Any], str, bool]] = [
    ({"path": "/pricing/**"}, "https://a.example/pricing", True),
    ({"path": "/pricing/**"}, "https://a.example/Pricing/", True),
    ({"path": "/pricing/**"}, "https://a.example/pricing/a/b?x=1#y", True),
    ({"path": "/pricing/**"}, "https://a.example/pricing-old/a", False),
    ({"path": "/pricing"}, "https://a.example/pricing/a", False),
    ({"path": "/*/offers"}, "https://a.example/de/offers", True),
    ({"path": "/*/offers"}, "https://a.example/de/at/offers", False),
    ({"path": "/**/offers"}, "https://a.example/offers", True),
    ({"path": "/**/offers"}, "https://a.example/de/at/offers", True),
    ({"path": "/p*s/x"}, "https://a.example/prices/x", True),
    ({"path": "/"}, "https://a.example", True),
    ({"path": "/"}, "https://a.example/a", False),
    ({"path": "/**"}, "https://a.example/a", True),
    ({"path": "/café"}, "https://a.example/caf%C3%A9", True),
    ({"path": "/a.b"}, "https://a.example/aXb", False),
    ({"path": ["/a", "/b"]}, "https://a.example//b", True),
    ({"path": "/a/b"}, "https://a.example/a%2Fb", False),
    ({"host": "shop.example"}, "https://user@SHOP.example:8080/", True),
    ({"host": "shop.example"}, "shop.example/prices", True),
    ({"host": "*.shop.example"}, "https://a.b.shop.example", True),
    ({"host": "*.shop.example"}, "https://shop.example", False),
    ({"host": "*.shop.example"}, "https://evilshop.example", False),
    ({"host": "bücher.example"}, "https://xn--bcher-kva.example/", True),
    ({"host": "*"}, "/prices", False),
    ({"host": "shop.example"}, "http://[", False),
    ({"path": "/prices"}, "/prices?a=b", True),
    ({"query": {"utm_source": "google"}}, "https://a.example/?utm_source=Google", True),
    ({"query": {"utm_source": ["bing", "google"]}}, "https://a.example/?a=1&utm_source=x&utm_source=google", True),
    ({"query": {"utm_source": "google", "b": "2"}}, "https://a.example/?utm_source=google", False),
    ({"query": {"a": "x y"}}, "https://a.example/?a=x+y", True),
    ({"host": "a.example", "path": "/b"}, "https://a.example/b", True),
    ({"host": "a.example", "path": "/c"}, "https://a.example/b", False),
    ({"contains": "example"}, "https://a.example/b", True),
]


@pytest.mark.parametrize(("asked", "url", "held"), URLS)
def test_addresses(asked: Any, url: str, held: bool) -> None:
    assert holds({"url": asked}, facts(kind="visited", url=url, text=None)) is held


ABOUT = facts(
    kind="attachment",
    text=None,
    state="started",
    channel="web",
    contact=Contact(id="c1", email="Ann@ACME.example", language="uk", extra={"vip": True, "tags": ["a", "b"], "n": 7}),
    attachment=Attachment(name="Sofa.PNG", type="image/png", size=6 * 1024**2),
    raw={"customer": {"tags": [{"name": "gold"}], "orders": 12, "id": "17"}, "null": None},
    memory={"asked": True, "plan": "Gold", "count": "5", "n": 3},
    contact_memory={"visits": 4},
    conversation={
        "messages": 4,
        "opened_at": facts().now - timedelta(minutes=30),
        "idle": timedelta(seconds=90),
        "assigned": "bob",
        "agent_at": facts().now - timedelta(minutes=5),
    },
)

FIELDS: list[tuple[str, Any, bool]] = [
    ("kind", "attachment", True),
    ("kind", ["message", "typing"], False),
    ("sender", "contact", True),
    ("state", "started", True),
    ("account", "SITE", True),
    ("platform", "omnidesk", True),
    ("channel", "web", True),
    ("contact.id", "c1", True),
    ("contact.email", {"ends_with": "@acme.example"}, True),
    ("contact.name", {"exists": False}, True),
    ("contact.name", {"contains": "a"}, False),
    ("contact.phone", {"exists": True}, False),
    ("contact.language", "uk", True),
    ("contact.vip", True, True),
    ("contact.vip", 1, False),
    ("contact.tags.1", "b", True),
    ("contact.tags.9", "b", False),
    ("contact.n", {"above": 6.5, "below": 8}, True),
    ("conversation.id", "abcdef0123456789", True),
    ("conversation.messages", 4, True),
    ("conversation.messages", [1, 2], False),
    ("conversation.messages", {"at_most": 3}, False),
    ("conversation.messages", {"at_least": 4}, True),
    ("conversation.age", {"above": "29m"}, True),
    ("conversation.age", {"above": "30m"}, False),
    ("conversation.age", "1800s", True),
    ("conversation.idle", {"below": "1.5m"}, False),
    ("conversation.assigned", "Bob", True),
    ("conversation.human_active", True, True),
    ("conversation.human_active", False, False),
    ("attachment.name", {"ends_with": [".png", ".jpg"]}, True),
    ("attachment.type", {"starts_with": "image/"}, True),
    ("attachment.size", {"above": "5 MiB"}, True),
    ("attachment.size", {"below": 6291456}, False),
    ("attachment.size", "6 MiB", True),
    ("memory.asked", True, True),
    ("memory.asked", False, False),
    ("memory.plan", "gold", True),
    ("memory.count", 5, True),
    ("memory.count", {"at_least": 5}, True),
    ("memory.count", "5", True),
    ("memory.n", "3", False),
    ("memory.n", 3, True),
    ("memory.missing", {"exists": False}, True),
    ("memory.plan", {"above": 3}, False),
    ("memory.n", {"words": "3"}, False),
    ("contact.memory.visits", {"above": 3}, True),
    ("event.raw.customer.tags.0.name", "GOLD", True),
    ("event.raw.customer.orders", 12, True),
    ("event.raw.customer.id", 17, True),
    ("event.raw.customer", {"exists": True}, True),
    ("event.raw.customer", "x", False),
    ("event.raw.null", {"exists": False}, True),
    ("event.raw.customer.tags.-1", {"exists": False}, True),
    ("text", {"contains": "a"}, False),
]


@pytest.mark.parametrize(("name", "asked", "held"), FIELDS)
def test_fields(name: str, asked: Any, held: bool) -> None:
    assert holds({name: asked}, ABOUT) is held


def test_what_is_not_known_is_a_no_also_without_an_attachment() -> None:
    about = facts(attachment=None, contact=Contact())
    for asked in ("a", ["a"], {"words": "a"}, {"contains": "a"}, {"matches": "a"}, {"exists": True}):
        assert not holds({"contact.email": asked}, about)
    assert not holds({"attachment.size": {"above": 0}}, about)
    assert holds({"not": {"contact.email": "a"}}, about)
    assert holds({"contact.email": {"exists": False}}, about)


def test_all_any_not_and_if() -> None:
    about = facts(text="a b")
    has_a, has_z = {"text": {"words": "a"}}, {"text": {"words": "z"}}
    assert holds({"any": [has_z, has_a]}, about)
    assert not holds({"any": [has_z, has_z]}, about)
    assert not holds({"all": [has_a, has_z]}, about)
    assert holds({"all": [has_a], "not": has_z}, about)
    assert holds({"not": {"all": [has_a, has_z]}}, about)
    assert not holds({"not": {"any": [has_a, has_z]}}, about)
    assert holds({"if": "true"}, about)
    assert not holds({"if": "false"}, about)
    assert not holds({"if": "missing"}, about)
    assert holds({"not": {"if": "missing"}}, about)


def test_named_groups_are_those_of_the_parts_that_held() -> None:
    when = {
        "any": [
            {"text": {"matches": "(?P<a>x)"}, "kind": "typing"},
            {"text": {"matches": "(?P<b>ц+)(?P<c>z)?"}},
        ],
        "not": {"text": {"matches": "(?P<d>q)"}},
    }
    groups: dict[str, str] = {}
    assert rule_when(when).when.holds(facts(text="x цц"), groups)
    assert groups == {"b": "цц"}


def test_an_expression_sees_the_groups_of_the_pattern_before_it() -> None:
    when = {"if": "match.n", "text": {"matches": "(?P<n>[0-9]+)?a"}}
    assert holds(when, facts(text="12a"))
    assert not holds(when, facts(text="a"))
    assert why_not(when, facts(text="a")) == 'if: "match.n" is nothing'


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ({"text": {"words": ["price", "cost"]}}, 'text: "hello" has no word of "price", "cost"'),
        ({"text": "hi"}, 'text: "hello" is not "hi"'),
        ({"text": list("abcdefg")}, 'text: "hello" is none of "a", "b", "c", "d", "e" and 2 more'),
        ({"text": {"starts_with": "x"}}, 'text: "hello" does not start with "x"'),
        ({"text": {"ends_with": ["x", "y"]}}, 'text: "hello" does not end with "x", "y"'),
        ({"text": {"contains": "x"}}, 'text: "hello" does not contain "x"'),
        ({"text": {"matches": "x+"}}, 'text: "hello" does not match "x+"'),
        ({"conversation.messages": {"above": 3}}, "conversation.messages: 1 is not above 3"),
        ({"conversation.age": {"at_least": "1h"}}, "conversation.age: 0s is not at least 1h"),
        ({"contact.email": {"contains": "a"}}, "contact.email: is not known"),
        ({"contact.id": {"exists": False}}, 'contact.id: "c1" is known'),
        ({"url": {"path": "/a"}}, "url: is not known"),
        ({"not": {"text": {"contains": "ell"}}}, 'not: text contains "ell", it is "hello"'),
        ({"if": "missing"}, 'if: "missing" cannot be told: "missing" is undefined'),
        ({"if": "false"}, 'if: "false" is false'),
        (
            {"any": [{"text": "a"}, {"kind": "typing"}]},
            'any: none of (text: "hello" is not "a"; kind: "message" is not "typing")',
        ),
        ({"text": "hello", "kind": "typing"}, 'kind: "message" is not "typing"'),
    ],
)
def test_why_not(when: Mapping[str, Any], reason: str) -> None:
    assert why_not(when, facts(text="hello")) == reason


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ({"words": ["a", "a b c"]}, "a\u0302 " * 200_000),
        ({"words": "ab ab ab"}, "ab ab " * 150_000 + "x"),
        ({"contains": "a" * 400 + "b"}, "a" * 1_000_000),
        ({"matches": "(a+)+$"}, "a" * 500_000 + "!"),
        ({"matches": r"(?P<x>(a|a)*)b"}, "a" * 500_000),
        ({"is": "x"}, "a\u0300\u0316" * 300_000),
        ({"is": "x"}, "a" + "\u0300\u0316" * 300_000),
        ({"words": "x"}, "\ud800 " * 300_000),
        ({"starts_with": "x"}, "\u0130" * 500_000),
    ],
)
def test_a_hostile_text_of_a_mebibyte_takes_no_time_to_speak_of(when: Mapping[str, Any], text: str) -> None:
    about = facts(text=text)
    rule = rule_when({"text": when})
    start = time.process_time()
    rule.when.holds(about, {})
    assert time.process_time() - start < 5


@pytest.mark.parametrize("url", ["https://a.example/" + "a/" * 300_000, "https://a.example/?" + "a=1&" * 250_000])
def test_a_hostile_address_takes_no_time_to_speak_of(url: str) -> None:
    about = facts(url=url)
    rule = rule_when({"any": [{"url": {"path": "/**/x/**/y*z"}}, {"url": {"query": {"b": "1"}}}]})
    start = time.process_time()
    assert not rule.when.holds(about, {})
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("{txt: hi}", '1:56: unknown field "txt" (did you mean "text"?)'),
        ("{contact: hi}", 'unknown field "contact": contact has contact.id, contact.name, contact.email'),
        ("{calendar: {in: office}}", 'unknown key "in"; known: open, closed'),
        ("{memory.: 1}", '"memory." has an empty part between its dots'),
        ("{text: {above: 3}}", '1:63: "above" does not fit "text", which is a text: use is, in, words, contains'),
        ("{conversation.messages: {words: a}}", '"words" does not fit "conversation.messages", which is a number'),
        ("{text: {path: /a}}", '"path" does not fit "text"'),
        ("{kind: [message, mesage]}", '1:72: "kind" is one of message, typing'),
        ("{state: shut}", '"state" is one of started, stopped, expanded, minimized; not "shut"'),
        ("{text: 5}", '"text" is a text: put 5 in quotes'),
        ("{text: 0123}", '"text" is a text: put 0123 in quotes'),
        ("{contact.phone: [a, +49123]}", '"contact.phone" is a text: put +49123 in quotes'),
        ("{contact.phone: {is: 1.10}}", '"contact.phone" is a text: put 1.10 in quotes'),
        ("{text: true}", '"text" is a text: put true in quotes'),
        ("{conversation.messages: many}", '"conversation.messages" is compared with a number here'),
        ("{conversation.messages: {above: true}}", '"above" must be a number, a duration such as "10m"'),
        ("{conversation.age: {above: 5}}", '"conversation.age" is a duration: write a number and a unit'),
        ("{conversation.age: {above: 5 parsecs}}", '"5 parsecs" is not a duration'),
        ("{attachment.size: {above: 5 stones}}", '"5 stones" is not a size'),
        ("{conversation.human_active: maybe}", '"conversation.human_active" is true or false, not "maybe"'),
        ("{text: {matches: 'a(?!b)'}}", "look-around does not exist in RE2: use two conditions, one of them in `not`"),
        (r"{text: {matches: '(a)\1'}}", "back-references do not exist in RE2: write the text out"),
        ("{text: {matches: '(a'}}", "not a pattern that RE2 takes: missing ): (a"),
        ("{text: {matches: 'a{5000}'}}", "repeat fewer times"),
        (f"{{text: {{matches: {'a' * 1001}}}}}", "a pattern has at most 1000 characters, this one 1001"),
        ("{url: {path: prices}}", 'a path begins with "/": "/prices"'),
        ("{url: {path: /a?b=c}}", 'write "query" for the parameters'),
        ("{url: {path: /a**}}", '"**" stands alone between two slashes'),
        ("{url: {host: 'https://a'}}", 'a host is a name such as "shop.example"'),
        ("{if: bad}", "1:60: not an expression"),
        ("{not: {any: [{txt: a}]}}", 'unknown field "txt"'),
        ("{text: {}}", '"text" must not be empty'),
        ("{text: {words: []}}", '"words" must not be empty'),
        ("{text: {words: ' '}}", '"words" must not be empty'),
        ("{text: {wrods: a}}", 'unknown key "wrods" (did you mean "words"?)'),
        ("{text: {is: [a]}}", '"is" must be a text, a number, true or false; not a list'),
        ("{text: {words: {a: b}}}", '"words" must be a text, not a mapping'),
        ("{text: }", '1:56: "text" is empty: give it a value or remove it'),
        ("{}", '"when" must not be empty; without "when" a rule always holds'),
        ("[]", '"when" must be a mapping (key: value), not a list'),
        ("{any: {text: a}}", '"any" must be a list, not a mapping'),
        ("{not: [{text: a}]}", '"not" must be a mapping (key: value), not a list'),
        ("{contact.emial: a}", 'warning: "contact.emial" is not one of the contact\'s own fields'),
    ],
)
def test_mistakes_are_named_at_their_place(when: str, message: str) -> None:
    found = problems(f"rules: [{{name: x, on: message, do: [forget: a], when: {when}}}]")
    assert len(found) == 1
    assert message in found[0].replace("rules/a.yaml:", "")
