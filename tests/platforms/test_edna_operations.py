"""What edna can do beside replies, over real HTTP to a strict edna; and which arguments are refused."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.model.delivery import Failed, Outcome, Reply, Sent
from bridge.platforms.edna import adapter
from tests.fakes.chat_server import Say
from tests.fakes.edna import Edna
from tests.platforms.driving import drive
from tests.platforms.edna_calls import an_account, issued, walk
from tests.values import a_delivery

FILE = {"url": "https://files.example/test.jpg", "name": "test.jpg", "type": "image/jpeg", "size": 256}


@pytest.fixture
async def fake() -> AsyncIterator[Edna]:
    async with Edna() as opened:
        yield opened


async def do(fake: Edna, name: str, to: dict[str, object], **arguments: Any) -> Outcome:
    operation = adapter.operations[name]
    account = an_account(base_url=fake.url)
    return await drive(operation.steps(operation.arguments.model_validate(arguments), to, account))


def found(outcome: Outcome) -> Any:
    assert isinstance(outcome, Sent)
    return outcome.found


async def test_a_thread_is_given_to_an_agent(fake: Edna) -> None:
    assert await do(fake, "assign", {"thread": "902"}, login="bot") == Sent()
    assert fake.threads[902]["currentAgentLogin"] == "bot"
    assert await do(fake, "assign", {"thread": 902}, user_id="6") == Sent()
    assert fake.threads[902]["currentAgentLogin"] == "olha"
    fake.threads[902]["status"] = "CLOSED"
    outcome = await do(fake, "assign", {"thread": "902"}, login="bot")
    assert outcome == Failed(reason="invalid", detail='400: {"message": "the thread is closed"}', permanent=True)


async def test_a_client_is_blocked(fake: Edna) -> None:
    assert await do(fake, "block", {"client_id": "c-17", "thread": "1"}, reason="spam") == Sent()
    assert fake.clients[17]["blocked"] == "spam"
    assert await do(fake, "block", {"thread": "902"}, reason="more spam") == Sent()
    assert fake.clients[17]["blocked"] == "more spam"
    assert fake.refused == []


async def test_look_ups_tell_what_they_found(fake: Edna) -> None:
    thread = found(await do(fake, "thread", {"thread": "902"}))
    assert (thread["status"], thread["currentAgentLogin"], thread["clientId"]) == ("ASSIGNED", "olha", 17)
    assert "tags" not in thread
    client = {"id": 17, "externalId": "c-17", "phone": "+10000000000", "hasActiveThread": True}
    one = {**client, "clients": [client]}
    assert found(await do(fake, "client", {"client_id": "c-17"})) == one
    assert found(await do(fake, "client", {}, phones=["+10000000000"], client_ids=["c-99"])) == one
    assert found(await do(fake, "client", {"client_id": "c-99"})) == {"clients": []}
    profile = found(await do(fake, "profile", {"threads_client_id": 17}))
    assert profile == {"profile": {"threadsClientId": 17, "externalId": "c-17", "phone": "+10000000000"}}
    outcome = await do(fake, "thread", {"thread": "a/../b?c"})
    assert outcome == Failed(reason="not_found", detail='404: {"message": "no such thread"}', permanent=True)


async def test_a_long_message_that_broke_off_goes_on_where_it_was(fake: Edna) -> None:
    operation, account = adapter.operations["message"], an_account(base_url=fake.url)
    arguments = operation.arguments.model_validate({"text": "Sentence number one. " * 300})
    delivery = a_delivery(to={"threads_client_id": 17}, reply=Reply(text=""))
    fake.answers.extend([None, None, Say(status=503, body="down")])
    outcome = await drive(operation.begin(arguments, delivery, account))
    assert outcome == Failed(reason="unavailable", detail="503: down")
    assert len(fake.sent) == 2
    assert await drive(operation.begin(arguments, delivery, account)) == Sent(reference="1, 2, 3, 4")
    assert " ".join(body["text"] for _, body in fake.sent).split() == ("Sentence number one. " * 300).split()
    assert account.session.taken(delivery) == ()


async def test_a_message_with_files_and_quick_replies(fake: Edna) -> None:
    asked: dict[str, object] = {"threads_client_id": 17, "bot": True}
    red = {"text": "red", "shown_text": "Red", "callback_data": "r", "image_url": "https://files.example/r.png"}
    outcome = await do(fake, "message", asked, text="Which?", files=[FILE], quick_replies=[red, {"text": "blue"}])
    assert outcome == Sent(reference="1")
    assert await do(fake, "message", {"threads_client_id": 17}, files=[FILE, {**FILE, "size": "256"}]) == Sent(
        reference="2"
    )
    long = "One sentence. " * 200
    assert await do(fake, "message", {"device": "device-1"}, text=long, files=[FILE]) == Sent(reference="3, 4")
    assert fake.refused == []
    assert [(path, len(body.get("attachments", []))) for path, body in fake.sent] == [
        ("chatbot", 1),
        ("outgoing-from-myself", 2),
        ("outgoing-to-device", 0),
        ("outgoing-to-device", 1),
    ]
    assert fake.sent[0][1]["quickReplies"][1] == {"type": "TEXT", "text": "blue"}


@pytest.mark.parametrize(
    ("name", "to", "arguments", "words"),
    [
        ("assign", {}, {"login": "bot"}, "to.thread: missing"),
        ("assign", {"thread": ".."}, {"login": "bot"}, "to.thread: it is not the id of a thread"),
        ("thread", {"thread": "a\nb"}, {}, "to.thread: it is one line"),
        ("block", {"threads_client_id": 17}, {"reason": "spam"}, "to: write client_id or thread"),
        ("client", {}, {}, "to.client_id, client_ids or phones: one of them is needed"),
        ("profile", {"client_id": "c-17"}, {}, "to.threads_client_id: missing"),
        (
            "message",
            {"threads_client_id": 17},
            {"text": "a", "quick_replies": [{"text": "b"}]},
            "quick_replies: only the bot",
        ),
        ("message", {"question": 1}, {"files": [FILE]}, "text: missing; the bot's answers need one"),
        ("message", {}, {"text": "a"}, "to: write threads_client_id, client_id or thread"),
    ],
)
def test_a_recipient_that_will_not_do_is_refused_by_name(
    name: str, to: dict[str, object], arguments: dict[str, Any], words: str
) -> None:
    operation = adapter.operations[name]
    calls, outcome = walk(operation.steps(operation.arguments.model_validate(arguments), to, an_account()), [])
    assert calls == []
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert outcome.detail.startswith(words)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("assign", {}, "user_id and login: write one of them"),
        ("assign", {"user_id": 1, "login": "bot"}, "user_id and login: write one of them"),
        ("assign", {"user_id": "olha"}, '"olha" is not a whole number'),
        ("assign", {"user_id": "0"}, "greater than or equal to 1"),
        ("block", {}, "Field required"),
        ("block", {"reason": ""}, "at least 1 character"),
        ("thread", {"id": 902}, "not permitted"),
        ("message", {}, "text and files: one of them is needed"),
        ("message", {"text": " ", "quick_replies": [{"text": "red"}]}, "text and files: one of them is needed"),
        ("message", {"text": "a" * 100_001}, "at most 100000 characters"),
        ("message", {"files": [{**FILE, "url": "https://x/" + "x" * 4000}]}, "at most 4000 characters"),
        ("message", {"files": [{**FILE, "url": "file:///etc/passwd"}]}, "should match pattern"),
        ("message", {"files": [{**FILE, "name": "x" * 1001}]}, "at most 1000 characters"),
        ("message", {"files": [{**FILE, "type": "image/" + "x" * 256}]}, "at most 256 characters"),
        ("message", {"files": [{**FILE, "size": -1}]}, "greater than or equal to 0"),
        ("message", {"files": [{"url": FILE["url"], "name": "test"}]}, "edna needs `type` to show the file"),
    ],
)
def test_arguments_are_refused_with_the_way_out(name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter.operations[name].arguments.model_validate(arguments)
    assert words in str(caught.value)


def test_calls_that_change_nothing_twice_are_safe() -> None:
    arguments = {"assign": {"login": "bot"}, "block": {"reason": "spam"}, "message": {"text": "a"}}
    to = {"thread": "902", "client_id": "c-17", "threads_client_id": 17}
    safe = {}
    for name, operation in adapter.operations.items():
        steps = operation.steps(operation.arguments.model_validate(arguments.get(name, {})), to, an_account())
        next(steps)
        call = steps.send(issued())
        assert isinstance(call, HttpCall)
        safe[name] = call.safe
    assert safe == {name: name != "message" for name in adapter.operations}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(
    st.sampled_from(["thread", "client", "profile"]), st.binary() | JSON.map(lambda value: json.dumps(value).encode())
)
def test_any_answer_to_a_look_up_is_read_or_told(name: str, body: bytes) -> None:
    operation = adapter.operations[name]
    to = {"thread": "902", "client_id": "c-17", "threads_client_id": 17}
    steps = operation.steps(operation.arguments.model_validate({}), to, an_account())
    _, outcome = walk(steps, [issued(), HttpAnswer(status=200, body=body)])
    if isinstance(outcome, Sent):
        assert isinstance(outcome.found, dict)
        assert set(outcome.found) <= set(operation.finds)
    else:
        assert isinstance(outcome, Failed)
        assert outcome.detail.isprintable()
