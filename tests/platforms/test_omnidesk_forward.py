"""What a chat server told is passed on to a strict fake of Omnidesk over real HTTP, as it was told."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.adapter.protocol import HttpAnswer, HttpCall, ReadFile, Steps
from bridge.model.delivery import Failed, Outcome, Sent, Unknown
from bridge.model.event import Attachment, Event
from bridge.platforms.omnidesk import adapter
from bridge.platforms.omnidesk.body import read_body
from bridge.platforms.omnidesk.forward import plain_name
from tests.fakes.chat_server import Say
from tests.fakes.omnidesk import KEY, Omnidesk
from tests.platforms.driving import drive
from tests.platforms.omnidesk_calls import (
    FIELDS,
    MESSAGE,
    SERVER,
    SESSION,
    TOKEN,
    a_call,
    a_client,
    a_form,
    a_webhook,
    parse,
)
from tests.values import an_event

FORWARD = adapter.operations["forward"]
MULTIPART, FORM, AS_JSON = "multipart/form-data", "application/x-www-form-urlencoded", "application/json"
PICTURE = b"\x89PNG\r\n--\0\xff"


async def kept(step: ReadFile) -> HttpAnswer:
    return HttpAnswer(status=200, headers={"content-type": "image/png"}, body=PICTURE)


def steps_of(event: Event, url: str, **options: Any) -> Steps:
    """As the line has it done: the arguments come from the event, and are checked as JSON."""
    assert FORWARD.of_event is not None
    arguments = FORWARD.arguments.model_validate_json(json.dumps(FORWARD.of_event(event)))
    return FORWARD.steps(arguments, event.address, a_client(url, **options))


async def forward(event: Event, fake: Omnidesk, *, patience: float = 20, **options: Any) -> Outcome:
    return await drive(steps_of(event, fake.url, **options), patience=patience, read=kept)


def heard(operation: str, **fields: object) -> Event:
    """The event of a chat server's call, its attachment kept as the line keeps it."""
    (event,) = parse(a_call(operation, **fields)).events
    if event.attachment is None:
        return event
    return replace(event, attachment=replace(event.attachment, url="https://bridge.example/attachments/t/f"))


ALL: Mapping[str, object] = {
    "channelID": 8,
    "url": "https://shop.example/pricing?a=b&c=d",
    "messageNumber": 2,
    "additionalData": "cart=3",
    "customerName": "Anne",
    "emailAddress": "anne@shop.example",
    "phoneNumber": "+380441234567",
}


@pytest.mark.parametrize(
    ("takes", "call_format", "as_text"),
    [(MULTIPART, "multipart", True), (FORM, "form", True), (AS_JSON, "json", False)],
)
async def test_a_message_gets_through_in_each_form(takes: str, call_format: str, as_text: bool) -> None:
    text = 'Скільки?\r\n--\n"{{ 7*7 }}" & <b>=%00+\ttab 👋'
    async with Omnidesk(takes=takes) as fake:
        told = await forward(heard(MESSAGE, message=text, **ALL), fake, call_format=call_format)
        sent = {**FIELDS[MESSAGE], **ALL, "message": text}
        expected = {name: str(value) for name, value in sent.items()} if as_text else sent
        assert fake.received == [(MESSAGE, expected)]
        assert told == Sent(found={"message": "Message sent.", "ticketID": 7001})
        assert fake.refused == []


async def test_all_five_get_through_and_a_session_has_one_ticket() -> None:
    async with Omnidesk() as fake:
        events = [heard(MESSAGE), heard(MESSAGE, message="yes")]
        told = [await forward(event, fake) for event in events]
        assert [one.found for one in told if isinstance(one, Sent)] == [
            {"message": "Message sent.", "ticketID": 7001}
        ] * 2
        others = ["notifyUserNewChatEvent", "notifyUserVisited", "notifyUserEndChat", "addAttachment"]
        for name in others:
            assert await forward(heard(name), fake) == Sent(found={"message": "Done."})
        assert fake.received[2:] == [(name, FIELDS[name]) for name in others]
        assert fake.refused == []


@pytest.mark.parametrize("state", ["startedtyping", "stoppedtyping", "expandedchat", "minimizedchat"])
async def test_typing_and_the_widget_keep_their_word(state: str) -> None:
    async with Omnidesk() as fake:
        await forward(heard("notifyUserNewChatEvent", event=state), fake)
        assert fake.received[0][1]["event"] == state


@pytest.mark.parametrize("name", ["photo.png", "\u00e9; \u0457=.png", 'a"b.png'])
async def test_a_file_goes_on_with_its_name(name: str) -> None:
    event = heard("addAttachment", messageNumber=3, phoneNumber="380441234567")
    named = replace(event, attachment=Attachment(name=name, url="https://bridge.example/attachments/t/f"))
    async with Omnidesk() as fake:
        await forward(named, fake)
        # As browsers write it; what reads it may leave it so.
        assert fake.files == [(name.replace('"', "%22"), PICTURE)]
        assert fake.received == [("addAttachment", event.raw)]


async def test_a_file_that_came_as_base64_goes_on_as_base64() -> None:
    async with Omnidesk() as fake:
        await forward(heard("addAttachment"), fake)
        assert fake.files == [(None, PICTURE)]
    for takes, call_format in ((AS_JSON, "json"), (FORM, "form")):
        async with Omnidesk(takes=takes) as fake:
            await forward(heard("addAttachment"), fake, call_format=call_format)
            assert fake.files == [(None, PICTURE)]


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (404, "not_found", "404: the attachment is not kept any more"),
        (413, "invalid", "413: the attachment cannot be read, or is too large to be passed on"),
    ],
)
def test_a_file_that_is_gone_is_not_sent(status: int, reason: str, words: str) -> None:
    steps = steps_of(heard("addAttachment"), "https://company.omnidesk.com")
    assert isinstance(next(steps), ReadFile)
    with pytest.raises(StopIteration) as end:
        steps.send(HttpAnswer(status=status))
    assert end.value.value == Failed(reason=reason, detail=words, permanent=True)  # type: ignore[arg-type] # a word of the list


async def test_what_omnidesk_would_refuse_is_put_right_or_left_out() -> None:
    said = {"customerName": "José-María O’Brien", "messageNumber": 51, "additionalData": "", "channelID": "8"}
    async with Omnidesk() as fake:
        assert isinstance(await forward(heard(MESSAGE, **said), fake), Sent)
        assert isinstance(await forward(heard(MESSAGE, customerName="Олена"), fake), Sent)
        expected = {**FIELDS[MESSAGE], "customerName": "Jose Maria OBrien", "channelID": "8"}
        assert fake.received == [(MESSAGE, expected), (MESSAGE, dict(FIELDS[MESSAGE]))]
        refused = await forward(heard(MESSAGE, customerName="José"), fake, plain_names=False)
        assert refused == Failed(reason="invalid", detail="400: customerName: wrong form", permanent=True)


async def test_the_chat_server_and_the_token_may_be_others() -> None:
    public, other = "https://chat.shop.example", "othertoken123"
    async with Omnidesk() as fake:
        options: dict[str, Any] = {"forward_chat_server": public, "chat_account_tokens": [other, "third12345"]}
        await forward(heard(MESSAGE), fake, **options)
        await forward(heard(MESSAGE, chatAccountToken="third12345"), fake, **options)
        await forward(heard("notifyUserEndChat"), fake, **options)
        await forward(heard(MESSAGE), fake, chat_account_tokens=[])
        where = [(fields["chatServer"], fields.get("chatAccountToken")) for _, fields in fake.received]
        assert where == [(public, other), (public, "third12345"), (public, None), (SERVER, TOKEN)]


async def test_fields_that_are_not_described_go_on_too() -> None:
    async with Omnidesk() as fake:
        told = await forward(heard(MESSAGE, plan="gold"), fake)
        assert told == Failed(reason="invalid", detail="400: plan: unknown field", permanent=True)
    steps = steps_of(heard(MESSAGE, cart={"items": [3, None]}, vip=True, none=None), "https://company.omnidesk.com")
    call = next(steps)
    assert isinstance(call, HttpCall)
    fields = read_body(call.headers["content-type"], call.body or b"").fields
    assert fields == {**FIELDS[MESSAGE], "cart": '{"items":[3,null]}', "vip": "true"}


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (an_event(platform="helpcrunch", raw={"chatSessionID": SESSION}), "this is a message event of helpcrunch"),
        (an_event(raw={}), "this is a message event of omnidesk"),
        (an_event(kind="timer", raw={"chatSessionID": SESSION}), "this is a timer event of omnidesk"),
        (an_event(kind="other", raw={"type": "ticket.updated"}), "this is a other event of omnidesk"),
        (an_event(raw={"chatSessionID": SESSION}, messages=("a", "b")), "leave `burst` out of the rule"),
        (an_event(kind="attachment", raw={"chatSessionID": SESSION}), "the event has no file"),
    ],
)
def test_what_no_chat_server_told_is_not_passed_on(event: Event, why: str) -> None:
    assert FORWARD.of_event is not None
    with pytest.raises(ValueError, match=why):
        FORWARD.of_event(event)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "call: missing"),
        ({"call": "notifyUserEndChat"}, "chatServer: missing"),
        ({"call": "addAttachment", "fields": FIELDS["addAttachment"]}, "file: missing"),
        ({"call": MESSAGE, "fields": {**FIELDS[MESSAGE], "message": 5}}, "message: a number is given where a text"),
        ({"call": MESSAGE, "fields": {**FIELDS[MESSAGE], "a\0b": "x"}}, "a field's name: the control character U+0000"),
        ({"call": MESSAGE, "fields": {**FIELDS[MESSAGE], "more": 10**30}}, "fields: cannot be written as JSON"),
    ],
)
def test_arguments_that_make_no_call_are_refused(arguments: dict[str, object], why: str) -> None:
    steps = FORWARD.steps(FORWARD.arguments.model_validate(arguments), {}, a_client())
    with pytest.raises(StopIteration) as end:
        next(steps)
    outcome = end.value.value
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("invalid", True)
    assert outcome.detail.startswith(why)


async def test_what_came_of_it() -> None:
    async with Omnidesk() as fake:
        event = heard(MESSAGE)
        fake.answers.extend(
            [
                Say(status=429, headers={"Retry-After": "3"}, body=""),
                Say(status=503, body="down"),
                Say(body='{"status":"error","message":"no such chat"}'),
                Say(body="ok"),
                Say(body='{"type":"result","ticketID":' + "[" * 50 + "]" * 50 + "}"),
                "reset",
                "hang",
            ]
        )
        told = [await forward(event, fake) for _ in range(6)]
        told.append(await forward(event, fake, patience=1))
        assert told[:5] == [
            Failed(reason="rate_limited", detail="429: no explanation", retry_after=3.0),
            Failed(reason="unavailable", detail="503: down"),
            Failed(reason="invalid", detail="200: no such chat", permanent=True),
            Sent(),
            Sent(),
        ]
        assert [(type(one), one.reason) for one in told[5:] if isinstance(one, Unknown)] == [
            (Unknown, "network"),
            (Unknown, "timeout"),
        ]
        assert fake.names() == [MESSAGE] * 7


async def test_what_may_be_done_twice_is_never_in_doubt() -> None:
    async with Omnidesk() as fake:
        for name, doubtful in {
            "notifyUserNewChatEvent": False,
            "notifyUserEndChat": False,
            "notifyUserVisited": True,
            "addAttachment": True,
        }.items():
            fake.answers.append("reset")
            assert isinstance(await forward(heard(name), fake), Unknown if doubtful else Failed)


async def test_a_wrong_key_is_a_failure_that_does_not_tell_it() -> None:
    async with Omnidesk() as fake:
        told = await forward(heard(MESSAGE), fake, api_key="wrong-key")
        assert told == Failed(reason="auth", detail="401: apiKey: missing or wrong", permanent=True)
        assert "wrong-key" not in repr(told)
        assert KEY not in repr(told)


VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
# Forms have no way to say a %22 in a name: by their standard it is a quotation mark.
NAMES = VALUES.filter(lambda name: "%" not in name)


@given(st.dictionaries(NAMES, VALUES, max_size=6), VALUES)
def test_any_field_arrives_as_it_was_sent(others: dict[str, str], text: str) -> None:
    names = {"apiKey", "file", *FIELDS[MESSAGE], *ALL, "usedPredefinedUserInput", "externalAddressOverwrite"}
    sent = {**{name: value for name, value in others.items() if name not in names}, **FIELDS[MESSAGE], "message": text}
    event = parse(a_webhook(MESSAGE, json.dumps(sent).encode())).events[0]
    for form in ("multipart", "form", "json"):
        call = next(steps_of(event, "https://company.omnidesk.com", call_format=form))
        assert isinstance(call, HttpCall)
        arrived = read_body(call.headers["content-type"], call.body or b"").fields
        assert arrived == sent


@given(st.text(max_size=60))
def test_a_plain_name_is_one_that_the_description_takes(name: str) -> None:
    plain = plain_name(name)
    assert not plain or (plain.isascii() and plain.replace(" ", "").isalnum() and plain == plain.strip())
    if name.isascii() and name.replace(" ", "").isalnum():
        assert plain == " ".join(name.split())


def test_the_same_event_makes_the_same_bytes() -> None:
    content_type, body = a_form({"file": base64.b64encode(PICTURE).decode()})
    query = {name: str(value) for name, value in FIELDS["addAttachment"].items()}
    (event,) = parse(a_webhook("addAttachment", body, content_type, query=query)).events
    event = replace(event, attachment=Attachment(name="a.png", url="https://bridge.example/attachments/t/f"))
    made = []
    for _ in range(2):
        steps = steps_of(event, "https://company.omnidesk.com")
        next(steps)
        call = steps.send(HttpAnswer(status=200, body=PICTURE))
        assert isinstance(call, HttpCall)
        made.append((call.url, call.headers, call.body))
    assert made[0] == made[1]
