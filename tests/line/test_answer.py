"""Answers that depend on what came of the events: with what an operation found, or with the reply itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.app.listening import Patience
from bridge.clock import SetClock
from tests.fakes.chat_server import ChatServer, Say
from tests.fakes.edna import BOT_TOKEN, Edna
from tests.fakes.omnidesk import KEY as DESK_KEY
from tests.fakes.omnidesk import Omnidesk
from tests.platforms.edna_calls import MESSAGE, SECRET
from tests.running import SESSION, TOKEN, Site, a_bridge, site
from tests.values import NOON

FORWARD = """
rules:
  - name: pass-on
    on: message
    when: {text: {contains: help}}
    do: [{omnidesk.forward: {via: desk}}]
"""
IMPATIENT = Patience(grace=0.2)


@asynccontextmanager
async def sitting_between(directory: Path, rules: str = FORWARD) -> AsyncIterator[tuple[Site, Omnidesk]]:
    """A bridge between a chat server and an Omnidesk, which waits three seconds for the ticket."""
    async with ChatServer() as chat, Omnidesk() as omnidesk:
        desk = f'[accounts.desk]\nplatform = "omnidesk"\nbase_url = "{omnidesk.url}"\napi_key = "{DESK_KEY}"\n'
        settings = site(chat, ticket_within="3s") + desk
        async with a_bridge(directory, settings, rules, chat_server=chat.url, patience=IMPATIENT) as bridge:
            yield bridge, omnidesk
        assert omnidesk.refused == []


async def send(bridge: Site, text: str = "help", **fields: object) -> tuple[int, Any]:
    return await bridge.call("notifyUserNewChatMessage", chatAccountToken=TOKEN, message=text, **fields)


async def test_the_answer_has_what_the_operation_found(tmp_path: Path) -> None:
    async with sitting_between(tmp_path) as (bridge, omnidesk):
        status, answer = await send(bridge)
        assert (status, answer["ticketID"]) == (200, 7001)
        assert omnidesk.names() == ["notifyUserNewChatMessage"]
        assert bridge.clock.now() == NOON, "nobody waited"


async def test_where_nothing_was_ordered_nobody_waits(tmp_path: Path) -> None:
    async with sitting_between(tmp_path) as (bridge, omnidesk):
        for text in ("hello", "hello"):
            status, answer = await send(bridge, text, messageNumber=1)
            assert (status, answer["ticketID"] == 7001) == (200, False)
        assert omnidesk.received == []


async def test_a_repeat_is_answered_without_waiting(tmp_path: Path) -> None:
    async with sitting_between(tmp_path) as (bridge, omnidesk):
        await send(bridge, messageNumber=1)
        status, answer = await send(bridge, messageNumber=1)
        assert (status, answer["ticketID"] == 7001, len(omnidesk.received)) == (200, False, 1)


async def test_who_stands_behind_another_waits_for_both(tmp_path: Path) -> None:
    async with sitting_between(tmp_path) as (bridge, omnidesk):
        answers = await asyncio.gather(*(send(bridge, f"help {n}", messageNumber=n) for n in range(1, 6)))
        assert [answer.get("ticketID") for _, answer in answers] == [7001] * 5
        assert len(omnidesk.received) == 5


@pytest.mark.parametrize("trouble", ["hang", Say(status=503), Say(body='{"type": "result"}'), Say(status=401)])
async def test_what_does_not_come_in_time_or_not_at_all_is_answered_otherwise(tmp_path: Path, trouble: Any) -> None:
    """A failure that is for ever is told at once; the delivery goes its own way."""
    async with sitting_between(tmp_path) as (bridge, omnidesk):
        omnidesk.answers.extend([trouble, *[Say(status=503)] * 9])
        asking = asyncio.create_task(send(bridge))
        await bridge.until(asking.done, hanging=int(trouble == "hang"))
        status, answer = asking.result()
        assert (status, answer["ticketID"] == 7001) == (200, False)
        waited = (bridge.clock.now() - NOON).total_seconds()
        assert (waited >= 3) == (trouble in ("hang", Say(status=503)))
        omnidesk.answers.clear()
        if trouble == Say(status=503):
            await bridge.settle()
            assert omnidesk.tickets == {SESSION: 7001}


ECHO = """
rules:
  - name: answer
    on: [message, opened]
    do: [{reply: {text: "you said {{ text | default('nothing') }}"}}]
"""
HOOK = f"/hooks/support/{SECRET}"


@asynccontextmanager
async def asked_by_edna(
    directory: Path, rules: str = ECHO, *, clock: SetClock | None = None, **options: str
) -> AsyncIterator[tuple[Site, Edna]]:
    async with Edna() as edna:
        given = {"answer": "sync", "answer_within": "2s", "bot_token": BOT_TOKEN, "hook_secret": SECRET, **options}
        settings = f'[accounts.support]\nplatform = "edna"\nbase_url = "{edna.url}"\n'
        settings += "".join(f'{name} = "{value}"\n' for name, value in given.items())
        async with a_bridge(directory, settings, rules, clock=clock, patience=IMPATIENT) as bridge:
            yield bridge, edna


async def ask(bridge: Site, **fields: object) -> tuple[int, dict[str, Any] | None]:
    async with bridge.client.post(bridge.running.url + HOOK, json={**MESSAGE, **fields}) as answer:
        body = await answer.read()
        return answer.status, json.loads(body) if body else None


async def test_the_reply_is_in_the_answer_and_nowhere_else(tmp_path: Path) -> None:
    async with asked_by_edna(tmp_path) as (bridge, edna):
        status, answer = await ask(bridge)
        assert answer is not None
        assert (status, answer["text"], answer["threadsClientId"]) == (200, "you said hi", 17)
        [sent] = await bridge.settle()
        assert (sent.state, sent.delivery.attempts, edna.sent) == ("sent", 1, [])
        [only] = bridge.story(1).tries
        assert (only.outcome, only.detail) == ("sent", "in the answer to its webhook")


async def test_those_behind_it_go_by_themselves(tmp_path: Path) -> None:
    two = ECHO.replace("do: [", "do: [{reply: {text: first}}, ")
    async with asked_by_edna(tmp_path, two) as (bridge, edna):
        status, answer = await ask(bridge)
        assert answer is not None
        assert (status, answer["text"]) == (200, "first")
        assert [one.state for one in await bridge.settle()] == ["sent", "sent"]
        assert [body["text"] for _, body in edna.sent] == ["you said hi"]


@pytest.mark.parametrize(
    ("rules", "sent"),
    [
        (ECHO.replace("message, opened", "visited"), []),
        (ECHO.replace("you said", "x" * 1999), ["x" * 1999, "hi"]),
        (ECHO.replace("on: [message, opened]", "on: message\n    burst: 1s"), ["you said hi"]),
    ],
)
async def test_what_cannot_be_carried_is_acknowledged(tmp_path: Path, rules: str, sent: list[str]) -> None:
    async with asked_by_edna(tmp_path, rules) as (bridge, edna):
        assert await ask(bridge) == (202, None)
        await bridge.until(lambda: len(edna.sent) == len(sent))
        await bridge.settle()
        assert [body["text"] for _, body in edna.sent] == sent


async def test_a_repeat_is_acknowledged_and_not_answered_twice(tmp_path: Path) -> None:
    async with asked_by_edna(tmp_path) as (bridge, edna):
        assert (await ask(bridge))[0] == 200
        assert await ask(bridge) == (202, None)
        assert [one.state for one in await bridge.settle()] == ["sent"]
        assert edna.sent == []


async def test_a_decision_that_comes_too_late_is_acknowledged_and_delivered(tmp_path: Path) -> None:
    """Not before it is durable: who is told 202 may rely on it."""
    async with asked_by_edna(tmp_path) as (bridge, edna):
        begun, go_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold_the_writer(_: object, items: Any) -> list[None]:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(20)
            return [None] * len(items)

        blocked = bridge.running.store.write(hold_the_writer, None)
        await begun.wait()
        asking = asyncio.create_task(ask(bridge))
        await bridge.until(lambda: bridge.running.store.waiting == 1, tick=0)
        bridge.clock.advance(2)
        go_on.set()
        await blocked
        assert await asking == (202, None)
        assert [one.state for one in await bridge.settle()] == ["sent"]
        assert [body["text"] for _, body in edna.sent] == ["you said hi"]


def refuse_attempts(connection: Any, items: Any) -> list[None]:
    connection.exec_driver_sql(
        "CREATE TRIGGER full BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    return [None] * len(items)


def take_attempts(connection: Any, items: Any) -> list[None]:
    connection.exec_driver_sql("DROP TRIGGER full")
    return [None] * len(items)


async def test_an_answer_that_cannot_be_recorded_now_is_recorded_later(tmp_path: Path) -> None:
    async with asked_by_edna(tmp_path) as (bridge, edna):
        await bridge.running.store.write(refuse_attempts, None)
        assert (await ask(bridge))[0] == 200
        assert bridge.states() == ["claimed"]
        await bridge.running.store.write(take_attempts, None)
        [sent] = await bridge.settle()
        assert (sent.state, sent.delivery.attempts, edna.sent) == ("sent", 1, [])


async def test_a_reply_whose_answer_was_never_recorded_is_not_lost(tmp_path: Path) -> None:
    """As after a power cut: nobody knows whether edna has it, so it may come twice."""
    clock = SetClock(NOON)
    async with asked_by_edna(tmp_path, clock=clock) as (bridge, edna):
        await bridge.running.store.write(refuse_attempts, None)
        assert (await ask(bridge))[0] == 200
        assert edna.sent == []
    async with asked_by_edna(tmp_path, clock=clock) as (bridge, edna):
        await bridge.running.store.write(take_attempts, None)
        assert [one.state for one in await bridge.settle()] == ["sent"]
        assert [body["text"] for _, body in edna.sent] == ["you said hi"]
