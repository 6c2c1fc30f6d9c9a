"""Through the whole line, over real HTTP: what is acknowledged is durable, and nothing happens twice."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from bridge.app.listening import Patience
from bridge.clock import SetClock
from tests.fakes.chat_server import ChatServer
from tests.loop import run
from tests.running import ECHO, KEY, SESSION, TOKEN, Site, a_bridge, a_site, site
from tests.values import NOON


async def test_a_message_is_answered(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, fake):
        await bridge.say("Grüße, how much?")
        assert await fake.wait_for(1) == [{"chatSessionID": SESSION, "message": "you said Grüße, how much?"}]
        [sent] = await bridge.settle()
    assert (sent.state, sent.delivery.rule, sent.delivery.event, sent.delivery.lane) == (
        "sent", "echo", 1, f"site/{SESSION}",
    )  # fmt: skip


async def test_what_was_acknowledged_is_there_after_the_process_is_gone(tmp_path: Path) -> None:
    """The store is read by a connection of its own, as a process that starts after a crash would."""
    async with ChatServer() as fake:
        fake.answers.extend(["hang"] * 4)
        impatient = Patience(grace=0.1)
        async with a_bridge(tmp_path, site(fake), chat_server=fake.url, patience=impatient) as bridge:
            await bridge.say("kept")
            rows = bridge.rows("SELECT e.body, d.reply, d.state FROM events e JOIN deliveries d ON d.event = e.id")
            await fake.wait_for(1)
    [row] = rows
    assert json.loads(row.body)["text"] == "kept"
    assert json.loads(row.reply)["text"] == "you said kept"
    assert row.state == "claimed"


async def test_nothing_is_acknowledged_before_it_is_committed(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, fake):
        begun, go_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold_the_writer(_: Connection, items: Sequence[None]) -> list[None]:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(20)
            return [None] * len(items)

        blocked = bridge.running.store.write(hold_the_writer, None)
        await begun.wait()
        saying = asyncio.create_task(bridge.say("wait for me"))
        await bridge.until(lambda: bridge.running.store.waiting == 1)
        assert not saying.done()
        assert bridge.rows("SELECT id FROM events") == []
        go_on.set()
        await asyncio.gather(blocked, saying)
        assert len(bridge.rows("SELECT id FROM events")) == 1
        await fake.wait_for(1)


async def test_what_could_not_be_kept_is_not_acknowledged(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, fake):

        def refuse_events(connection: Connection, items: Sequence[None]) -> list[None]:
            connection.execute(
                text("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'disk full'); END")
            )
            return [None] * len(items)

        def take_events(connection: Connection, items: Sequence[None]) -> list[None]:
            connection.execute(text("DROP TRIGGER full"))
            return [None] * len(items)

        await bridge.running.store.write(refuse_events, None)
        body = {"chatServer": fake.url, "chatSessionID": SESSION, "chatAccountToken": TOKEN, "message": "x"}
        url = f"{bridge.running.url}/api/v2/chat/notifyUserNewChatMessage"
        async with bridge.client.post(url, json=body, headers={"apiKey": KEY}) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert await answer.json() == {
                "status": "error",
                "message": "the event could not be kept; send it again",
            }
        assert bridge.states() == []
        await bridge.running.store.write(take_events, None)
        await bridge.say("x")
        assert await fake.wait_for(1) == [{"chatSessionID": SESSION, "message": "you said x"}]


async def test_a_repeat_with_its_number_is_acknowledged_and_not_processed_again(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, fake):
        for _ in range(3):
            await bridge.say("yes", messageNumber=7)
            bridge.clock.advance(3600)
        await bridge.say("yes", messageNumber=8)
        await bridge.say("no", messageNumber=7)
        await bridge.say("yes", messageNumber=7, chatSessionID="another-conversation")
        await bridge.settle()
        assert len(fake.received) == 4
        assert [row.count for row in bridge.rows("SELECT count(*) AS count FROM events")] == [4]


COUNTED = """
rules:
  - name: echo
    on: message
    do: [{reply: {text: "you said {{ text }} as no. {{ conversation.messages }}"}}]
"""


async def test_without_a_number_the_same_body_is_a_repeat_for_ten_seconds(tmp_path: Path) -> None:
    async with a_site(tmp_path, COUNTED) as (bridge, fake):
        await bridge.say("yes")
        bridge.clock.advance(9.9)
        await bridge.say("yes")
        await bridge.say("yes", customerName="Ann")
        bridge.clock.advance(0.1)
        await bridge.say("yes")
        await bridge.settle()
        events = bridge.rows("SELECT body FROM events ORDER BY id")
    assert [json.loads(row.body)["contact"].get("name") for row in events] == [None, "Ann", None]
    assert len(fake.received) == 3


async def test_repeats_that_come_at_the_same_time_count_once(tmp_path: Path) -> None:
    async with a_site(tmp_path, COUNTED) as (bridge, fake):
        await asyncio.gather(*(bridge.say("all at once", messageNumber=1 + n % 5) for n in range(60)))
        await bridge.settle()
        assert len(bridge.deliveries()) == 5
        assert len(fake.received) == 5


async def test_a_repeat_is_known_after_a_restart(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    async with ChatServer() as fake:
        for _ in range(2):
            async with a_bridge(tmp_path, site(fake), clock=clock, chat_server=fake.url) as bridge:
                await bridge.say("once", messageNumber=1)
                await bridge.settle()
        assert len(fake.received) == 1


WEBCHAT = '\n[accounts.web]\nplatform = "webchat"\n'
VISITOR = {"x-chat-session": "0123456789abcdef0123456789abcdef"}


async def post_to_webchat(bridge: Site, operation: str, **body: object) -> int:
    url = f"{bridge.running.url}/chat/{operation}"
    async with bridge.client.post(url, json=body, headers=VISITOR) as answer:
        return answer.status


async def test_the_platforms_own_id_makes_a_repeat_for_ever(tmp_path: Path) -> None:
    async with a_site(tmp_path, more=WEBCHAT) as (bridge, _):
        for message in ("hello", "hello", "changed"):
            assert await post_to_webchat(bridge, "message", id="message-1", text=message) == 202
            bridge.clock.advance(86_400)
        assert await post_to_webchat(bridge, "message", id="message-2", text="hello") == 202
        sent = await bridge.settle()
    assert [one.delivery.reply.text for one in sent] == ["you said hello", "you said hello"]
    assert [one.delivery.event for one in sent] == [1, 2]


SEVERAL = """
rules:
  - name: last
    on: message
    priority: -1
    do: [{reply: {text: last}}]
  - name: first
    on: message
    priority: 5
    do: [{reply: {text: "first"}}, {reply: {text: "and more"}}]
  - name: middle
    on: message
    when: {text: {contains: stop}}
    do: [{reply: {text: middle}}]
    stop: true
"""


async def test_rules_fire_in_order_until_one_says_stop(tmp_path: Path) -> None:
    async with a_site(tmp_path, SEVERAL) as (bridge, fake):
        await bridge.say("go on")
        await bridge.settle()
        bridge.clock.advance(60)
        await bridge.say("now stop")
        await bridge.settle()
        assert [one["message"] for one in fake.received] == [
            "first", "and more", "last", "first", "and more", "middle",
        ]  # fmt: skip
        assert bridge.traces() == [
            [{"rule": "first", "fired": True}, {"rule": "last", "fired": True}],
            [
                {"rule": "first", "fired": True},
                {"rule": "middle", "fired": True},
                {"rule": "middle", "stopped": True},
            ],
        ]


async def test_every_event_leaves_a_trace_even_one_no_rule_wants(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, _):
        assert (await bridge.call("notifyUserVisited", url="https://shop.example/"))[0] == 200
        assert (await bridge.call("notifyUserNewChatEvent", event="startedtyping"))[0] == 200
        assert (await bridge.call("notifyUserEndChat"))[0] == 200
        rows = bridge.rows("SELECT kind, trace FROM events ORDER BY id")
    assert [(row.kind, row.trace) for row in rows] == [("visited", "[]"), ("typing", "[]"), ("ended", "[]")]


async def test_what_asks_only_changes_nothing(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, fake):
        await bridge.say("open one")
        await fake.wait_for(1)
        token = {"chatAccountToken": TOKEN}
        status, queue = await bridge.call("requestChatQueue", **token)
        assert (status, queue["item"]) == (200, {"open": 1, "waiting": 1, "online": True})
        assert (await bridge.call("notifyUserEndChat"))[0] == 200
        status, queue = await bridge.call("requestChatQueue", **token)
        assert (status, queue["item"]) == (200, {"open": 0, "waiting": 0, "online": True})
        assert (await bridge.call("requestChatConfig", **token))[0] == 200
        assert (await bridge.call("checkOriginAndIP", **token, origin="shop.example", ip="192.0.2.1"))[0] == 200
        assert len(bridge.rows("SELECT id FROM events")) == 2


COUNTING = """
rules:
  - name: count
    on: message
    do:
      - remember: {seen: "{{ memory.seen | default(0) | int + 1 }}"}
      - reply: {text: "{{ memory.seen }} {{ conversation.messages }} {{ text }}"}
"""


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.tuples(st.sampled_from(["conversation-a", "conversation-b"]), st.integers(1, 4), st.sampled_from("xy")),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_comes_together_each_event_is_decided_once_on_what_was_before_it(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, int, str]]
) -> None:
    """Sent at the same time, in shared transactions: each conversation counts its own distinct messages, in order."""

    async def send() -> dict[str, list[str]]:
        async with a_site(tmp_path_factory.mktemp("together"), COUNTING) as (bridge, fake):
            await asyncio.gather(
                *(bridge.say(text, chatSessionID=session, messageNumber=number) for session, number, text in calls)
            )
            await bridge.settle()
            said: dict[str, list[str]] = {}
            for one in fake.received:
                said.setdefault(str(one["chatSessionID"]), []).append(str(one["message"]))
            return said

    said = run(send())
    assert {session: len(messages) for session, messages in said.items()} == {
        session: len({call for call in calls if call[0] == session}) for session, _, _ in calls
    }
    for messages in said.values():
        assert [one.split()[:2] for one in messages] == [[str(n), str(n)] for n in range(1, len(messages) + 1)]


async def test_a_sender_that_hangs_up_early_gets_its_reply_sent_all_the_same(tmp_path: Path) -> None:
    """Whoever does not wait for the acknowledgement has still told us something."""
    async with a_site(tmp_path, ECHO) as (bridge, fake):
        body = json.dumps(
            {"chatServer": fake.url, "chatSessionID": SESSION, "chatAccountToken": TOKEN, "message": "bye"}
        ).encode()
        head = f"POST /api/v2/chat/notifyUserNewChatMessage HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\n"
        address = bridge.running.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(address[0], int(address[1]))
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        await bridge.until(lambda: bridge.rows("SELECT id FROM events"))
        writer.close()
        assert await fake.wait_for(1) == [{"chatSessionID": SESSION, "message": "you said bye"}]


async def test_a_wrong_key_is_told_and_nothing_is_kept(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, _):
        url = f"{bridge.running.url}/api/v2/chat/notifyUserNewChatMessage"
        for headers, said in (({}, "apiKey: missing"), ({"apiKey": "no"}, "apiKey: wrong; no account has it")):
            async with bridge.client.post(url, data=b"{}", headers=headers) as answer:
                assert (answer.status, (await answer.json())["message"]) == (401, said)
        assert bridge.rows("SELECT id FROM events") == []


async def test_the_metrics_count_what_happened(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, fake):
        for _ in range(3):
            await bridge.say("again", messageNumber=1)
        await fake.wait_for(1)
        await bridge.settle()
        async with aiohttp.ClientSession() as client, client.get(f"{bridge.running.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
    assert 'replybridge_duplicates_total{account="site"} 2.0' in lines
    assert 'replybridge_matches_total{rule="echo"} 1.0' in lines
    assert 'replybridge_attempts_total{account="site",outcome="sent",reason=""} 1.0' in lines
