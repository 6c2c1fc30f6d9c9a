"""The generic webhook: who may send, and bodies that are wrong. The recordings are in test_contract.py."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapter.mapping import FIELDS
from bridge.adapter.protocol import Webhook
from bridge.errors import Refused
from bridge.model.event import Event
from bridge.platforms import webhook as platform
from bridge.platforms.webhook import adapter
from bridge.platforms.webhook.account import WebhookAccount
from tests.values import NOON

FOLDER = Path(platform.__file__).parent / "fixtures/inbound"
INBOUND = sorted(path for path in FOLDER.glob("*.json") if not path.name.endswith(".events.json"))
TOKEN = "shared-secret-0123456789"
CLOUD = {
    "specversion": "1.0",
    "id": "1",
    "source": "/crm",
    "type": "message",
    "data": {"conversation": "t-1", "text": "hello"},
}
FLAT = {"id": "1", "conversation": "t-1", "text": "hello"}


def an_account(scheme: str = "header", **options: Any) -> WebhookAccount:
    given = {"name": "crm", "scheme": scheme, "secrets": [TOKEN], **options}
    return WebhookAccount.model_validate(given)


def a_webhook(body: object, headers: dict[str, str] | None = None, **query: str) -> Webhook:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Webhook(
        method="POST",
        path="/hooks/crm",
        account="crm",
        query=query,
        headers={"authorization": f"Bearer {TOKEN}", "webhook-id": "m-1", **(headers or {})},
        body=raw,
        received_at=NOON,
    )


def events(body: object, account: WebhookAccount, headers: dict[str, str] | None = None) -> tuple[Event, ...]:
    return adapter.parse(a_webhook(body, headers), account).events


def refused(body: object, account: WebhookAccount, headers: dict[str, str] | None = None) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        adapter.parse(a_webhook(body, headers), account)
    return caught.value.status, caught.value.message


def test_every_scheme_is_recorded() -> None:
    schemes = {json.loads(path.read_bytes())["account"].get("scheme", "standard") for path in INBOUND}
    assert schemes == {"standard", "cloudevents", "header"}


# Who may send.


@pytest.mark.parametrize(
    ("options", "headers", "query", "is_taken"),
    [
        ({}, {}, {}, True),
        ({}, {"authorization": f"BEARER  {TOKEN}"}, {}, True),
        ({}, {"authorization": TOKEN}, {}, False),
        ({}, {"authorization": f"Basic {TOKEN}"}, {}, False),
        ({}, {"authorization": ""}, {}, False),
        ({}, {"authorization": f"Bearer {TOKEN}x"}, {}, False),
        ({}, {"authorization": "Bearer \udcff"}, {}, False),
        ({}, {"authorization": ""}, {"access_token": TOKEN}, False),
        ({"scheme": "cloudevents"}, {"authorization": ""}, {"access_token": TOKEN}, True),
        ({"scheme": "cloudevents"}, {"authorization": ""}, {"access_token": "x"}, False),
        ({"scheme": "cloudevents"}, {"authorization": "Bearer x"}, {"access_token": TOKEN}, False),
        ({"header": "x-crm-key"}, {}, {}, False),
        ({"header": "x-crm-key"}, {"x-crm-key": TOKEN}, {}, True),
        ({"header": "x-crm-key", "secrets": ["next-secret", TOKEN]}, {"x-crm-key": TOKEN}, {}, True),
        ({"header": "x-crm-key"}, {"x-crm-key": f"Bearer {TOKEN}"}, {}, False),
        ({"scheme": "standard"}, {}, {}, False),
    ],
)
def test_who_may_send(options: dict[str, Any], headers: dict[str, str], query: dict[str, str], is_taken: bool) -> None:
    request, account = a_webhook(FLAT, headers, **query), an_account(**options)
    if is_taken:
        adapter.verify(request, account)
        return
    with pytest.raises(Refused) as caught:
        adapter.verify(request, account)
    assert caught.value.status == 401
    assert TOKEN not in caught.value.message


# What it says.


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "body: not JSON"),
        (b"\xff", "body: not JSON"),
        (b"[]", "body: a JSON object"),
        (b'{"conversation":1,"x":' + b"[" * 25 + b"]" * 25 + b"}", "body: nested more than 20 deep"),
        ({"text": "hello"}, "conversation: missing; if the conversation's id is elsewhere, say so"),
        ({"conversation": ""}, "conversation: missing"),
        ({"conversation": ["t-1"]}, "conversation: a text"),
        ({"conversation": True}, "conversation: a text"),
        ({"conversation": "t\n1"}, "conversation: one line"),
        ({"conversation": "t" * 201}, "conversation: one line"),
        ({**FLAT, "id": "\0"}, "id: one line"),
        ({**FLAT, "id": {}}, "id: a text"),
        ({**FLAT, "text": {"a": 1}}, "text: a text"),
        ({**FLAT, "contact": {"email": []}}, "contact.email: a text"),
        ({**FLAT, "attachment": {"url": "x" * 3000}}, "attachment.url: one line"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused_by_path(body: object, says: str) -> None:
    status, message = refused(body, an_account())
    assert status == 400
    assert message.startswith(says)


STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
BINARY = {"content-type": "application/json", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "x"}


@pytest.mark.parametrize(
    ("headers", "body", "status", "says"),
    [
        (STRUCTURED, {**CLOUD, "specversion": "0.3"}, 400, 'specversion: "0.3"'),
        (STRUCTURED, {**CLOUD, "id": ""}, 400, "id: one line"),
        (STRUCTURED, {**CLOUD, "source": 7}, 400, "source: one line"),
        (STRUCTURED, {**CLOUD, "source": "a b"}, 400, "source: a URI"),
        (STRUCTURED, {**CLOUD, "type": None}, 400, "type: one line"),
        (STRUCTURED, {**CLOUD, "data_base64": "eA=="}, 400, "data_base64: binary"),
        (STRUCTURED, {**CLOUD, "data": "text"}, 400, "data.conversation: missing"),
        ({"content-type": "application/cloudevents+avro"}, CLOUD, 415, "content-type"),
        ({"content-type": "application/cloudevents"}, CLOUD, 415, "content-type"),
        (BATCH, CLOUD, 400, "body: a JSON list"),
        (BATCH, [CLOUD, 7], 400, "[1]: a JSON object"),
        (BATCH, [CLOUD, {**CLOUD, "id": None}], 400, "[1].id: one line"),
        (BATCH, [CLOUD, {**CLOUD, "data": {}}], 400, "[1].data.conversation: missing"),
        (BATCH, [CLOUD] * 101, 413, "body: 101 events"),
        ({"content-type": "application/json"}, CLOUD, 400, "ce-specversion: one line"),
        ({**BINARY, "ce-id": "%ff"}, CLOUD["data"], 400, "ce-id: not UTF-8"),
        ({**BINARY, "ce-id": "\udcff"}, CLOUD["data"], 400, "ce-id: not UTF-8"),
        ({**BINARY, "content-type": "text/plain"}, b"hello", 415, "content-type"),
        (BINARY, b"", 400, "data.conversation: missing"),
    ],
)
def test_a_wrong_cloud_event_is_refused_by_name(headers: dict[str, str], body: object, status: int, says: str) -> None:
    given, message = refused(body, an_account("cloudevents"), headers)
    assert given == status
    assert message.startswith(says)


FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"text=%FF&conversation=1", FORM, 400, "body: a form is in ASCII, with UTF-8 in percent signs"),
        ("text=é&conversation=1".encode(), FORM, 400, "body: a form is in ASCII"),
        (b"&".join(b"a%d=1" % n for n in range(201)), FORM, 400, "body: a form has at most 200 fields"),
        (b"text=hello", FORM, 400, "conversation: missing"),
        (b"conversation=1&conversation=2", FORM, 400, "conversation: a text is expected"),
        (b"conversation=1%0A2", FORM, 400, "conversation: one line of at most 200"),
        (b"", FORM, 400, "conversation: missing"),
        (b"{}", {"content-type": "multipart/form-data; boundary=x"}, 415, 'content-type: "multipart/form-data" is not'),
    ],
)
def test_a_wrong_form_is_refused_by_name(body: bytes, headers: dict[str, str], status: int, says: str) -> None:
    given, message = refused(body, an_account(), headers)
    assert given == status
    assert message.startswith(says)


def test_a_form_is_only_for_the_scheme_header() -> None:
    """Signatures and CloudEvents are of JSON; a form there is no JSON."""
    for scheme in ("standard", "cloudevents"):
        status, _ = refused(b"conversation=1", an_account(scheme), {**FORM, "webhook-id": "1"})
        assert status in (400, 415)


@given(st.binary() | st.text().map(str.encode))
def test_any_form_is_an_event_or_a_refusal(body: bytes) -> None:
    webhook = Webhook(method="POST", path="/hooks/crm", headers=FORM, body=body, received_at=NOON)
    status = 202
    try:
        adapter.parse(webhook, an_account())
    except Refused as refusal:
        status = refusal.status
    assert status in (202, 400)


@pytest.mark.parametrize(
    ("changes", "kind", "sender"),
    [
        ({}, "message", "contact"),
        ({"text": None}, "other", "contact"),
        ({"kind": "rated"}, "rated", "contact"),
        ({"kind": "Message"}, "other", "contact"),
        ({"kind": "timer"}, "other", "contact"),
        ({"kind": "note"}, "assigned", "contact"),
        ({"sender": "agent"}, "message", "agent"),
        ({"sender": "robot"}, "message", "system"),
    ],
)
def test_kinds_and_senders(changes: dict[str, Any], kind: str, sender: str) -> None:
    (event,) = events({**FLAT, **changes}, an_account(kinds={"note": "assigned"}))
    assert (event.kind, event.sender) == (kind, sender)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-27T13:59:58+02:00", NOON - timedelta(seconds=2)),
        ("2026-03-27T11:59:58Z", NOON - timedelta(seconds=2)),
        ("2026-03-27T11:59:58", NOON - timedelta(seconds=2)),
        (NOON.timestamp() - 0.5, NOON - timedelta(seconds=0.5)),
        ("2027-01-01T00:00:00Z", NOON),
        ("0001-01-01T00:00:00+14:00", NOON),
        (1e300, NOON),
        (-1, NOON),
        ("soon", NOON),
        ("9" * 5000, NOON),
        ({}, NOON),
    ],
)
def test_when_it_happened(at: object, expected: datetime) -> None:
    (event,) = events({**FLAT, "at": at}, an_account())
    assert event.at == expected


# The account.


@pytest.mark.parametrize(
    ("options", "place", "words"),
    [
        ({"secrets": []}, ("secrets",), "at least 1"),
        ({"secrets": ["whsec_abc"]}, ("secrets", 0), "24 to 64"),
        ({"secrets": ["key\nmore"]}, ("secrets", 0), "line ends"),
        ({"header": "X Key"}, ("header",), "pattern"),
        ({"url": "ftp://crm.example"}, ("url",), "not a URL"),
        ({"url": "https://me:pw@crm.example/in"}, ("url",), "a URL with a user"),
        ({"fields": {"conversations": "x"}}, ("fields", "conversations", "[key]"), "Input should be"),
        ({"fields": {"conversation": "a..b"}}, ("fields", "conversation"), "not a path"),
        ({"kinds": {"x": "timer"}}, ("kinds", "x"), "Input should be"),
        ({"scheme": "standard", "fields": {"id": "data.id"}}, (), "fields.id"),
        ({"scheme": "standard", "header": "x-key"}, (), "header"),
    ],
)  # fmt: skip
def test_an_account_is_refused_by_name(options: dict[str, Any], place: tuple[object, ...], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        an_account(**options)
    (problem,) = caught.value.errors()
    assert problem["loc"] == place
    assert words in problem["msg"]
    assert not any(text in str(caught.value) for text in ("pw", "key\nmore", "whsec_abc"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
BODIES = st.dictionaries(st.sampled_from(sorted({field.partition(".")[0] for field in FIELDS})), JSON)
CLOUDS = st.fixed_dictionaries(
    {"specversion": st.just("1.0"), "id": st.text(), "source": st.text(), "type": st.text()},
    optional={"data": BODIES | JSON, "time": JSON},
)
SCHEMES = st.sampled_from(["standard", "cloudevents", "header"])


@given(st.binary() | BODIES | CLOUDS | st.lists(CLOUDS), SCHEMES, st.sampled_from([STRUCTURED, BATCH, BINARY]))
def test_anything_becomes_events_or_is_refused(body: object, scheme: str, headers: dict[str, str]) -> None:
    refusal: Refused | None = None
    found: tuple[Event, ...] = ()
    try:
        found = events(body, an_account(scheme), headers)
    except Refused as caught:
        refusal = caught
    if refusal is not None:
        assert refusal.status in (400, 413, 415)
        assert len(refusal.message) < 400
    for event in found:
        assert event.at <= NOON
        assert event.conversation
        assert "\0" not in event.conversation + event.key
