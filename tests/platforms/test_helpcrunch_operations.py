"""HelpCrunch's operations and the look-up of a message whose answer never came, through the real door to the fake."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.model.delivery import Failed, Outcome, Reply, Sent, Unknown
from bridge.platforms.helpcrunch import adapter
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.reconcile import reconcile
from tests.fakes.chat_server import Say
from tests.fakes.helpcrunch import KEY, HelpCrunch
from tests.platforms.driving import drive
from tests.values import NOON, a_delivery

ANNA = {"id": 45, "email": "anna@shop.example", "userId": "u-1"}
CHAT: dict[str, object] = {"chat": 1}
LATER = "2026-03-27T16:00+02:00"


@pytest.fixture
async def fake() -> AsyncIterator[HelpCrunch]:
    async with HelpCrunch() as opened:
        opened.add_chat(1, ANNA)
        opened.add_customer(ANNA)
        opened.clock = NOON.timestamp()
        yield opened


def an_account(fake: HelpCrunch, **options: Any) -> HelpCrunchAccount:
    return HelpCrunchAccount(**{"name": "shop", "api_key": KEY, "agent": 4188, "base_url": fake.url, **options})


async def do(fake: HelpCrunch, name: str, to: dict[str, object], /, **arguments: Any) -> Outcome:
    operation = adapter.operations[name]
    return await drive(operation.steps(operation.arguments.model_validate(arguments), to, an_account(fake)))


@pytest.mark.parametrize(
    ("name", "arguments", "to", "made"),
    [
        ("assign", {"agent": 4188}, CHAT, ("PUT", "/chats/assignee", {"id": 1, "assignee": 4188})),
        ("assign", {"agent": 4188}, {"user_id": "u-1"}, ("PUT", "/chats/assignee", {"id": 1, "assignee": 4188})),
        ("assign", {"agent": " 4188 "}, CHAT, ("PUT", "/chats/assignee", {"id": 1, "assignee": 4188})),
        ("unassign", {}, CHAT, ("PUT", "/chats/assignee", {"id": 1, "assignee": None})),
        ("department", {"department": 7}, CHAT, ("PUT", "/chats/department", {"id": 1, "department": 7})),
        ("status", {"status": "onhold"}, CHAT, ("PUT", "/chats/status", {"id": 1, "status": "on hold"})),
        ("close", {}, {"email": "anna@shop.example"}, ("PUT", "/chats/status", {"id": 1, "status": "closed"})),
        ("snooze", {"until": LATER}, CHAT, ("PUT", "/chats/snooze", {"id": 1, "snoozedUntil": 1774620000})),
        ("snooze", {"until": "1774620000"}, CHAT, ("PUT", "/chats/snooze", {"id": 1, "snoozedUntil": 1774620000})),
        ("unsnooze", {}, CHAT, ("PUT", "/chats/snooze", {"id": 1, "snoozedUntil": None})),
        ("rate", {"rating": "poor"}, CHAT, ("PUT", "/chats/rate", {"id": 1, "rating": "poor"})),
        ("mark_read", {}, CHAT, ("PUT", "/chats/readByAgent", {"id": 1, "readByAgent": True})),
        ("mark_read", {"by": "customer"}, CHAT, ("PUT", "/chats/readByCustomer", {"id": 1, "readByCustomer": True})),
        ("tag", {"tags": ["vip"]}, CHAT, ("PUT", "/customers/45/tags", {"tags": [{"name": "vip"}]})),
        ("untag", {"tags": ["vip"]}, {"customer": 45}, ("DELETE", "/customers/45/tags", {"tags": [{"name": "vip"}]})),
        ("update_customer", {"company": "Acme"}, {"user_id": "u-1"}, ("PATCH", "/customers/45", {"company": "Acme"})),
        ("update_customer", {"phone": 49170123}, {"customer": 45}, ("PATCH", "/customers/45", {"phone": "49170123"})),
        ("tag", {"tags": [2026]}, {"customer": 45}, ("PUT", "/customers/45/tags", {"tags": [{"name": "2026"}]})),
        ("create_customer", {"name": "Bob"}, {}, ("POST", "/customers", {"name": "Bob"})),
        (
            "send_event",
            {"name": "order", "data": {"total": 9.5}},
            {"email": "anna@shop.example"},
            ("POST", "/events", {"customer": 45, "name": "order", "data": {"total": 9.5}}),
        ),
    ],
)  # fmt: skip
async def test_an_operation(
    fake: HelpCrunch, name: str, arguments: dict[str, Any], to: dict[str, object], made: tuple[str, str, object]
) -> None:
    assert isinstance(await do(fake, name, to, **arguments), Sent)
    assert fake.changes == [made]
    assert fake.refused == []


async def test_a_failed_operation_says_why(fake: HelpCrunch) -> None:
    outcome = await do(fake, "assign", {"chat": 9}, agent=4188)
    assert outcome == Failed(reason="not_found", detail="404: not_found: Not found", permanent=True)
    outcome = await do(fake, "tag", {"email": "nobody@shop.example"}, tags=["vip"])
    assert outcome == Failed(reason="not_found", detail="to.email: no such customer", permanent=True)
    outcome = await do(fake, "close", {"session": 1})
    assert outcome == Failed(reason="invalid", detail="to: write one of chat, customer, email, user_id", permanent=True)
    outcome = await do(fake, "send_event", {"chat": "x"}, name="order")
    detail = "to.chat: it is the number of a chat in HelpCrunch, 1 or above"
    assert outcome == Failed(reason="invalid", detail=detail, permanent=True)
    assert isinstance(await do(fake, "update_customer", {"customer": 45}), Failed)
    assert fake.changes == []


async def test_what_may_be_repeated_is_tried_again_without_an_answer_and_what_may_not_is_unknown(
    fake: HelpCrunch,
) -> None:
    fake.answers.extend(["reset", "reset"])
    assert isinstance(await do(fake, "close", CHAT), Failed)
    assert isinstance(await do(fake, "create_customer", {}, name="Bob"), Unknown)


@pytest.mark.parametrize(
    ("name", "arguments", "field"),
    [
        ("assign", {"agent": "abc"}, "agent"),
        ("assign", {"agent": "0"}, "agent"),
        ("assign", {"agent": "17.5"}, "agent"),
        ("assign", {"agent": "9" * 40}, "agent"),
        ("assign", {"agent": True}, "agent"),
        ("assign", {"agent": 0}, "agent"),
        ("assign", {"agent": 17, "chat": 1}, "chat"),
        ("status", {"status": "shut"}, "status"),
        ("status", {"status": 5}, "status"),
        ("snooze", {"until": "tomorrow"}, "until"),
        ("snooze", {"until": "2026-03-28T09:00"}, "until"),
        ("snooze", {"until": 1e300}, "until"),
        ("snooze", {"until": 0}, "until"),
        ("snooze", {"until": "20260328"}, "until"),
        ("snooze", {"until": "999999999999"}, "until"),
        ("snooze", {"until": True}, "until"),
        ("rate", {"rating": "good"}, "rating"),
        ("tag", {"tags": []}, "tags"),
        ("create_customer", {"locale": "ukrainian"}, "locale"),
        ("create_customer", {"phone": True}, "phone"),
        ("create_customer", {"phone": 4.5}, "phone"),
        ("send_event", {"name": ""}, "name"),
        ("send_event", {"name": "x", "data": {"a": [1]}}, "data"),
    ],
)
def test_wrong_arguments_are_refused_by_name(name: str, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter.operations[name].arguments.model_validate(arguments)
    assert {problem["loc"][0] for problem in caught.value.errors()} == {field}


@pytest.mark.parametrize(
    ("options", "name", "arguments", "body"),
    [
        ({"snooze_as": "text"}, "snooze", {"until": 1774620000}, b'{"id":1,"snoozedUntil":"1774620000"}'),
        ({"read_flag": False}, "mark_read", {}, b'{"id":1}'),
        ({"tags_as": "list"}, "tag", {"tags": ["vip"]}, b'[{"name":"vip"}]'),
    ],
)
def test_what_is_not_known_can_be_set(
    options: dict[str, Any], name: str, arguments: dict[str, Any], body: bytes
) -> None:
    account = HelpCrunchAccount.model_validate({"name": "shop", "api_key": KEY, "agent": 4188, **options})
    operation = adapter.operations[name]
    to: dict[str, object] = {"customer": 45} if name == "tag" else CHAT
    call = next(operation.steps(operation.arguments.model_validate(arguments), to, account))
    assert isinstance(call, HttpCall)
    assert call.body == body


# Did it arrive?


async def ask(fake: HelpCrunch, since: datetime = NOON, to: dict[str, object] = CHAT, **reply: Any) -> Outcome:
    delivery = a_delivery(to=to, reply=Reply(**{"text": "It is 9 €.", **reply}))
    return await drive(reconcile(delivery, an_account(fake), since))


async def post(fake: HelpCrunch, text: str, *, after: float = 0, **reply: Any) -> None:
    """Our agent's message, `after` seconds from noon by the fake's clock."""
    fake.clock = NOON.timestamp() + after
    delivery = a_delivery(to=CHAT, reply=Reply(text=text, **reply))
    assert isinstance(await drive(adapter.send(delivery, an_account(fake))), Sent)


async def test_a_message_that_arrived_without_an_answer_is_found(fake: HelpCrunch) -> None:
    fake.answers.append("reset")
    delivery = a_delivery(to=CHAT, reply=Reply(text="It is 9 €."))
    assert isinstance(await drive(adapter.send(delivery, an_account(fake))), Unknown)
    assert await ask(fake) == Sent(reference="542335")
    assert await ask(fake, to={"email": "anna@shop.example"}) == Sent(reference="542335")
    assert len(fake.messages) == 1


NOT_SENT = Failed(reason="network", detail="it is not in the chat, so it was not sent")


async def test_a_message_that_is_not_there_was_not_sent(fake: HelpCrunch) -> None:
    assert await ask(fake) == NOT_SENT
    await post(fake, "It is 9 €.", after=-31)
    await post(fake, "It is 9 $.")
    await post(fake, "It is 9 €.", private=True)
    assert await ask(fake) == NOT_SENT
    assert await ask(fake, private=True) == Sent(reference="542337")
    assert await ask(fake, to={"customer": 46}) == NOT_SENT, "without a chat nothing can have been sent"


async def test_markdown_that_came_out_otherwise_may_be_it(fake: HelpCrunch) -> None:
    await post(fake, "It is **9 €**.", format="markdown")
    assert await ask(fake, text="It is **9 €**.", format="markdown") == Sent(reference="542335")
    fake.messages[0]["text"] = "<p>It is <b>9&nbsp;€</b>.</p>"
    assert await ask(fake, text="It is **9 €**.", format="markdown") == Sent(reference="542335")
    outcome = await ask(fake, text="Something else", format="markdown")
    assert isinstance(outcome, Unknown)
    assert "not in these words" in outcome.detail


async def test_pages_are_read_back_to_the_attempt(fake: HelpCrunch) -> None:
    await post(fake, "of yesterday", after=-86_400)
    fake.messages *= 101
    await post(fake, "It is 9 €.", after=1)
    for number in range(45):
        await post(fake, f"later {number}", after=2 + number)
    assert await ask(fake) == Sent(reference="542436")
    assert await ask(fake, text="never sent") == NOT_SENT
    for number in range(60):
        await post(fake, f"later still {number}", after=100 + number)
    assert await ask(fake) == Unknown(reason="unknown", detail="it is not among the chat's last 100 messages")


async def test_a_look_up_that_fails_says_nothing_of_the_message(fake: HelpCrunch) -> None:
    for said in (Say(status=503, body=""), Say(status=404, body=""), Say(body="<html>"), Say(body='{"data":7}')):
        fake.answers.append(said)
        outcome = await ask(fake)
        assert isinstance(outcome, Unknown)
        assert outcome.detail.startswith("whether it arrived cannot be looked up: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.binary() | st.lists(JSON | st.dictionaries(st.sampled_from(["id", "text", "agent", "createdAt"]), JSON)))
def test_any_list_of_messages_comes_to_an_outcome(listed: Any) -> None:
    account = HelpCrunchAccount.model_validate({"name": "shop", "api_key": KEY, "agent": 4188})
    steps = reconcile(a_delivery(to=CHAT), account, datetime(2026, 3, 27, tzinfo=UTC))
    body = listed if isinstance(listed, bytes) else json.dumps({"data": listed}).encode()
    next(steps)
    outcome: Outcome = Sent()
    try:
        while True:
            steps.send(HttpAnswer(status=200, body=body))
    except StopIteration as end:
        outcome = end.value
    assert isinstance(outcome, Failed | Unknown)
