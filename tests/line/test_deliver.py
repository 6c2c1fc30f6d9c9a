"""Deliver: in order, again where it helps, never where it does not, and nobody waits for another's trouble."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bridge.app.listening import Patience
from bridge.clock import SetClock
from bridge.line.outbox import HOLDS
from bridge.store import intervene
from bridge.store.intervene import Filter
from bridge.store.ledger import Claim, Ledger
from bridge.store.page import Entry
from tests.fakes.chat_server import Behaviour, ChatServer, Say
from tests.fakes.helpcrunch import KEY as HELPCRUNCH_KEY
from tests.fakes.helpcrunch import HelpCrunch
from tests.fakes.helpcrunch_errors import too_many
from tests.running import ECHO, SESSION, TOKEN, Site, a_bridge, a_site, site, until
from tests.values import NOON, a_delivery

THREE = """
rules:
  - name: three
    on: message
    do: [{reply: {text: "{{ text }} 1"}}, {reply: {text: "{{ text }} 2"}}, {reply: {text: "{{ text }} 3"}}]
"""
BUSY = Say(status=503, body="busy")
OTHER = "session-9876543210"
IMPATIENT = Patience(grace=0.2)


def texts(fake: ChatServer, session: str = SESSION) -> list[str]:
    return [str(one["message"]) for one in fake.received if one["chatSessionID"] == session]


async def test_order_in_a_conversation_is_kept_through_retries(tmp_path: Path) -> None:
    async with a_site(tmp_path, THREE) as (bridge, fake):
        fake.answers.extend([BUSY, BUSY, Say(), BUSY])
        await bridge.say("a")
        await bridge.say("b")
        assert [one.state for one in await bridge.settle()] == ["sent"] * 6
        assert texts(fake) == ["a 1", "a 1", "a 1", "a 2", "a 2", "a 3", "b 1", "b 2", "b 3"]


async def test_another_conversation_does_not_wait_for_a_retry(tmp_path: Path) -> None:
    async with a_site(tmp_path, THREE) as (bridge, fake):
        fake.answers.append(BUSY)
        await bridge.say("late")
        await bridge.until(lambda: bridge.deliveries()[0].due_at)
        await bridge.say("soon", chatSessionID=OTHER)
        await fake.wait_for(4)
        assert texts(fake, OTHER) == ["soon 1", "soon 2", "soon 3"]
        assert texts(fake) == ["late 1"]
        await bridge.settle()
        assert texts(fake) == ["late 1", "late 1", "late 2", "late 3"]


async def tried(bridge: Site, number: int, times: int = 1) -> None:
    """Wait until a delivery was tried so often, with the clock standing still but for the loop's own rest."""
    await bridge.until(lambda: bridge.deliveries()[number - 1].delivery.attempts >= times, tick=0.005)


async def turn_to_due(bridge: Site, number: int) -> None:
    """Turn the clock to the moment at which a delivery is to be tried again."""
    due_at = bridge.deliveries()[number - 1].due_at
    assert due_at is not None
    bridge.clock.advance((due_at - bridge.clock.now()).total_seconds())


async def test_retries_wait_twice_as_long_each_time_with_jitter(tmp_path: Path) -> None:
    waits = []
    async with a_site(tmp_path, expires="2h") as (bridge, fake):
        fake.answers.extend([BUSY] * 11)
        await bridge.say("x")
        for number in range(1, 12):
            await tried(bridge, 1, number)
            [*_, failed] = bridge.story(1).tries
            due_at = bridge.deliveries()[0].due_at
            assert due_at is not None
            waits.append((due_at - failed.at).total_seconds() - failed.took / 1000)
            await turn_to_due(bridge, 1)
        await tried(bridge, 1, 12)
        tries = bridge.story(1).tries
    longest = [min(2**n, 300) for n in range(11)]
    assert all(most / 2 - 0.01 <= wait <= most + 0.01 for wait, most in zip(waits, longest, strict=True)), waits
    assert len({round(wait / most, 2) for wait, most in zip(waits, longest, strict=True)}) > 5
    assert all(
        (after.at - before.at).total_seconds() >= wait
        for (before, after), wait in zip(pairwise(tries), waits, strict=True)
    )
    assert [(one.outcome, one.reason, one.status) for one in tries] == [
        *[("failed", "unavailable", 503)] * 11,
        ("sent", None, 200),
    ]
    assert tries[0].answer == "busy"


@pytest.mark.parametrize("form", ["30", format_datetime(NOON + timedelta(seconds=30), usegmt=True)])
async def test_who_asks_for_a_pause_gets_it_for_the_whole_account(tmp_path: Path, form: str) -> None:
    async with a_site(tmp_path) as (bridge, fake):
        fake.answers.append(Say(status=429, headers={"Retry-After": form}))
        await bridge.say("first")
        await bridge.until(lambda: bridge.deliveries()[0].delivery.attempts, tick=0)
        assert bridge.deliveries()[0].due_at == NOON + timedelta(seconds=30)
        await bridge.say("second", chatSessionID=OTHER)
        assert [one.state for one in await bridge.settle(tick=0.5)] == ["sent", "sent"]
        [first, again], [second] = bridge.story(1).tries, bridge.story(2).tries
        assert first.reason == "rate_limited"
        assert again.at >= NOON + timedelta(seconds=30)
        assert second.at == NOON + timedelta(seconds=30)


async def test_a_pause_longer_than_a_reply_may_wait_holds_the_account_too(tmp_path: Path) -> None:
    """The first reply cannot wait so long and is given up; the platform is still not called before its time."""
    async with a_site(tmp_path, expires="60s") as (bridge, fake):
        fake.answers.append(Say(status=429, headers={"Retry-After": "90"}))
        await bridge.say("first")
        await bridge.until(lambda: bridge.states() == ["dead"], tick=0)
        bridge.clock.advance(40)
        await bridge.say("second", chatSessionID=OTHER)
        await bridge.settle(tick=1)
        assert bridge.states() == ["dead", "sent"]
        assert bridge.deliveries()[0].reason == "expired"
        [second] = bridge.story(2).tries
        assert second.at >= NOON + timedelta(seconds=90)
        assert len(fake.received) == 2


@pytest.mark.parametrize(("status", "reason"), [(400, "invalid"), (401, "auth"), (404, "not_found"), (302, "refused")])
async def test_what_will_never_work_is_given_up_with_its_reason(tmp_path: Path, status: int, reason: str) -> None:
    async with a_site(tmp_path, THREE) as (bridge, fake):
        fake.answers.append(Say(status=status, body="no such chat"))
        await bridge.say("x")
        dead, *others = await bridge.settle()
        assert (dead.state, dead.reason, dead.detail) == ("dead", reason, f"{status}: no such chat")
        assert [one.state for one in others] == ["sent", "sent"]
        assert texts(fake) == ["x 1", "x 2", "x 3"]


async def test_a_reply_that_would_be_too_late_is_given_up(tmp_path: Path) -> None:
    """By this seed the sixth try is at 21 seconds, and the seventh would be at 38."""
    async with a_site(tmp_path, expires="30s") as (bridge, fake):
        fake.answers.extend([BUSY] * 20)
        await bridge.say("x")
        for number in range(1, 6):
            await tried(bridge, 1, number)
            await turn_to_due(bridge, 1)
        await tried(bridge, 1, 6)
        [dead] = bridge.deliveries()
        assert (dead.state, dead.reason) == ("dead", "expired")
        assert dead.detail == "gave up: unavailable: 503: busy"
        assert len(fake.received) == 6


async def test_what_waited_too_long_for_its_turn_is_not_sent(tmp_path: Path) -> None:
    async with a_site(tmp_path, budget="1/min", expires="90s") as (bridge, fake):
        for number in range(3):
            await bridge.say(f"no. {number}", chatSessionID=f"conversation-{number}")
        await bridge.settle(tick=1)
        assert bridge.states() == ["sent", "sent", "dead"]
        assert bridge.deliveries()[2].reason == "expired"
        assert len(fake.received) == 2


@pytest.mark.parametrize("behaviour", ["hang", "reset"])
async def test_where_nobody_knows_it_is_sent_again(tmp_path: Path, behaviour: Behaviour) -> None:
    async with a_site(tmp_path, timeout="1s") as (bridge, fake):
        fake.answers.append(behaviour)
        await bridge.say("x")
        assert [one.state for one in await bridge.settle()] == ["sent"]
        assert [one.outcome for one in bridge.story(1).tries] == ["unknown", "sent"]
        assert texts(fake) == ["you said x", "you said x"]


async def test_where_nobody_knows_a_person_decides_if_the_account_says_so(tmp_path: Path) -> None:
    async with a_site(tmp_path, THREE, timeout="1s", on_unknown="hold") as (bridge, fake):
        fake.answers.append("reset")
        await bridge.say("x")
        assert [one.state for one in await bridge.settle()] == ["unknown", "sent", "sent"]
        assert bridge.deliveries()[0].reason == "network"
        assert texts(fake) == ["x 1", "x 2", "x 3"]


async def test_a_platform_that_cannot_be_reached_is_tried_again(tmp_path: Path) -> None:
    """Nobody listens: certainly never sent, so `hold` does not keep it."""
    async with ChatServer() as gone:
        pass
    async with a_bridge(tmp_path, site(gone, on_unknown="hold"), chat_server=gone.url) as bridge:
        await bridge.say("x")
        for number in (1, 2):
            await tried(bridge, 1, number)
            assert bridge.states() == ["queued"]
            await turn_to_due(bridge, 1)
        tries = bridge.story(1).tries
    assert {(one.outcome, one.reason, one.status) for one in tries} == {("failed", "network", None)}
    assert "cannot connect" in str(tries[0].detail)


async def test_no_more_are_in_flight_than_the_account_allows(tmp_path: Path) -> None:
    async with ChatServer() as fake:
        fake.answers.extend(["hang"] * 20)
        settings = site(fake, max_in_flight=3, timeout="10s")
        async with a_bridge(tmp_path, settings, chat_server=fake.url, patience=IMPATIENT) as bridge:
            await asyncio.gather(*(bridge.say("x", chatSessionID=f"conversation-{n}") for n in range(10)))
            await fake.wait_for(3)
            await bridge.until(lambda: bridge.states().count("claimed") == 10, hanging=3)
            assert len(fake.received) == 3


async def test_the_budget_bounds_calls_and_none_of_it_is_wasted(tmp_path: Path) -> None:
    async with a_site(tmp_path, budget="4/min") as (bridge, _):
        for number in range(9):
            await bridge.say("x", chatSessionID=f"conversation-{number}")
        await bridge.settle(tick=1)
        times = sorted((one.at - NOON).total_seconds() for n in range(1, 10) for one in bridge.story(n).tries)
    assert len(times) == 9
    assert times[3] < 2
    assert 60 <= times[4] <= times[7] < 63
    assert 120 <= times[8] < 124


async def test_every_call_of_a_delivery_counts_in_the_budget(tmp_path: Path) -> None:
    """A reply that has to look for its chat first makes two calls."""
    async with ChatServer() as fake, HelpCrunch() as crunch:
        crunch.add_chat(17, {"id": 5, "email": "ann@shop.example"})
        shop = (
            f'\n[accounts.shop]\nplatform = "helpcrunch"\napi_key = "{HELPCRUNCH_KEY}"\nagent = 4188\n'
            f'base_url = "{crunch.url}"\nbudget = "4/min"\nidentity = {{ email = "contact.email" }}\n'
        )
        settings = site(fake, reply_via="shop") + shop
        async with a_bridge(tmp_path, settings, chat_server=fake.url) as bridge:
            for number in range(4):
                await bridge.say(f"no. {number}", emailAddress="ann@shop.example", messageNumber=number + 1)
            assert {one.state for one in await bridge.settle(tick=0.2)} == {"sent"}
            times = [(bridge.story(n).tries[0].at - NOON).total_seconds() for n in range(1, 5)]
        assert [one["plain"] for one in crunch.messages] == [f"you said no. {n}" for n in range(4)]
        assert len(crunch.searches) == 4
    assert times[1] < 30
    assert 60 <= times[2] < 90


async def test_helpcrunchs_429_pauses_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    async with ChatServer() as fake, HelpCrunch() as crunch:
        crunch.add_chat(17, {"id": 5, "email": "ann@shop.example"})
        crunch.answers.extend([too_many("7")])
        shop = (
            f'\n[accounts.shop]\nplatform = "helpcrunch"\napi_key = "{HELPCRUNCH_KEY}"\nagent = 4188\n'
            f'base_url = "{crunch.url}"\nidentity = {{ email = "contact.email" }}\n'
        )
        async with a_bridge(tmp_path, site(fake, reply_via="shop") + shop, chat_server=fake.url) as bridge:
            await bridge.say("x", emailAddress="ann@shop.example")
            [sent] = await bridge.settle(tick=0.5)
            assert (sent.state, sent.delivery.account, sent.delivery.attempts) == ("sent", "shop", 2)
            first, second = bridge.story(1).tries
        assert len(crunch.messages) == 1
    assert (first.reason, second.detail) == ("rate_limited", "542335")
    assert (second.at - first.at).total_seconds() >= 7


async def replay(bridge: Site, chosen: Filter) -> list[int]:
    def work(connection: Connection, items: Sequence[Filter]) -> list[list[int]]:
        now = bridge.clock.now()
        return [intervene.replay(connection, one, now, lambda _: timedelta(hours=1)) for one in items]

    return await bridge.running.store.write(work, chosen)


async def test_what_was_given_up_is_sent_when_a_person_says_so(tmp_path: Path) -> None:
    async with a_site(tmp_path, THREE) as (bridge, fake):
        fake.answers.extend([Say(status=401, body="bad key")] * 3)
        await bridge.say("x")
        assert [one.state for one in await bridge.settle()] == ["dead"] * 3
        bridge.clock.advance(86_400)
        assert await replay(bridge, Filter(reason="auth")) == [1, 2, 3]
        assert [one.state for one in await bridge.settle()] == ["sent"] * 3
        assert texts(fake) == ["x 1", "x 2", "x 3"] * 2
        assert await replay(bridge, Filter()) == []


BURST_OF_TWO = """
rules:
  - name: two
    on: message
    do: [{reply: {text: one}}, {reply: {text: two}}]
"""


async def crash(directory: Path, fake: ChatServer, settings: str, clock: SetClock) -> None:
    """Leave behind what a killed process leaves: an attempt under way, and its follower."""
    fake.answers.append("hang")
    async with a_bridge(directory, settings, BURST_OF_TWO, clock=clock, patience=IMPATIENT, chat_server=fake.url) as it:
        await it.say("x")
        await fake.wait_for(1)
    fake.answers.clear()


async def test_a_server_that_starts_takes_over_what_was_under_way(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    async with ChatServer() as fake:
        await crash(tmp_path, fake, site(fake), clock)
        async with a_bridge(tmp_path, site(fake), clock=clock, chat_server=fake.url) as bridge:
            assert [one.state for one in await bridge.settle()] == ["sent", "sent"]
        assert texts(fake) == ["one", "one", "two"]


async def test_a_reply_held_after_a_crash_does_not_hold_its_conversation(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    async with ChatServer() as fake:
        settings = site(fake, on_unknown="hold")
        await crash(tmp_path, fake, settings, clock)
        async with a_bridge(tmp_path, settings, BURST_OF_TWO, clock=clock, chat_server=fake.url) as bridge:
            # The same words again within a minute would be held back.
            clock.advance(61)
            await bridge.say("y")
            assert [one.state for one in await bridge.settle()] == ["unknown", "sent", "sent", "sent"]
        assert texts(fake) == ["one", "two", "one", "two"]


async def test_a_graceful_end_gives_back_what_has_not_begun(tmp_path: Path) -> None:
    """Of an account that never sends twice: whatever had not begun must not be taken for perhaps sent."""
    clock = SetClock(NOON)
    async with ChatServer() as fake:
        settings = site(fake, on_unknown="hold", max_in_flight=2, budget="2/h", expires="5h")
        async with a_bridge(tmp_path, settings, clock=clock, patience=IMPATIENT, chat_server=fake.url) as bridge:
            await asyncio.gather(*(bridge.say("x", chatSessionID=f"conversation-{n}") for n in range(6)))
            await fake.wait_for(2)
            await until(lambda: bridge.states().count("sent") == 2)
        async with a_bridge(tmp_path, settings, clock=clock, chat_server=fake.url) as bridge:
            await bridge.settle(tick=60)
            assert bridge.states() == ["sent"] * 6
        assert len(fake.received) == 6


async def test_an_attempt_under_way_may_finish_before_the_end(tmp_path: Path) -> None:
    async with ChatServer() as fake:
        async with a_bridge(tmp_path, site(fake), BURST_OF_TWO, chat_server=fake.url) as bridge:
            await bridge.say("x")
        # The first was sent; its follower was freed by that, and either sent as well or given back.
        assert "one" in texts(fake)
        async with a_bridge(tmp_path, site(fake), chat_server=fake.url) as bridge:
            await bridge.settle()
        assert texts(fake) == ["one", "two"]


async def test_a_platform_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    """More wait for it than are taken at once; another account's replies, retries included, go their way."""
    async with ChatServer() as stuck, ChatServer() as fine:
        stuck.answers.extend(["hang"] * 2000)
        rules = "rules:\n  - name: r\n    on: message\n    do: [{reply: {text: '{{ text }}'}}]\n"
        settings = site(stuck, "stuck", api_keys=["the-other-key"], max_in_flight=2, timeout="60s") + site(fine)
        async with a_bridge(tmp_path, settings, rules, chat_server=fine.url, patience=IMPATIENT) as bridge:
            other = replace(bridge, chat_server=stuck.url, headers={"apiKey": "the-other-key"})
            for begin in range(0, 800, 100):
                await asyncio.gather(*(other.say("x", chatSessionID=f"conversation-{begin + n}") for n in range(100)))
            await stuck.wait_for(2)
            fine.answers.append(BUSY)
            await bridge.say("with a retry")
            await bridge.say("at once", chatSessionID=OTHER)
            await bridge.until(lambda: len(fine.received) == 3, hanging=2)
            assert texts(fine) == ["with a retry", "with a retry"]
            assert len(stuck.received) == 2


async def test_a_backlog_of_one_that_hangs_does_not_hold_up_a_retry_of_another(tmp_path: Path) -> None:
    """After a restart more are due for the one that hangs than are taken at once; the other still gets its share."""
    clock = SetClock(NOON)
    async with ChatServer() as stuck, ChatServer() as fine:
        stuck.answers.extend(["hang"] * 4)
        fine.answers.append(BUSY)
        settings = site(stuck, "stuck", api_keys=["the-other-key"], max_in_flight=2, timeout="60s") + site(fine)
        async with a_bridge(tmp_path, settings, clock=clock, chat_server=fine.url, patience=IMPATIENT) as bridge:
            other = replace(bridge, chat_server=stuck.url, headers={"apiKey": "the-other-key"})
            for begin in range(0, 600, 100):
                await asyncio.gather(*(other.say("x", chatSessionID=f"conversation-{begin + n}") for n in range(100)))
            await bridge.say("retry")
            await until(lambda: len(fine.received) == 1 and bridge.deliveries()[-1].due_at)
        async with a_bridge(tmp_path, settings, clock=clock, chat_server=fine.url, patience=IMPATIENT) as bridge:
            await until(lambda: len(stuck.received) == 4)
            await bridge.until(lambda: len(fine.received) == 2, hanging=2)
            assert len(stuck.received) == 4


async def test_a_backlog_larger_than_memory_holds_is_sent_whole(tmp_path: Path) -> None:
    clock, backlog = SetClock(NOON), HOLDS["live"] + 500
    async with ChatServer() as fake:
        async with a_bridge(tmp_path, site(fake, max_in_flight=1), clock=clock, patience=IMPATIENT,
                            chat_server=fake.url) as bridge:  # fmt: skip
            fake.answers.append("hang")
            await bridge.say("x", chatSessionID="conversation-hangs")
            await fake.wait_for(1)
            for begin in range(0, backlog, 100):
                await asyncio.gather(*(bridge.say("x", chatSessionID=f"conversation-{begin + n}") for n in range(100)))
            # A hundred come at a time, so some more than the outbox holds were claimed before it was full.
            assert HOLDS["live"] + 1 <= bridge.states().count("claimed") < HOLDS["live"] + 101
            assert len(bridge.states()) == backlog + 1
        async with a_bridge(tmp_path, site(fake), clock=clock, chat_server=fake.url) as bridge:
            assert {one.state for one in await bridge.settle()} == {"sent"}
        assert len({one["chatSessionID"] for one in fake.received}) == backlog + 1
        assert len(fake.received) == backlog + 2


async def test_a_delivery_by_an_account_that_is_gone_is_kept_for_a_person(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    async with ChatServer() as fake:
        fake.answers.append(BUSY)
        async with a_bridge(tmp_path, site(fake), clock=clock, patience=IMPATIENT, chat_server=fake.url) as bridge:
            await bridge.say("x")
            await until(lambda: bridge.deliveries()[0].delivery.attempts)
        (tmp_path / "rules/rules.yaml").unlink()
        async with a_bridge(tmp_path, site(fake, "renamed"), clock=clock) as bridge:
            [dead] = await bridge.settle()
    assert (dead.state, dead.reason) == ("dead", "refused")
    assert dead.detail == "there is no account site in the settings; add it, then replay"


async def plan(bridge: Site, fake: ChatServer, count: int) -> None:
    """So many deliveries of a broadcast, all due now."""

    def work(connection: Connection, items: Sequence[None]) -> list[None]:
        ledger = Ledger(connection, [], bridge.clock.now())
        for _ in range(count):
            number = ledger.next_delivery()
            to = {"session": f"recipient-{number}", "chat_server": fake.url}
            made = a_delivery(id=number, event=None, action=str(number), lane=f"run/{number}", to=to,
                              urgency="broadcast", created_at=bridge.clock.now())  # fmt: skip
            ledger.enqueue(Entry(delivery=made))
        ledger.write(Claim(worker="", until=bridge.clock.now(), full=[("site", "broadcast")]))
        return [None]

    await bridge.running.store.write(work, None)


async def test_a_broadcast_of_thousands_does_not_keep_live_replies_waiting(tmp_path: Path) -> None:
    async with a_site(tmp_path, budget="120/min") as (bridge, fake):
        await plan(bridge, fake, 5000)

        async def waited(number: int) -> float:
            """For how many seconds somebody who writes now waits for the reply."""
            came = bridge.clock.now()
            await bridge.say("x", chatSessionID=f"conversation-{number}")
            await bridge.until(lambda: texts(fake, f"conversation-{number}"))
            await bridge.until(lambda: bridge.story(5001 + number).tries)
            return (bridge.story(5001 + number).tries[0].at - came).total_seconds()

        await bridge.until(lambda: fake.received)
        for number, wait in enumerate((0.2, 3, 40, 20, 7)):
            await bridge.pass_by(wait)
            assert await waited(number) <= 0.5 + 0.1
        assert len(fake.received) > 100, "the broadcast went on meanwhile"
        [claimed] = bridge.rows("SELECT count(*) AS n FROM deliveries WHERE state = 'claimed'")
        assert claimed.n <= HOLDS["broadcast"] + 16


async def test_a_platform_that_is_down_is_left_alone_and_found_again(tmp_path: Path) -> None:
    async with a_site(tmp_path, expires="10min") as (bridge, fake):
        fake.answers.extend([BUSY] * 400)
        for number in range(60):
            await bridge.say("x", chatSessionID=f"conversation-{number}")
        await bridge.until(lambda: bridge.rows("SELECT * FROM circuits"), tick=0)
        [circuit] = bridge.rows("SELECT account, detail, until - since AS wait FROM circuits")
        assert (circuit.account, circuit.detail, circuit.wait) == ("site", "unavailable: 503: busy", 5000)
        tried = len(fake.received)
        assert tried < 60
        end = bridge.clock.monotonic() + 30
        await bridge.until(lambda: bridge.clock.monotonic() >= end, tick=0.1)
        assert len(fake.received) - tried <= 3, "one try after 5, 10 and 20 seconds"
        async with bridge.client.get(f"{bridge.running.url}/metrics") as answer:
            assert 'replybridge_circuit_open{account="site"} 1.0' in await answer.text()
        fake.answers.clear()
        assert {one.state for one in await bridge.settle(tick=0.2)} == {"sent"}
        assert bridge.rows("SELECT * FROM circuits") == []
        async with bridge.client.get(f"{bridge.running.url}/metrics") as answer:
            assert 'replybridge_circuit_open{account="site"} 0.0' in await answer.text()


async def test_what_waits_for_a_platform_that_is_down_is_given_up_in_time(tmp_path: Path) -> None:
    async with a_site(tmp_path, expires="12s", max_in_flight=1) as (bridge, fake):
        fake.answers.extend([BUSY] * 400)
        for number in range(30):
            await bridge.say("x", chatSessionID=f"conversation-{number}")
        await bridge.until(lambda: bridge.clock.monotonic() >= 13.5, tick=0.05)
        await bridge.until(lambda: set(bridge.states()) == {"dead"}, tick=0)
        assert {one.reason for one in bridge.deliveries()} == {"expired"}
        assert bridge.deliveries()[-1].detail == "it could not be sent in time: unavailable: 503: busy"
        assert bridge.story(30).tries == ()


async def test_a_long_attempt_keeps_its_claim(tmp_path: Path) -> None:
    """The lease is two minutes; whoever is alive renews it, so that nobody sends the reply a second time."""
    async with ChatServer() as fake:
        fake.answers.append("hang")
        settings = site(fake, timeout="10min")
        async with a_bridge(tmp_path, settings, chat_server=fake.url, patience=IMPATIENT) as bridge:
            await bridge.say("x")
            await fake.wait_for(1)
            # What is tried again in the meantime shows that the loop goes on looking.
            fake.answers.extend([BUSY] * 9)
            await bridge.say("y", chatSessionID=OTHER)
            await bridge.until(lambda: len(texts(fake, OTHER)) == 10, tick=1, hanging=1)
            assert bridge.clock.monotonic() > 130
            assert texts(fake) == ["you said x"]


async def test_the_record_says_who_was_called_and_what_was_sent(tmp_path: Path) -> None:
    async with a_site(tmp_path, ECHO) as (bridge, fake):
        fake.answers.append(Say(body="ok, thanks"))
        await bridge.say("x", messageNumber=3)
        await bridge.settle()
        story = bridge.story(1)
    assert story.event is not None
    assert (story.event.text, story.event.raw["chatAccountToken"]) == ("x", TOKEN)
    assert story.trace == [{"rule": "echo", "fired": True}]
    assert [(one.outcome, one.status, one.answer) for one in story.tries] == [("sent", 200, "ok, thanks")]
    assert json.loads(json.dumps(dict(story.listed.delivery.to))) == {"session": SESSION, "chat_server": fake.url}
