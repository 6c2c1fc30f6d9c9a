"""Omnidesk's own webhooks: who is believed, and what becomes of bodies whose fields nobody has published."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.protocol import Answer, Webhook
from bridge.adapter.secret import Secret
from bridge.adapter.signatures import sign_standard
from bridge.errors import Refused
from bridge.model.event import Attachment, Contact, Event
from bridge.platforms.omnidesk import adapter
from tests.platforms.omnidesk_calls import KEY, NOON, a_client, a_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY: Mapping[str, Any] = {"type": "ticket.created", "timestamp": "2026-03-27T11:59:00Z", "data": {"ticketID": 7001}}


def a_hook(
    body: object = BODY,
    secret: str = SECRET,
    age: timedelta = timedelta(0),
    headers: Mapping[str, str] | None = None,
) -> Webhook:
    said = body if isinstance(body, bytes) else orjson.dumps(body)
    signed = sign_standard([Secret(secret)], "msg_1", NOON - age, said)
    return a_webhook("", said, path="/hooks/desk", account="desk", headers={**signed, **(headers or {})})


def take(webhook: Webhook, **options: Any) -> Event:
    account = a_client(**{"webhook_secrets": [SECRET], **options})
    adapter.verify(webhook, account)
    notice = adapter.parse(webhook, account)
    assert isinstance(notice.answer, Answer)
    assert (notice.answer.status, orjson.loads(notice.answer.body)["type"]) == (202, "result")
    (event,) = notice.events
    return event


def refused(webhook: Webhook, **options: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        take(webhook, **options)
    assert "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" not in caught.value.message
    return caught.value.status, caught.value.message


def test_what_is_not_known_is_another_event_with_everything_in_it() -> None:
    event = take(a_hook())
    assert event == Event(
        account="desk",
        platform="omnidesk",
        kind="other",
        sender="system",
        conversation="none",
        key="msg_1",
        at=NOON - timedelta(minutes=1),
        raw=BODY,
    )


def test_the_settings_say_where_things_are() -> None:
    data = {"chat": {"id": 17}, "by": "Agent", "says": "10 €", "who": [{"mail": "a@b.example", "name": "Anne"}]}
    file = {"link": "https://company.omnidesk.com/f/1", "page": "https://shop.example/", "state": "open"}
    event = take(
        a_hook({"event": "chat_message", "data": {**data, **file}, "when": 1774612740}),
        webhook_fields={
            "kind": "event",
            "at": "when",
            "sender": "data.by",
            "conversation": "data.chat.id",
            "text": "data.says",
            "url": "data.page",
            "state": "data.state",
            "channel": "data.channel",
            "contact.email": "data.who.0.mail",
            "contact.name": "data.who.0.name",
            "attachment.url": "data.link",
        },
        webhook_kinds={"chat_message": "message"},
        webhook_senders={"Agent": "agent"},
    )
    assert (event.kind, event.sender, event.conversation, event.text) == ("message", "agent", "17", "10 €")
    assert event.contact == Contact(name="Anne", email="a@b.example")
    assert (event.url, event.state, event.channel) == ("https://shop.example/", "open", None)
    assert event.attachment == Attachment(name="file", url="https://company.omnidesk.com/f/1")
    assert event.at == NOON - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("body", "kind", "sender"),
    [
        ({"type": "message", "by": "contact"}, "other", "contact"),
        ({"type": {"name": "message"}, "by": "nobody"}, "other", "system"),
        ({"type": 5, "by": ["agent"]}, "other", "system"),
        ({"by": "agent", "timestamp": {}}, "other", "agent"),
        ({}, "other", "system"),
    ],
)
def test_words_that_nobody_has_explained_are_no_error(body: object, kind: str, sender: str) -> None:
    event = take(a_hook(body), webhook_fields={"sender": "by"}, webhook_kinds={"ticket.message": "message"})
    assert (event.kind, event.sender) == (kind, sender)


def test_a_path_that_leads_to_something_else_is_named() -> None:
    fields = {"conversation": "data"}
    assert refused(a_hook(), webhook_fields=fields) == (400, "data: a text is expected")
    long = {"conversation": "type"}
    words = "type: one line of at most 200 characters is expected"
    assert refused(a_hook({"type": "x" * 201}), webhook_fields=long) == (400, words)


@pytest.mark.parametrize("secret", [SECRET, "the-older-secret"])
def test_any_of_the_secrets_is_believed(secret: str) -> None:
    assert take(a_hook(secret=secret), webhook_secrets=[SECRET, "the-older-secret"]).key == "msg_1"


@pytest.mark.parametrize("age", [timedelta(minutes=4, seconds=59), timedelta(minutes=-4, seconds=-59)])
def test_five_minutes_are_taken(age: timedelta) -> None:
    assert take(a_hook(age=age)).key == "msg_1"


@pytest.mark.parametrize(
    ("webhook", "words"),
    [
        (a_hook(age=timedelta(minutes=5, seconds=1)), "webhook-timestamp: more than 5 minutes from our clock"),
        (a_hook(age=timedelta(minutes=-5, seconds=-1)), "webhook-timestamp: more than 5 minutes from our clock"),
        (a_hook(secret="another-secret"), "webhook-signature: missing, or not made with"),
        (a_hook(headers={"webhook-id": "msg_2"}), "webhook-signature: missing, or not made with"),
        (a_hook(headers={"webhook-id": ""}), "webhook-id: missing"),
        (a_hook(headers={"webhook-timestamp": "now"}), "webhook-timestamp: missing"),
        (a_hook(headers={"webhook-signature": ""}), "webhook-signature: missing"),
        (a_webhook("", b"{}", headers={"apikey": KEY}), "webhook-id: missing"),
    ],
)
def test_nobody_else_is_believed(webhook: Webhook, words: str) -> None:
    status, message = refused(webhook)
    assert status == 401
    assert message.startswith(words)


def test_without_secrets_no_webhook_is_taken() -> None:
    words = "this account takes no webhooks: its webhook_secrets are not set"
    assert refused(a_hook(), webhook_secrets=[]) == (401, words)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b'{"a":' * 30 + b"1" + b"}" * 30])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    status, message = refused(a_hook(body))
    assert status == 400
    assert message.startswith("body: ")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abt"), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["type", "timestamp", "a", "b"]), JSON_VALUES, max_size=4))
def test_unmapped_bodies_are_always_taken(body: dict[str, object]) -> None:
    event = take(a_hook(body))
    assert (event.kind, event.raw) == ("other", body)
    assert event.at <= NOON
