"""chayns: recordings in, calls out; and messages through the real door to a server as strict as chayns."""

import json
import re
from base64 import b64decode
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
from bridge.platforms import chayns
from bridge.platforms.chayns import adapter
from bridge.platforms.chayns.account import ChaynsAccount
from bridge.platforms.chayns.calls import explanation
from bridge.platforms.chayns.receivers import MOST, intercom
from tests.fakes.chat_server import Say
from tests.fakes.chayns import LOCATION, SECRET, TAPP, Chayns, error
from tests.platforms.driving import drive
from tests.values import NOON, a_delivery

OUTBOUND = sorted((Path(chayns.__file__).parent / "fixtures/outbound").glob("*.json"))
TOKEN = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"


def an_account(**options: Any) -> ChaynsAccount:
    return ChaynsAccount(**{"name": "club", "location_id": LOCATION, "tapp_id": TAPP, "secret": SECRET, **options})


# The account.


def test_an_account_says_who_it_is() -> None:
    account = an_account()
    assert account.base_url == "https://api.chayns.net/v2.0"
    scheme, _, value = account.authorization().partition(" ")
    assert (scheme, b64decode(value)) == ("Basic", f"{TAPP}:{SECRET}".encode())
    assert SECRET not in repr(account)
    assert an_account(base_url="http://127.0.0.1:8080/v2.0/").base_url == "http://127.0.0.1:8080/v2.0"


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"location_id": 0}, "location_id", "greater than or equal to 1"),
        ({"location_id": "378"}, "location_id", "valid integer"),
        ({"tapp_id": True}, "tapp_id", "valid integer"),
        ({"secret": f"{SECRET}\nX-Admin: 1"}, "secret", "no blanks, line ends"),
        ({"base_url": "ftp://api.chayns.net"}, "base_url", '"ftp://api.chayns.net" is not a base URL'),
        ({"base_url": f"https://me:{SECRET}@api.chayns.net"}, "base_url", "a URL with a user is not a base URL"),
        ({"members_query": "?fields=userId"}, "members_query", "without a question mark"),
        ({"members_query": "a=b#c"}, "members_query", "not a query"),
        ({"member_field": ""}, "member_field", "at least 1 character"),
        ({"permissions": []}, "permissions", "not permitted"),
    ],
)
def test_an_account_is_refused_by_name(options: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        an_account(**options)
    (problem,) = caught.value.errors()
    assert problem["loc"] == (field,)
    assert words in problem["msg"]
    assert SECRET not in str(caught.value)


# Receivers.


@pytest.mark.parametrize(
    ("to", "fields"),
    [
        ({"users": 5}, {"UserIds": [5]}),
        ({"users": " 5 "}, {"UserIds": [5]}),
        ({"users": "5, 6,5"}, {"UserIds": [5, 6]}),
        ({"uac_groups": [3, "4"], "sites": None}, {"UacIds": [3, 4]}),
        ({"sites": [379], "users": []}, {"ReceiverLocationIds": [379]}),
        ({"user_access_token": TOKEN}, {"UserAccessToken": TOKEN}),
        ({"users": 5, "group_chat": "True"}, {"UserIds": [5], "UseGroupChat": True}),
        ({"users": 5, "thread_name": " Training "}, {"UserIds": [5], "ThreadName": "Training"}),
        ({"users": 5, "images": "https://a.example/b"}, {"UserIds": [5], "Images": [{"url": "https://a.example/b"}]}),
    ],
)
def test_receivers_in_the_words_of_chayns(to: dict[str, object], fields: dict[str, object]) -> None:
    assert intercom(to) == fields


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ({}, "to: nobody is named"),
        ({"thread_name": "Training"}, "to: nobody is named"),
        ({"users": 0}, "to.users: it is a list of numbers"),
        ({"users": ""}, "to.users: it is a list of numbers"),
        ({"users": True}, "to.users: it is a list of numbers"),
        ({"users": [5, 2**63]}, "to.users: it is a list of numbers"),
        ({"users": [5, [6]]}, "to.users: it is a list of numbers"),
        ({"users": "٥"}, "to.users: it is a list of numbers"),
        ({"users": "9" * 5000}, "to.users: it is a list of numbers"),
        ({"uac_groups": list(range(1, MOST + 2))}, f"to.uac_groups: at most {MOST} numbers"),
        ({"uac_groups": "1," * MOST + "1"}, f"to.uac_groups: at most {MOST} numbers"),
        ({"user_access_token": "a b"}, "to.user_access_token: it is the user's"),
        ({"user_access_token": ""}, "to.user_access_token: it is the user's"),
        ({"users": 5, "thread_name": "a\nb"}, "to.thread_name: it is one line"),
        ({"users": 5, "group_chat": "yes"}, "to.group_chat: it is true or false"),
        ({"users": 5, "group_chat": 1}, "to.group_chat: it is true or false"),
        ({"users": 5, "images": ["javascript:alert(1)"]}, "to.images: it is a list"),
        ({"users": 5, "images": ["https://[", 7]}, "to.images: it is a list"),
        ({"users": 5, "images": ["https://a.example"] * 11}, "to.images: it is a list of at most 10"),
        ({"room": 5}, "to.room: an Intercom message has no such receiver; write users, uac_groups"),
    ],
)
def test_a_receiver_is_refused_by_name(to: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(words)):
        intercom(to)


# Hostile values.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
ADDRESSES = st.dictionaries(st.sampled_from([*adapter.to_keys, "room"]), JSON | st.integers(1) | st.just(TOKEN))
ANSWERS = (
    st.fixed_dictionaries({"data": st.lists(JSON | st.fixed_dictionaries({"success": JSON}))})
    | st.fixed_dictionaries({"Message": JSON, "ErrorGuid": JSON})
    | JSON
)
BODIES = st.binary() | ANSWERS.map(lambda value: json.dumps(value).encode())
STATUSES = st.sampled_from([200, 201, 302, 400, 401, 404, 429, 500]) | st.integers(0, 999)


@given(ADDRESSES, st.text(st.characters()), STATUSES, BODIES)
def test_any_address_and_any_answer_come_to_an_outcome(
    to: dict[str, object], text: str, status: int, body: bytes
) -> None:
    steps = adapter.send(a_delivery(to=to, reply=Reply(text=text)), an_account())
    outcome: Outcome | None = None
    try:
        call = next(steps)
        assert isinstance(call, HttpCall)
        assert call.body is not None
        assert any(json.loads(call.body).get(name) for name in ("UserIds", "UacIds", "ReceiverLocationIds")) or to.get(
            "user_access_token"
        )
        steps.send(HttpAnswer(status=status, body=body))
    except StopIteration as end:
        outcome = end.value
    assert isinstance(outcome, Sent | Failed)
    assert isinstance(outcome, Failed) or 200 <= status < 300
    assert not isinstance(outcome, Failed) or (outcome.detail.isprintable() and len(outcome.detail) < 400)


@given(st.text(st.characters(), min_size=1), st.sampled_from(["plain", "markdown"]))
def test_no_tag_of_a_customer_is_a_tag(text: str, format_: Any) -> None:
    known = ("[b]", "[/b]", "[i]", "[/i]", *(f"[{end}h{n}]" for end in ("", "/") for n in (1, 2, 3)))
    steps = adapter.send(
        a_delivery(to={"users": 5}, reply=Reply(text=f"x[button]{text}[b]", format="plain")), an_account()
    )
    call = next(steps)
    assert isinstance(call, HttpCall)
    assert "[b" not in json.loads(call.body or b"")["Message"]
    call = next(adapter.send(a_delivery(to={"users": 5}, reply=Reply(text=f"x{text}", format=format_)), an_account()))
    assert isinstance(call, HttpCall)
    message = json.loads(call.body or b"")["Message"]
    for tag in known:
        message = message.replace(tag, "")
    assert all(rest.startswith("\u200b") for rest in message.split("[")[1:])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"message":""}', None),
        (b'{"message":"No","errorGuid":null}', "No"),
        (b'{"Message":"No","ErrorGuid":"5b2c"}', "No (errorGuid 5b2c)"),
        (b'{"MESSAGE":{"a":1}}', "{'a': 1}"),
    ],
)
def test_the_words_of_an_error(body: bytes, words: str | None) -> None:
    assert explanation(body) == words


# Through the door.


@pytest.fixture
async def fake() -> AsyncIterator[Chayns]:
    async with Chayns() as opened:
        yield opened


async def deliver(fake: Chayns, to: Address, *, patience: float = 20, **options: Any) -> Outcome:
    account = an_account(base_url=fake.url, **options)
    outcome = await drive(adapter.send(a_delivery(to=to), account), patience=patience)
    assert isinstance(outcome, Sent) or account.secret.reveal() not in outcome.detail
    return outcome


async def test_all_receivers_get_one_message(fake: Chayns) -> None:
    to = {"users": [5, 6], "uac_groups": [3], "sites": [379], "thread_name": "Training", "group_chat": True}
    assert await deliver(fake, {**to, "images": ["https://a.example/b.jpg"]}) == Sent()
    assert await deliver(fake, {"user_access_token": TOKEN}) == Sent()
    assert fake.sent == [
        (
            "/Intercom",
            {
                "Message": "9 €",
                "UserIds": [5, 6],
                "UacIds": [3],
                "ReceiverLocationIds": [379],
                "ThreadName": "Training",
                "UseGroupChat": True,
                "Images": [{"url": "https://a.example/b.jpg"}],
            },
        ),
        ("/Intercom", {"Message": "9 €", "UserAccessToken": TOKEN}),
    ]
    assert fake.refused == []


async def test_a_wrong_secret_and_a_wrong_location(fake: Chayns) -> None:
    guid = "(errorGuid 5b2c9d1e-0000-4000-8000-000000000001)"
    wrong = await deliver(fake, {"users": 5}, secret="another-secret")
    assert wrong == Failed(reason="auth", detail=f"401: Invalid TappId or Secret {guid}", permanent=True)
    wrong = await deliver(fake, {"users": 5}, location_id=379)
    assert wrong == Failed(reason="not_found", detail=f"404: No such location {guid}", permanent=True)
    assert fake.sent == []


async def test_trouble_on_their_side_is_temporary(fake: Chayns) -> None:
    fake.answers.append(Say(status=429, headers={"Retry-After": "7"}, body=error("Too many requests")))
    fake.answers.append(Say(status=503, body="<h1>Down</h1>"))
    busy = await deliver(fake, {"users": 5})
    assert isinstance(busy, Failed)
    assert (busy.reason, busy.permanent, busy.retry_after) == ("rate_limited", False, 7.0)
    assert await deliver(fake, {"users": 5}) == Failed(reason="unavailable", detail="503: <h1>Down</h1>")
    assert fake.sent == []


async def test_a_message_without_an_answer_is_unknown(fake: Chayns) -> None:
    fake.answers.extend(["hang", "reset"])
    for patience, reason in ((1, "timeout"), (20, "network")):
        outcome = await deliver(fake, {"users": 5}, patience=patience)
        assert isinstance(outcome, Unknown)
        assert outcome.reason == reason
    assert len(fake.sent) == 2


# Webhooks.


def test_webhooks_are_not_taken() -> None:
    assert adapter.routes == ()
    webhook = Webhook(method="POST", path="/hooks/chayns", received_at=NOON)
    for refuse in (adapter.verify, adapter.parse):
        with pytest.raises(Refused, match="only sends") as caught:
            refuse(webhook, an_account())
        assert caught.value.status == 404
