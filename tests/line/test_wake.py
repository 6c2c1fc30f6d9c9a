"""Timers in a whole bridge: they are durable, fire once, and what fails does not keep others from firing."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from bridge.clock import SetClock
from tests.fakes.chat_server import ChatServer
from tests.running import SESSION, a_bridge, a_site, site
from tests.values import NOON

RULES = """
rules:
  - name: nudge
    on: message
    when: {text: {words: price}}
    do:
      - reply: {text: "9 EUR"}
      - after: 10m
        unless: [contact_message, ended]
        do:
          - reply: {text: "Still there, {{ contact.name | default('friend') }}?"}
  - name: slow
    on: message
    burst: 2s
    when: {text: {contains: burst}}
    do:
      - reply: {text: "{{ messages | length }} messages"}
"""
STILL = "Still there, Ann?"


async def test_a_follow_up_fires_in_time_and_once(tmp_path: Path) -> None:
    async with a_site(tmp_path, RULES) as (bridge, fake):
        await bridge.say("price?", customerName="Ann")
        await bridge.settle()
        bridge.clock.advance(590)
        await bridge.until(lambda: len(fake.received) == 2, tick=1)
        assert [one["message"] for one in fake.received] == ["9 EUR", STILL]
        assert [one.delivery.urgency for one in bridge.deliveries()] == ["live", "follow_up"]
        bridge.clock.advance(10_000)
        await bridge.settle()
        assert bridge.rows("SELECT count(*) AS n FROM conversations WHERE wake_at IS NOT NULL")[0].n == 0
        assert [row.kind for row in bridge.rows("SELECT kind FROM events ORDER BY id")] == ["message", "timer"]
        assert len(fake.received) == 2


async def test_a_follow_up_that_fell_due_while_the_bridge_was_down_fires_at_its_next_start(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    async with ChatServer() as fake:
        async with a_bridge(tmp_path, site(fake), RULES, clock=clock, chat_server=fake.url) as bridge:
            await bridge.say("price?", customerName="Ann")
            await bridge.say("price?", customerName="Bob", chatSessionID="another-conversation")
            await bridge.settle()
            await bridge.call("notifyUserEndChat", chatSessionID="another-conversation")
        clock.advance(3600)
        for _ in range(2):
            async with a_bridge(tmp_path, site(fake), RULES, clock=clock, chat_server=fake.url) as bridge:
                await bridge.until(lambda: len(fake.received) == 3, tick=1)
                await bridge.settle()
        assert [one["message"] for one in fake.received] == ["9 EUR", "9 EUR", STILL]
        assert fake.received[-1]["chatSessionID"] == SESSION


async def test_a_burst_survives_a_restart(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    async with ChatServer() as fake:
        for text in ("a burst", "of two"):
            async with a_bridge(tmp_path, site(fake), RULES, clock=clock, chat_server=fake.url) as bridge:
                await bridge.say(text)
        async with a_bridge(tmp_path, site(fake), RULES, clock=clock, chat_server=fake.url) as bridge:
            await bridge.until(lambda: fake.received, tick=0.1)
        assert [one["message"] for one in fake.received] == ["2 messages"]


async def test_many_timers_that_are_due_together_all_fire(tmp_path: Path) -> None:
    async with a_site(tmp_path, RULES) as (bridge, fake):
        for number in range(450):
            await bridge.say("price?", chatSessionID=f"conversation-{number:04}")
        await bridge.settle()
        bridge.clock.advance(600)
        await bridge.until(lambda: len(fake.received) == 900, tick=0.25)
        late = [one["chatSessionID"] for one in fake.received if one["message"].startswith("Still")]
        assert len(set(late)) == len(late) == 450


async def test_what_a_timer_was_about_and_is_kept_no_more_is_dropped_and_said(tmp_path: Path) -> None:
    async with a_site(tmp_path, RULES) as (bridge, fake):
        await bridge.say("price?")
        await bridge.settle()
        await bridge.say("hello", chatSessionID="another-conversation")
        await bridge.running.store.write(_forget_the_first, None)
        bridge.clock.advance(600)
        await bridge.until(lambda: bridge.rows("SELECT 1 FROM events WHERE kind = 'timer'"), tick=0.25)
        assert bridge.traces()[-1] == [
            {"rule": "nudge", "dropped": "what it was about is kept no more (store.retention)"}
        ]
        assert len(fake.received) == 1


def _forget_the_first(connection: Connection, items: Sequence[None]) -> list[None]:
    connection.exec_driver_sql("DELETE FROM events WHERE id = 1")
    return [None for _ in items]


async def test_the_answer_to_a_burst_is_as_urgent_as_any_other(tmp_path: Path) -> None:
    async with a_site(tmp_path, RULES) as (bridge, fake):
        await bridge.say("burst")
        await bridge.until(lambda: len(fake.received) == 1)
        assert [one.delivery.urgency for one in bridge.deliveries()] == ["live"]
