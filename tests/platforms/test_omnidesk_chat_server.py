"""Replies reach the strict fake over a real connection, as the adapter words them; the fake refuses the rest."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.model.delivery import Failed, Outcome, Reply, Sent
from bridge.platforms.omnidesk import adapter
from tests.fakes.chat_server import HOOK, ChatServer, Say
from tests.platforms.omnidesk_calls import SESSION, an_account
from tests.values import a_delivery

MESSAGE = {"chatSessionID": SESSION, "message": "10 €"}


async def post(call: HttpCall) -> HttpAnswer:
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session,
        session.request(call.method, call.url, headers=call.headers, data=call.body) as answer,
    ):
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return HttpAnswer(status=answer.status, headers=headers, body=await answer.read())


async def deliver(fake: ChatServer, text: str = "10 €", **options: Any) -> Outcome:
    delivery = a_delivery(to={"session": SESSION, "chat_server": fake.url}, reply=Reply(text=text))
    steps = adapter.send(delivery, an_account(chat_servers=[fake.url], **options))
    call = next(steps)
    assert isinstance(call, HttpCall)
    answer = await post(call)
    with pytest.raises(StopIteration) as end:
        steps.send(answer)
    outcome: Outcome = end.value.value
    return outcome


@pytest.mark.parametrize(("form", "written"), [("json", "9 ?€"), ("form", "9+%3F%E2%82%AC")])
def test_half_a_character_does_not_cost_the_reply(form: str, written: str) -> None:
    to = {"session": SESSION, "chat_server": "https://chat.example.com"}
    account = an_account(chat_servers=["https://chat.example.com"], message_format=form)
    call = next(adapter.send(a_delivery(to=to, reply=Reply(text="9 \ud83d€")), account))
    assert isinstance(call, HttpCall)
    assert written in (call.body or b"").decode()


async def test_a_reply_arrives_as_it_was_written() -> None:
    async with ChatServer() as fake:
        assert await deliver(fake, '"quotes", \\ \n Привіт 👋') == Sent()
        assert fake.received == [{"chatSessionID": SESSION, "message": '"quotes", \\ \n Привіт 👋'}]
        assert fake.refused == []


async def test_the_hook_may_want_a_form_and_a_key() -> None:
    fields = {"session": "sid", "message": "text"}
    form = "application/x-www-form-urlencoded"
    async with ChatServer(api_key="hook-key", fields=("sid", "text"), content_type=form) as fake:
        outcome = await deliver(fake, message_fields=fields, message_format="form", message_api_key="hook-key")
        assert outcome == Sent()
        assert fake.received == [{"sid": SESSION, "text": "10 €"}]
        refused = await deliver(fake, message_fields=fields, message_format="form", message_api_key="wrong")
        assert isinstance(refused, Failed)
        assert (refused.reason, refused.permanent) == ("auth", True)


async def test_answers_are_used_up_one_a_message() -> None:
    async with ChatServer() as fake:
        fake.answers.extend([Say(status=429, headers={"Retry-After": "3"}, body="wait"), Say(status=503)])
        busy, down, sent = await deliver(fake), await deliver(fake), await deliver(fake)
        assert busy == Failed(reason="rate_limited", detail="429: wait", retry_after=3.0)
        assert isinstance(down, Failed)
        assert (down.reason, down.permanent) == ("unavailable", False)
        assert sent == Sent()
        assert await fake.wait_for(3) == [MESSAGE] * 3


async def test_a_dropped_connection_took_the_message() -> None:
    async with ChatServer() as fake:
        fake.answers.append("reset")
        with pytest.raises(aiohttp.ClientConnectionError):
            await deliver(fake)
        assert fake.received == [MESSAGE]


async def test_a_hanging_answer_ends_with_the_fake() -> None:
    async with ChatServer() as fake:
        fake.answers.append("hang")
        waiting = asyncio.create_task(deliver(fake))
        assert await fake.wait_for(1) == [MESSAGE]
        assert not waiting.done()
    with pytest.raises(aiohttp.ClientConnectionError):
        await waiting


@pytest.mark.parametrize(
    ("path", "content_type", "body", "status"),
    [
        ("/messageForCustomers", "application/json", json.dumps(MESSAGE), 404),
        (HOOK + "?a=b", "application/json", json.dumps(MESSAGE), 404),
        (HOOK, "text/plain", json.dumps(MESSAGE), 400),
        (HOOK, "application/json", "{", 400),
        (HOOK, "application/json", "[]", 400),
        (HOOK, "application/json", json.dumps({**MESSAGE, "extra": "x"}), 400),
        (HOOK, "application/json", json.dumps({"message": "x"}), 400),
        (HOOK, "application/json", json.dumps({**MESSAGE, "message": 5}), 400),
        (HOOK, "application/json", json.dumps({**MESSAGE, "message": ""}), 400),
    ],
)
async def test_the_fake_is_strict(path: str, content_type: str, body: str, status: int) -> None:
    async with ChatServer() as fake:
        headers: Mapping[str, str] = {"content-type": content_type}
        answer = await post(HttpCall(method="POST", url=fake.url + path, headers=headers, body=body.encode()))
        assert answer.status == status
        assert fake.received == []
        assert fake.refused[0].startswith(f"{status} ")


async def test_the_log_has_a_line_for_each_message(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with ChatServer(log=log) as fake:
        await deliver(fake, "Привіт\n👋")
        await deliver(fake)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert lines == [{**MESSAGE, "message": "Привіт\n👋"}, MESSAGE]
