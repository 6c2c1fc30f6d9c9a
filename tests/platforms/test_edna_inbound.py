"""Who may call, what a webhook becomes, when it is a repeat, and what is refused."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.protocol import Answer, Carried
from bridge.errors import Refused
from bridge.model.delivery import Reply
from bridge.model.event import Attachment, Event
from bridge.platforms.edna import adapter
from tests.platforms.edna_calls import MESSAGE, SECRET, a_webhook, an_account, parse
from tests.values import NOON, a_delivery

TEN_SECONDS = timedelta(seconds=10)
ACTIONS = ("MESSAGE", "INIT_CHAT", "TRAINING", "WEBVIEW_CLOSED", "SOMETHING_NEW")
TRAINING = {"field": "author.type", "agent": ["AGENT", "BOT"], "contact": ["CLIENT"]}


def refusal(body: object, **options: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        parse(body, **options)
    return caught.value.status, caught.value.message


# Who may call.

GUARDS: Mapping[str, Mapping[str, Any]] = {
    "secret": {},
    "addresses": {"hook_secret": None, "allowed_ips": ["203.0.113.0/24"]},
    "both": {"allowed_ips": ["203.0.113.0/24"]},
}


@pytest.mark.parametrize(
    ("guard", "secret", "remote", "opens"),
    [
        ("secret", SECRET, "198.51.100.1", True),
        ("secret", SECRET + "0", "203.0.113.7", False),
        ("secret", "", "203.0.113.7", False),
        ("secret", "\udcff", "203.0.113.7", False),
        ("addresses", "", "203.0.113.7", True),
        ("addresses", "", "198.51.100.1", False),
        ("addresses", SECRET, "203.0.113.7", False),
        ("both", SECRET, "203.0.113.7", True),
        ("both", SECRET, "198.51.100.1", False),
        ("both", "", "203.0.113.7", False),
    ],
)
def test_the_secret_and_the_address_must_be_right(guard: str, secret: str, remote: str, opens: bool) -> None:
    webhook, account = a_webhook(secret=secret, remote=remote), an_account(**GUARDS[guard])
    if opens:
        adapter.verify(webhook, account)
        return
    with pytest.raises(Refused) as caught:
        adapter.verify(webhook, account)
    assert caught.value.status == 401
    assert SECRET not in caught.value.message


# What it becomes.


def test_a_message_is_acknowledged_at_once() -> None:
    notice = parse(MESSAGE)
    assert notice.answer == Answer(status=202)
    assert [(event.kind, event.text, event.conversation) for event in notice.events] == [("message", "hi", "17")]


SYNC = {"answer": "sync"}


@pytest.mark.parametrize("action", ACTIONS)
def test_what_edna_waits_for_may_be_answered_in_the_answer(action: str) -> None:
    answer = parse({**MESSAGE, "action": action}, **SYNC, answer_within=timedelta(seconds=2)).answer
    if action not in ("MESSAGE", "INIT_CHAT"):
        assert answer == Answer(status=202)
        return
    assert isinstance(answer, Carried)
    assert (answer.within, answer.otherwise) == (2, Answer(status=202))


def carried(**changes: Any) -> Answer | None:
    """What a reply to MESSAGE is worded as."""
    notice = parse(MESSAGE, **SYNC, **changes.pop("options", {}))
    assert isinstance(notice.answer, Carried)
    return notice.answer.answer(a_delivery(**{"to": notice.events[0].address, "account": "support", **changes}))


def test_the_answer_has_the_form_of_the_bots_own() -> None:
    answer = carried(reply=Reply(text="*9 €*", format="markdown"))
    assert answer is not None
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert json.loads(answer.body) == {
        "text": "9 €",
        "formattedText": "*9 €*",
        "answerId": "support-1-1774612800000-1",
        "threadsClientId": 17,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"reply": Reply(text="x" * 2001)},
        {"reply": Reply(text=" ")},
        {"reply": Reply(text="for agents only", private=True)},
        {"to": {"threads_client_id": 17}},
        {"to": {"threads_client_id": "?", "bot": True}},
    ],
)
def test_what_is_no_single_answer_of_the_bots_is_not_carried(changes: dict[str, Any]) -> None:
    assert carried(**changes) is None


def test_numbers_may_be_texts_and_texts_numbers() -> None:
    (usual,) = parse(MESSAGE).events
    (other,) = parse({**MESSAGE, "threadsClientId": "17", "sessionId": 902, "questionId": "5501"}).events
    assert (other.conversation, other.key, other.address) == (usual.conversation, usual.key, usual.address)


@pytest.mark.parametrize(
    ("ids", "conversation", "contact"),
    [
        ({"threadsClientId": 17, "clientId": "c"}, "17", "17"),
        ({"clientId": "17", "sessionId": "902"}, "client:17", "17"),
        ({"sessionId": "17"}, "thread:17", None),
        ({"threadsClientId": None, "clientId": "", "sessionId": 17}, "thread:17", None),
    ],
)
def test_the_conversation_is_the_client(ids: dict[str, Any], conversation: str, contact: str | None) -> None:
    (event,) = parse({"action": "MESSAGE", "text": "hi", **ids}).events
    assert (event.conversation, event.contact.id) == (conversation, contact)


@pytest.mark.parametrize(
    ("text", "files", "kinds"),
    [
        ("hi", 0, ["message"]),
        ("hi", 2, ["message", "attachment", "attachment"]),
        ("", 1, ["attachment"]),
        (None, 1, ["attachment"]),
        ("", 0, ["message"]),
    ],
)
def test_a_text_is_a_message_and_each_file_an_attachment(text: str | None, files: int, kinds: list[str]) -> None:
    events = parse({**MESSAGE, "text": text, "attachments": [{"url": f"/{n}"} for n in range(files)]}).events
    assert [event.kind for event in events] == kinds
    assert len({event.key for event in events}) == len(events)
    assert {event.text for event in events if event.kind == "message"} <= {text}


def test_a_file_with_odd_details_is_there_all_the_same() -> None:
    odd = {"url": "https://files.example/a", "name": "a\nb", "type": 7.5, "size": -1, "preview": None}
    (_, event) = parse({**MESSAGE, "attachments": [odd]}).events
    assert event.attachment == Attachment(name="attachment", url="https://files.example/a")


def test_the_contact_is_read_from_client_data() -> None:
    data = {"fio": "Anna", "mail": "a@shop.example", "phone": 380441234567, "lang": "uk", "vip": True, "x": "y" * 2000}
    fields = {"name": "fio", "email": "mail", "phone": "phone", "language": "lang"}
    (event,) = parse({**MESSAGE, "clientData": data}, client_fields=fields).events
    contact = event.contact
    assert (contact.name, contact.email, contact.phone) == ("Anna", "a@shop.example", "380441234567")
    assert contact.language == "uk"
    assert contact.extra == {"vip": True, "authorized": False}
    many = {f"k{number}": number for number in range(100)} | {"authorized": "forged"}
    (event,) = parse({**MESSAGE, "clientData": many}).events
    assert len(event.contact.extra) == 33
    assert event.contact.extra["authorized"] is False


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ("2024-05-01T10:00:00.250Z", datetime(2024, 5, 1, 10, 0, 0, 250_000, UTC)),
        ("2024-05-01T12:00:00+02:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01T10:00:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2096-05-01T10:00:00.000Z", NOON),
        ("0001-01-01T00:00:00+23:59", NOON),
        ("yesterday", NOON),
        (1714557600000, NOON),
        (None, NOON),
    ],
)
def test_the_time_it_was_received_at(given: object, at: datetime) -> None:
    assert parse({**MESSAGE, "receivedAt": given}).events[0].at == at


@pytest.mark.parametrize(
    ("author", "kind", "sender"),
    [
        ({"type": "AGENT"}, "message", "agent"),
        ({"type": "CLIENT"}, "message", "contact"),
        ({"type": "SUPERVISOR"}, "other", "system"),
        ({"type": ["AGENT"]}, "other", "system"),
        ("AGENT", "other", "system"),
        (None, "other", "system"),
    ],
)
def test_a_training_copy_says_who_wrote_it_or_is_only_noted(author: object, kind: str, sender: str) -> None:
    copy = {**MESSAGE, "action": "TRAINING", "author": author}
    (event,) = parse(copy, training=TRAINING).events
    assert (event.kind, event.sender) == (kind, sender)
    assert "bot" not in event.address
    assert parse(copy).events[0].kind == "other"


def test_a_training_copy_without_words_is_only_noted() -> None:
    (event,) = parse({"action": "TRAINING", "sessionId": "1", "author": {"type": "AGENT"}}, training=TRAINING).events
    assert (event.kind, event.sender) == ("other", "system")


def test_a_copy_never_hides_the_message_itself() -> None:
    keys = {parse({**MESSAGE, "action": action}).events[0].key for action in ACTIONS}
    assert len(keys) == len(ACTIONS)


@pytest.mark.parametrize("action", ["NEW", "WEBVIEW_CLOSED"])
def test_an_event_about_nobody_has_no_address(action: str) -> None:
    (event,) = parse({"action": action}).events
    assert (event.kind, event.conversation, event.address) == ("other", "nobody", {})


# Repeats.


def test_a_question_is_the_same_for_ever() -> None:
    (first,) = parse(MESSAGE).events
    (again,) = parse({**MESSAGE, "text": "hi again"}).events
    assert (first.key, first.repeat_within) == (again.key, None)
    others: list[dict[str, object]] = [
        {"sessionId": "903"},
        {"questionId": 5502},
        {"sessionId": "902:5501", "questionId": 1},
    ]
    assert len({parse({**MESSAGE, **other}).events[0].key for other in others} | {first.key}) == 4


@pytest.mark.parametrize("action", ACTIONS)
def test_without_a_question_the_whole_body_counts_for_ten_seconds(action: str) -> None:
    body = {"action": action, "text": "yes", "threadsClientId": 17}
    first, again = parse(body).events[0], parse(body).events[0]
    assert (first.key, first.repeat_within) == (again.key, TEN_SECONDS)
    assert parse({**body, "text": "no"}).events[0].key != first.key


# What is refused.


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "body: not JSON"),
        (b"\xff", "body: not JSON"),
        (b"[" * 100_000, "body: not JSON"),
        (b"[]", "body: a JSON object is expected"),
        ({}, "action: Field required"),
        ({"action": ""}, "action: String should have at least 1 character"),
        ({"action": ["MESSAGE"]}, "action: Input should be a valid string"),
        ({"action": "NEW\n"}, "action: String should match pattern"),
        ({"action": "MESSAGE", "text": "hi"}, "threadsClientId: missing, and so are clientId and sessionId"),
        ({"action": "INIT_CHAT"}, "threadsClientId: missing, and so are clientId and sessionId"),
        ({"action": "MESSAGE", "threadsClientId": 17}, "text: missing, and there are no attachments"),
        ({**MESSAGE, "text": 5}, "text: Input should be a valid string"),
        ({**MESSAGE, "threadsClientId": -1}, "threadsClientId: must be a whole number, 0 or above"),
        ({**MESSAGE, "threadsClientId": True}, "threadsClientId: must be a whole number, 0 or above"),
        ({**MESSAGE, "threadsClientId": 2**63}, "threadsClientId: must be a whole number, 0 or above"),
        ({**MESSAGE, "sessionId": "a" * 256}, "sessionId: must be one line of at most 255 characters"),
        ({**MESSAGE, "sessionId": "a\nb"}, "sessionId: must be one line"),
        ({**MESSAGE, "channelInfo": "WEB"}, "channelInfo: Input should be"),
        ({**MESSAGE, "channelInfo": {"channelType": {}}}, "channelInfo.channelType: must be one line"),
        ({**MESSAGE, "clientData": []}, "clientData: Input should be a valid dictionary"),
        ({**MESSAGE, "attachments": [{"name": "a.jpg"}]}, "attachments.0.url: Field required"),
        ({**MESSAGE, "attachments": [{"url": "x" * 4001}]}, "attachments.0.url: String should have at most 4000"),
        ({**MESSAGE, "attachments": [{"url": "x"}] * 21}, "attachments: List should have at most 20 items"),
        (b'{"action":"NEW","a":' + b"[" * 500 + b"]" * 500 + b"}", "body: nested more than 20 deep"),
    ],
)
def test_a_wrong_field_is_named(body: object, words: str) -> None:
    status, message = refusal(body)
    assert status == 400
    assert message.startswith(words)


def test_a_message_with_u0000_is_not_lost() -> None:
    (event,) = parse({**MESSAGE, "text": "a\0b", "clientData": {"a\0": 1, "phone": "+1\0"}}).events
    assert (event.text, event.contact.phone, event.contact.extra.keys()) == ("a\0b", None, {"authorized": 0}.keys())


FIELDS = ("text", "threadsClientId", "clientId", "sessionId", "questionId", "channelInfo", "clientData", "attachments")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["url", "name", "size", "phone", "channelType", "authorized"]), inner, max_size=3
        )
    ),
)
BODIES = st.fixed_dictionaries({"action": st.sampled_from(ACTIONS)}, optional=dict.fromkeys(FIELDS, JSON))


@given(st.binary() | (JSON | BODIES).map(lambda value: json.dumps(value).encode()))
def test_any_body_gives_events_that_can_be_stored_or_is_refused_by_name(body: bytes) -> None:
    refused: Refused | None = None
    events: tuple[Event, ...] = ()
    try:
        events = parse(body, training=TRAINING).events
    except Refused as refusal:
        refused = refusal
    if refused is not None:
        assert refused.status == 400
        assert ":" in refused.message
        return
    assert 1 <= len(events) <= 21
    assert len({event.key for event in events}) == len(events)
    for event in events:
        assert event.conversation
        assert event.raw == json.loads(body)
        assert set(event.address) <= set(adapter.to_keys)
        assert all(isinstance(value, str | int) for value in event.address.values())


@given(BODIES.map(lambda body: {**body, "action": "SOMETHING_NEW"}))
def test_an_unknown_action_is_never_refused(body: dict[str, Any]) -> None:
    (event,) = parse(body).events
    assert (event.kind, event.sender) == ("other", "system")
