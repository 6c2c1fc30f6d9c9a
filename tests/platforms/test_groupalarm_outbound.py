"""GroupAlarm: recordings in, calls out; and texts through the real door to a server as strict as GroupAlarm."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapter.protocol import HttpAnswer, HttpCall, Webhook
from bridge.errors import Refused
from bridge.model.delivery import Failed, Outcome, Reply, Sent, Unknown
from bridge.model.event import Address
from bridge.platforms import groupalarm
from bridge.platforms.groupalarm import adapter
from bridge.platforms.groupalarm.account import GroupAlarmAccount
from bridge.platforms.groupalarm.calls import explanation
from tests.fakes.chat_server import Say
from tests.fakes.groupalarm import ORGANIZATION, TOKEN, GroupAlarm, refusal
from tests.platforms.driving import drive
from tests.values import NOON, a_delivery

OUTBOUND = sorted((Path(groupalarm.__file__).parent / "fixtures/outbound").glob("*.json"))


def an_account(**options: Any) -> GroupAlarmAccount:
    token = {} if "personal_access_token" in options else {"api_token": TOKEN}
    return GroupAlarmAccount(**{"name": "duty", "organization": ORGANIZATION, **token, **options})


# The account.


def test_an_account_by_its_defaults() -> None:
    account = an_account()
    assert account.base_url == "https://app.groupalarm.com/api/v1"
    assert account.token() == {"API-TOKEN": TOKEN}
    assert an_account(personal_access_token="me").token() == {"Personal-Access-Token": "me"}
    assert TOKEN not in repr(account)
    assert an_account(base_url="http://127.0.0.1:8080/api/").base_url == "http://127.0.0.1:8080/api"


def test_some_paths_may_be_given() -> None:
    account = an_account(paths={"message": "/v2/rooms/{room}/text", "default_room": "/default/{organization}"})
    assert (account.paths.message, account.paths.room) == ("/v2/rooms/{room}/text", "/chatroom/{room}")
    assert (account.paths.default_room, an_account().paths.default_room) == ("/default/{organization}", None)


@pytest.mark.parametrize(
    ("options", "place", "words"),
    [
        ({"api_token": f"{TOKEN}\nX: 1"}, ("api_token",), "no blanks, line ends"),
        ({"organization": 0}, ("organization",), "greater than or equal to 1"),
        ({"base_url": f"https://{TOKEN}@a.example"}, ("base_url",), "a URL with a user is not a base URL"),
        ({"max_text": 0}, ("max_text",), "greater than or equal to 1"),
        ({"avatar_content_type": "image/png\nx"}, ("avatar_content_type",), "match pattern"),
        ({"paths": {"send": "/x"}}, ("paths", "send"), "not permitted"),
        ({"paths": {"message": "chatroom/{room}"}}, ("paths", "message"), 'for example "/chatroom/{room}"'),
        ({"paths": {"message": "/rooms/message"}}, ("paths", "message"), "write {room} once, and no other"),
        ({"paths": {"message": "/{room}/{room}"}}, ("paths", "message"), "write {room} once, and no other"),
        ({"paths": {"message": "/{organization}/{room}"}}, ("paths", "message"), "write {room} once, and no other"),
        ({"paths": {"message": "/../{room}"}}, ("paths", "message"), "is not a path"),
        ({"paths": {"message": "/{room.__class__}"}}, ("paths", "message"), "is not a path"),
        ({"paths": {"room": "//evil.example/{room}"}}, ("paths", "room"), "is not a path"),
        ({"paths": {"rooms": "/chatrooms/{room}"}}, ("paths", "rooms"), "it has no placeholder"),
        ({"paths": {"rooms": "/chatrooms?a=b"}}, ("paths", "rooms"), 'for example "/chatroom"'),
        ({"paths": {"default_room": "/chatroom/{room}"}}, ("paths", "default_room"), "write {organization} once"),
        ({"personal_access_token": "me", "api_token": TOKEN}, (), "exactly one of api_token and personal_access_token"),
        ({"api_token": None}, (), "exactly one of api_token and personal_access_token"),
    ],
)
def test_an_account_is_refused_by_name(options: dict[str, Any], place: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        an_account(**options)
    (problem,) = caught.value.errors()
    assert problem["loc"] == place
    assert words in problem["msg"]
    assert TOKEN not in str(caught.value)


# Hostile values.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
ROOMS = st.dictionaries(st.sampled_from(["id", "eventID", "name", "assignedUsers", "organizationID"]), JSON)
ERRORS = st.fixed_dictionaries({"message": JSON, "error": JSON})
BODIES = st.binary() | (ROOMS | ERRORS | JSON).map(lambda value: json.dumps(value).encode())
STATUSES = st.sampled_from([200, 201, 302, 400, 401, 404, 429, 500]) | st.integers(0, 999)
ADDRESSES = st.dictionaries(st.sampled_from([*adapter.to_keys, "users"]), JSON | st.integers(1))


@given(ADDRESSES, st.text(st.characters()), STATUSES, BODIES, STATUSES, BODIES)
def test_any_address_and_any_answers_come_to_an_outcome(
    to: dict[str, object], text: str, status: int, body: bytes, then: int, more: bytes
) -> None:
    steps = adapter.send(a_delivery(to=to, reply=Reply(text=text)), an_account(max_text=5))
    answer, outcome = HttpAnswer(status=status, body=body), None
    try:
        call = next(steps)
        for _ in range(len(text) + 1):
            assert isinstance(call, HttpCall)
            assert call.safe is (call.method == "GET")
            call = steps.send(answer)
            answer = HttpAnswer(status=then, body=more)
    except StopIteration as end:
        outcome = end.value
    assert isinstance(outcome, Sent | Failed | Unknown)
    assert isinstance(outcome, Sent) or (outcome.detail.isprintable() and len(outcome.detail) < 500)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ({}, "to: write one of room, event"),
        ({"organization": 17}, "to: write one of room, event"),
        ({"room": 5, "event": 91}, "to: write one of room, event"),
        ({"room": 0}, "to.room: it is a number in GroupAlarm"),
        ({"room": ""}, "to.room: it is a number in GroupAlarm"),
        ({"room": [5]}, "to.room: it is a number in GroupAlarm"),
        ({"room": True}, "to.room: it is a number in GroupAlarm"),
        ({"room": "5/../6"}, "to.room: it is a number in GroupAlarm"),
        ({"room": "٥"}, "to.room: it is a number in GroupAlarm"),
        ({"event": 2**63}, "to.event: it is a number in GroupAlarm"),
        ({"event": 91, "organization": "x"}, "to.organization: it is a number in GroupAlarm"),
        ({"users": 5}, "to.users: it has no use here; write room, event, organization"),
    ],
)
def test_an_address_is_refused_by_name(to: dict[str, object], words: str) -> None:
    with pytest.raises(StopIteration) as end:
        next(adapter.send(a_delivery(to=to), an_account()))
    outcome = end.value.value
    assert isinstance(outcome, Failed)
    assert re.match(re.escape(words), outcome.detail)
    assert outcome.permanent


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"success":false}', None),
        (b'{"message":"unauthorized","error":"unauthorized"}', "unauthorized"),
        (b'{"message":"not found","error":"no such chatroom"}', "not found: no such chatroom"),
        (b'{"error":{"code":7}}', "{'code': 7}"),
    ],
)
def test_the_words_of_an_error(body: bytes, words: str | None) -> None:
    assert explanation(body) == words


# Through the door.


@pytest.fixture
async def fake() -> AsyncIterator[GroupAlarm]:
    async with GroupAlarm(longest=20) as opened:
        opened.add_room(5)
        opened.add_room(6, eventID=91)
        opened.add_room(7, eventID=91, organizationID=18)
        yield opened


async def deliver(fake: GroupAlarm, to: Address, *, patience: float = 20, text: str = "9 €", **options: Any) -> Outcome:
    account = an_account(base_url=fake.url, **options)
    outcome = await drive(adapter.send(a_delivery(to=to, reply=Reply(text=text)), account), patience=patience)
    assert isinstance(outcome, Sent) or TOKEN not in outcome.detail
    return outcome


async def test_a_text_goes_to_the_room_or_to_the_room_of_the_event(fake: GroupAlarm) -> None:
    for to in ({"room": 5}, {"room": " 5 "}, {"event": 91}, {"event": "91", "organization": 18}):
        assert await deliver(fake, to) == Sent()
    assert fake.messages == [(5, "9 €"), (5, "9 €"), (6, "9 €"), (7, "9 €")]
    assert await deliver(fake, {"room": 5}, text="half \ud83d") == Sent()
    assert fake.messages[-1] == (5, "half ?")
    assert fake.refused == []


async def test_a_person_sends_with_another_header() -> None:
    async with GroupAlarm(header="Personal-Access-Token") as fake:
        fake.add_room(5)
        assert await deliver(fake, {"room": 5}, personal_access_token=TOKEN) == Sent()
        refused = await deliver(fake, {"room": 5})
        assert refused == Failed(reason="auth", detail="401: the request was refused: unauthorized", permanent=True)
        assert len(fake.messages) == 1


async def test_a_long_text_is_split_where_the_limit_is_known(fake: GroupAlarm) -> None:
    text = "Tank 2 is empty. Please refill it before the night."
    assert await deliver(fake, {"room": 5}, text=text, max_text=20) == Sent()
    assert [message for _, message in fake.messages] == ["Tank 2 is empty.", "Please refill it", "before the night."]
    whole = await deliver(fake, {"room": 5}, text=text)
    assert isinstance(whole, Failed)
    assert whole.detail == "400: the request was refused: message is too long"


async def test_a_broken_off_text_is_not_simply_said_again(fake: GroupAlarm) -> None:
    fake.answers.extend([None, Say(status=503, body="down")])
    outcome = await deliver(fake, {"room": 5}, text="Tank 2 is empty. Please refill it.", max_text=20)
    assert outcome == Unknown(reason="unavailable", detail="1 of 2 messages were taken, then 503: down")
    assert fake.messages == [(5, "Tank 2 is empty.")]


async def test_nobody_is_written_to_without_a_room(fake: GroupAlarm) -> None:
    for to in ({"room": 99}, {"event": 92}):
        refused = await deliver(fake, to)
        assert refused == Failed(
            reason="not_found", detail="404: the request was refused: no such chatroom", permanent=True
        )
    assert fake.messages == []


async def test_trouble_on_their_side_is_temporary(fake: GroupAlarm) -> None:
    fake.answers.append(Say(status=429, headers={"Retry-After": "7"}, body=refusal("slow down", "rate limit")))
    fake.answers.append(Say(status=500, body=refusal("internal", "database")))
    busy = await deliver(fake, {"event": 91})
    assert busy == Failed(reason="rate_limited", detail="429: slow down: rate limit", retry_after=7.0)
    assert await deliver(fake, {"room": 5}) == Failed(reason="unavailable", detail="500: internal: database")
    assert fake.messages == []


async def test_a_text_without_an_answer_is_unknown_but_a_search_is_repeated(fake: GroupAlarm) -> None:
    fake.answers.append("hang")
    outcome = await deliver(fake, {"room": 5}, patience=1)
    assert isinstance(outcome, Unknown)
    assert outcome.reason == "timeout"
    fake.answers.append("reset")
    outcome = await deliver(fake, {"event": 91})
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("network", False)
    assert fake.messages == [(5, "9 €")]


# Webhooks.


def test_webhooks_are_not_taken() -> None:
    assert adapter.routes == ()
    webhook = Webhook(method="POST", path="/hooks/groupalarm", received_at=NOON)
    for refuse in (adapter.verify, adapter.parse):
        with pytest.raises(Refused, match="only sends") as caught:
            refuse(webhook, an_account())
        assert caught.value.status == 404
