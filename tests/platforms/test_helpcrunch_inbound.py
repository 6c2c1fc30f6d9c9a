"""HelpCrunch's webhooks: signatures, old webhooks, and what is not one. The recordings are in test_contract.py."""

import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.protocol import Webhook
from bridge.errors import Refused
from bridge.model.event import Event
from bridge.platforms import helpcrunch
from bridge.platforms.helpcrunch import adapter
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.inbound import MEANINGS
from tests.values import NOON

FOLDER = Path(helpcrunch.__file__).parent / "fixtures/inbound"
INBOUND = sorted(path for path in FOLDER.glob("*.json") if not path.name.endswith(".events.json"))
KEY = "test-signing-key"
NOW = int(NOON.timestamp())
DATA: dict[str, Any] = {
    "chat_id": 123,
    "agent": None,
    "customer": {"id": 45, "name": "A", "email": "a@example.com", "userId": "u-1"},
    "message": {"id": 678, "text": "hello", "broadcastType": None, "createdAt": "1638953586.915"},
}
ENVELOPE = {"id": "e-1", "event": "message.chat.customer", "eventData": DATA, "createdAt": NOW, "lastAttemptAt": NOW}


def an_account(**options: Any) -> HelpCrunchAccount:
    given = {"name": "shop", "api_key": "k", "agent": 4188, "signing_keys": [KEY], **options}
    return HelpCrunchAccount.model_validate(given)


def a_webhook(body: object = ENVELOPE, *, signature: str | None = None) -> Webhook:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = hmac.digest(KEY.encode(), raw, "sha1").hex() if signature is None else signature
    headers = {"content-type": "application/json", "x-helpcrunch-signature": signed}
    return Webhook(
        method="POST",
        path="/hooks/shop",
        account="shop",
        headers={name: value for name, value in headers.items() if value},
        body=raw,
        received_at=NOON,
    )


def parsed(body: object = ENVELOPE, **options: Any) -> Event:
    (event,) = adapter.parse(a_webhook(body), an_account(**options)).events
    return event


def refused(body: object, **options: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        adapter.parse(a_webhook(body), an_account(**options))
    return caught.value.status, caught.value.message


def test_every_event_is_recorded() -> None:
    recorded = {json.loads(json.loads(path.read_bytes())["body"])["event"] for path in INBOUND}
    assert len(MEANINGS) == 20
    assert set(MEANINGS) <= recorded


def test_the_route() -> None:
    assert [(route.method, route.path, route.what) for route in adapter.routes] == [
        ("POST", "/hooks/{account}", "webhook")
    ]


# Who may send.

VECTOR = b'{"event":"message.chat.customer","eventData":{"chat_id":1}}'
SIGNED = "c5a3c9f271d570a72dd1ef48c0aa2802a9dddb60"


@pytest.mark.parametrize("keys", [[KEY], ["retired", KEY], [KEY, "next"]])
def test_any_of_the_signing_keys_will_do(keys: list[str]) -> None:
    adapter.verify(a_webhook(VECTOR, signature=SIGNED), an_account(signing_keys=keys))


@pytest.mark.parametrize(
    ("signature", "body", "words"),
    [
        ("", VECTOR, "x-helpcrunch-signature: missing"),
        (SIGNED[:-1] + "1", VECTOR, "wrong"),
        (SIGNED[:-1], VECTOR, "wrong"),
        (f"sha1={SIGNED}", VECTOR, "wrong"),
        ("signature", VECTOR, "wrong"),
        ("\udcff" * 40, VECTOR, "wrong"),
        (SIGNED, VECTOR + b" ", "wrong"),
        (SIGNED, VECTOR.replace(b"1", b"2"), "wrong"),
    ],
)
def test_another_signature_is_refused(signature: str, body: bytes, words: str) -> None:
    with pytest.raises(Refused) as caught:
        adapter.verify(a_webhook(body, signature=signature), an_account())
    assert caught.value.status == 401
    assert words in caught.value.message


def test_an_account_without_signing_keys_takes_no_webhooks() -> None:
    with pytest.raises(Refused) as caught:
        adapter.verify(a_webhook(), an_account(signing_keys=[]))
    assert caught.value.status == 403
    assert caught.value.message.startswith("accounts.shop.signing_keys: there are none")


@pytest.mark.parametrize(
    ("times", "options", "taken"),
    [
        ({"lastAttemptAt": NOW - 86_400}, {}, True),
        ({"lastAttemptAt": NOW - 86_401}, {}, False),
        ({"lastAttemptAt": str(NOW - 86_401)}, {}, False),
        ({"lastAttemptAt": None, "createdAt": f"{NOW - 90_000}.5"}, {}, False),
        ({"lastAttemptAt": NOW, "createdAt": NOW - 90_000}, {}, True),
        ({"lastAttemptAt": NOW - 601}, {"window": "10 min"}, False),
        ({"lastAttemptAt": 1}, {"window": "0"}, True),
        ({"lastAttemptAt": None, "createdAt": None}, {}, True),
    ],
)
def test_a_late_replay_is_refused(times: dict[str, object], options: dict[str, Any], taken: bool) -> None:
    body = {**ENVELOPE, **times}
    if taken:
        assert parsed(body, **options).key == "e-1"
    else:
        status, message = refused(body, **options)
        assert status == 401
        assert "accounts.shop.window" in message


# What it says.


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "body: not JSON"),
        (b"\xff", "body: not JSON"),
        (b"[]", "body: a JSON object is expected"),
        (b"[" * 100_000, "body: not JSON"),
        (
            b'{"id":"1","event":"chat.new","eventData":' + b"[" * 900 + b"]" * 900 + b"}",
            "body: nested more than 20 deep",
        ),
        ({**ENVELOPE, "id": None}, "id: one line"),
        ({**ENVELOPE, "id": "1\0"}, "id: one line"),
        ({**ENVELOPE, "id": "1" * 201}, "id: one line"),
        ({**ENVELOPE, "event": ["chat.new"]}, "event: one line"),
        ({**ENVELOPE, "eventData": []}, "eventData: an object"),
        ({**ENVELOPE, "eventData": "{"}, "eventData: not JSON"),
        ({**ENVELOPE, "eventData": "7"}, "eventData: a JSON object"),
        ({**ENVELOPE, "eventData": {**DATA, "chat_id": None}}, "eventData.chat_id: the number"),
        ({**ENVELOPE, "eventData": {**DATA, "chat_id": True}}, "eventData.chat_id: the number"),
        ({**ENVELOPE, "eventData": {"id": 123}}, "eventData.chat_id: the number"),
    ],
)
def test_what_is_not_a_webhook_is_refused_by_field(body: object, says: str) -> None:
    status, message = refused(body)
    assert status == 400
    assert message.startswith(says)


@pytest.mark.parametrize(
    ("agent", "broadcast", "sender"),
    [
        ({"id": 17}, None, "agent"),
        ({"id": 4188}, None, "bot"),
        ({"id": "4188"}, None, "bot"),
        ({"id": 17}, "trigger", "bot"),
        (None, None, "agent"),
        ("Olha", None, "agent"),
    ],
)
def test_who_wrote_as_an_agent(agent: object, broadcast: str | None, sender: str) -> None:
    data = {**DATA, "agent": agent, "message": {**DATA["message"], "broadcastType": broadcast}}
    assert parsed({**ENVELOPE, "event": "message.chat.agent", "eventData": data}).sender == sender
    assert parsed({**ENVELOPE, "event": "message.private", "eventData": data}).sender == sender
    assert parsed({**ENVELOPE, "eventData": data}).sender == "contact", "a customer's message is the customer's"


def test_a_repeat_has_the_same_key() -> None:
    again = {**ENVELOPE, "attempts": 4, "lastAttemptAt": NOW + 3600}
    assert parsed(again).key == parsed().key
    assert parsed().repeat_within is None


@pytest.mark.parametrize("created", [9e15, -1, "soon", True, [], "1e400", None])
def test_a_time_that_is_none_is_the_time_of_the_envelope(created: object) -> None:
    data = {**DATA, "message": {"text": "hi", "createdAt": created}}
    assert parsed({**ENVELOPE, "eventData": data, "createdAt": NOW - 5}).at == NOON - timedelta(seconds=5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
NAMES = ("chat_id", "customer", "agent", "message", "status", "rating", "closedBy", "communicatedAgents", "id", "email")
OBJECTS = st.dictionaries(st.sampled_from((*NAMES, "text", "createdAt", "broadcastType", "name", "userId")), JSON)
ENVELOPES = st.fixed_dictionaries(
    {"id": st.just("1") | JSON, "event": st.sampled_from(sorted(MEANINGS)) | JSON},
    optional={
        "eventData": JSON | st.dictionaries(st.sampled_from(NAMES), JSON | OBJECTS) | OBJECTS.map(json.dumps),
        "createdAt": JSON,
        "lastAttemptAt": JSON,
    },
)


@given(st.binary() | ENVELOPES)
def test_anything_becomes_an_event_or_is_refused(body: object) -> None:
    refusal: Refused | None = None
    try:
        (event,) = adapter.parse(a_webhook(body), an_account()).events
    except Refused as caught:
        refusal = caught
    if refusal is not None:
        assert refusal.status in (400, 401)
        assert len(refusal.message) < 400
        return
    assert event.at <= NOON
    assert event.key.isprintable()
    assert event.conversation.isprintable()
    assert event.text is None or event.text
