"""Runs: from a file to everybody in it, once, whatever happens on the way."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from bridge.broadcasts.plan import read_plan
from bridge.clock import SetClock, from_ms
from bridge.model.broadcast import Asked, Run
from bridge.store import runs, tally
from tests.fakes.inbox import Inbox
from tests.running import Site, a_bridge
from tests.running import site as site_table
from tests.values import NOON

OFFER = """
audiences:
  customers: {file: audiences/customers.csv}
broadcasts:
  - name: offer
    via: shop
    audience: customers
    to: {email: email}
    text: "Hello {{ name | default('friend') }}"
"""


def customers(count: int, *more: str) -> str:
    lines = [f"user{number}@shop.example,User {number}" for number in range(count)]
    return "\n".join(["email,name", *lines, *more]) + "\n"


@asynccontextmanager
async def shop(
    directory: Path,
    inbox: Inbox,
    people: str,
    rules: str = OFFER,
    *,
    clock: SetClock | None = None,
    **options: Any,
) -> AsyncIterator[Site]:
    files = {"audiences/customers.csv": people}
    async with a_bridge(directory, inbox.account(**options), rules, files=files, clock=clock) as site:
        yield site


async def begin(site: Site, moment: str = "by hand", **more: Any) -> int:
    asked = Asked(broadcast="offer", moment=moment, at=site.clock.now(), asked_by="person", **more)
    number = await site.running.store.write(runs.ask, asked)
    assert number is not None
    return number


def run_of(site: Site, number: int) -> Run:
    run = site.running.store.read_now(lambda connection: runs.find(connection, number))
    assert run is not None
    return run


def states(site: Site, number: int) -> dict[str, int]:
    return dict(site.running.store.read_now(lambda connection: tally.counts(connection, number)))


async def over(site: Site, number: int, tick: float = 0.05) -> Run:
    await site.until(lambda: run_of(site, number).state not in ("asked", "planning", "running"), tick)
    return run_of(site, number)


def outcomes(site: Site) -> Sequence[tuple[str, str, str | None]]:
    rows = site.rows("SELECT person, state, detail FROM deliveries ORDER BY id")
    return [tuple(row) for row in rows]


async def test_everybody_in_the_file_gets_it_once(tmp_path: Path) -> None:
    people = customers(
        3, "user1@shop.example,Again", "broken", ",Nobody", "USER2@shop.example,Loud", "new@shop.example,"
    )
    async with Inbox() as inbox, shop(tmp_path, inbox, people) as site:
        run = await over(site, await begin(site))
        assert (run.state, run.detail, run.duplicates) == ("done", None, 2)
        assert inbox.texts == {
            "user0@shop.example": "Hello User 0",
            "user1@shop.example": "Hello User 1",
            "user2@shop.example": "Hello User 2",
            "new@shop.example": "Hello friend",
        }
        assert set(inbox.got.values()) == {1}
        assert states(site, 1) == {"sent": 4, "cancelled": 2}
        assert [outcome for outcome in outcomes(site) if outcome[1] == "cancelled"] == [
            ("line 6", "cancelled", "bad line: the line has 1 column, and the header names 2"),
            ("line 7", "cancelled", "bad line: it has no address: email is empty"),
        ]


async def test_a_run_is_asked_for_once(tmp_path: Path) -> None:
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(1)) as site:
        await begin(site, "2026-03-27T12:00")
        asked = Asked(broadcast="offer", moment="2026-03-27T12:00", at=NOON)
        assert await site.running.store.write(runs.ask, asked) is None


async def test_a_template_is_as_it_was_when_the_run_began(tmp_path: Path) -> None:
    rules = OFFER.replace("text: \"Hello {{ name | default('friend') }}\"", "template: offer.md.j2")
    files = {
        "audiences/customers.csv": "email,name,language\nann@x.example,*Ann*,en\nolya@x.example,Olya,uk-UA\n",
        "templates/offer.md.j2": "{% include 'greeting.md.j2' %} new prices",
        "templates/offer.uk.md.j2": "{% include 'greeting.md.j2' %} нові ціни",
        "templates/greeting.md.j2": "**{{ name }}**",
        "templates/other.md.j2": "no part of it",
    }
    async with Inbox() as inbox, a_bridge(tmp_path, inbox.account(), rules, files=files) as site:
        number = await begin(site)
        run = await over(site, number)
        assert inbox.texts == {"ann@x.example": r"**\*Ann\*** new prices", "olya@x.example": "**Olya** нові ціни"}
        kept = read_plan(run.plan or "").sources
        assert set(kept) == {"offer.md.j2", "offer.uk.md.j2", "greeting.md.j2"}


async def test_a_run_that_has_begun_goes_on_as_it_was_when_its_file_changes(tmp_path: Path) -> None:
    slow = OFFER + "    rate: 1/s\n"
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(8), slow) as site:
        await begin(site)
        await site.until(lambda: len(inbox.got) >= 2)
        before = site.running.line.behaviour
        (tmp_path / "rules/rules.yaml").write_text(slow.replace("Hello", "Bye"))
        site.running.reloader.ask()
        await site.until(lambda: site.running.line.behaviour is not before, tick=0.005)
        assert len(inbox.got) < 8
        await site.until(lambda: len(inbox.got) == 8)
        assert {text.split()[0] for text in inbox.texts.values()} == {"Hello"}
        number = await begin(site, "again")
        await over(site, number, tick=0.5)
        assert {text.split()[0] for text in inbox.texts.values()} == {"Bye"}


async def test_the_rate_is_kept_to_through_a_restart(tmp_path: Path) -> None:
    rules, clock = OFFER + "    rate: 60/min\n", SetClock(NOON)
    async with Inbox() as inbox:
        async with shop(tmp_path, inbox, customers(30), rules, clock=clock) as site:
            number = await begin(site)
            await site.until(lambda: clock.monotonic() >= 10)
            assert 10 <= len(inbox.got) <= 12
        async with shop(tmp_path, inbox, customers(30), rules, clock=clock) as site:
            await site.until(lambda: clock.monotonic() >= 20)
            assert 18 <= len(inbox.got) <= 22
            await over(site, number)
            assert 28 <= clock.monotonic() <= 32
        assert set(inbox.got.values()) == {1}


async def test_quiet_hours_are_by_the_clock_of_each(tmp_path: Path) -> None:
    people = "email,timezone\nann@x.example,Europe/Kyiv\nlee@x.example,America/Los_Angeles\nbob@x.example,\n"
    rules = OFFER + '    quiet_hours: "21:00-08:00"\n'
    async with Inbox() as inbox, shop(tmp_path, inbox, people, rules) as site:
        number = await begin(site)
        await site.until(lambda: len(inbox.got) == 2)
        assert set(inbox.got) == {"ann@x.example", "bob@x.example"}
        # It is 05:00 in Los Angeles.
        run = await over(site, number, tick=30)
        assert (run.state, len(inbox.got)) == ("done", 3)
        sent_at = site.rows("SELECT finished_at FROM deliveries WHERE person = 'email=lee@x.example'")[0][0]
        assert timedelta(hours=3) <= from_ms(sent_at) - NOON < timedelta(hours=3, minutes=5)


async def test_a_share_of_failures_pauses_a_run_until_a_person_lets_it_go_on(tmp_path: Path) -> None:
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(200), OFFER + "    rate: 20/s\n") as site:
        inbox.answers.extend([400] * 30)
        number = await begin(site)
        run = await over(site, number)
        assert run.state == "paused"
        assert run.detail is not None
        assert run.detail.endswith("failed, and pause_if_failed is 0.2")
        assert 20 <= sum(states(site, number).get(state, 0) for state in ("sent", "dead")) < 80
        change = runs.Change(run=number, come_from=("paused",), to="running", at=site.clock.now(), forgive=True)
        assert await site.running.store.write(runs.change, change)
        run = await over(site, number)
        assert (run.state, states(site, number)["dead"]) == ("done", 30)
        again = runs.Again(run=number, at=site.clock.now(), most=20)
        assert [await site.running.store.write(runs.again, again) for _ in range(3)] == [20, 10, 0]
        run = await over(site, number)
        assert states(site, number) == {"sent": 200}
        assert len(inbox.got) == 200
        assert set(inbox.got.values()) == {1}


async def test_a_paused_run_sends_nothing_and_a_cancelled_one_never_will(tmp_path: Path) -> None:
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(100), OFFER + "    rate: 10/s\n") as site:
        number = await begin(site)
        await site.until(lambda: len(inbox.got) >= 10)
        for to in ("paused", "cancelled"):
            change = runs.Change(run=number, come_from=("running", "paused"), to=to, at=site.clock.now())
            assert await site.running.store.write(runs.change, change)
            await site.running.store.write(runs.hold_back, number)
            await site.until(lambda: "claimed" not in states(site, number))
            out = len(inbox.got)
            await site.pass_by(5 * 60, tick=1)
            assert len(inbox.got) == out < 40
        cut = await site.running.store.write(runs.cut_off, runs.CutOff(run=number, at=site.clock.now()))
        assert states(site, number) == {"sent": out, "cancelled": cut}


async def test_what_a_killed_command_left_of_a_cancelled_run_is_cut_off_at_the_next_start(tmp_path: Path) -> None:
    async with Inbox() as inbox:
        async with shop(tmp_path, inbox, customers(100), OFFER + "    rate: 1/h\n") as site:
            number = await begin(site)
            await site.until(lambda: states(site, number).get("sent") == 1)
            change = runs.Change(run=number, come_from=("running",), to="cancelled", at=site.clock.now())
            assert await site.running.store.write(runs.change, change)
        async with shop(tmp_path, inbox, customers(100), OFFER) as site:
            await site.until(lambda: states(site, number) == {"sent": 1, "cancelled": 99})
            assert outcomes(site)[-1][2] == "the run was cancelled"
            assert len(inbox.got) == 1


async def test_what_nobody_knows_of_is_held_for_a_person(tmp_path: Path) -> None:
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(10)) as site:
        inbox.answers.append(0)
        number = await begin(site)
        await over(site, number)
        assert states(site, number) == {"sent": 9, "unknown": 1}
        assert set(inbox.got.values()) == {1}


@pytest.mark.parametrize("while_", ["planning", "running"])
async def test_a_bridge_that_stops_goes_on_where_it_was(tmp_path: Path, while_: str) -> None:
    """Nobody twice and nobody left out, however often it is stopped; the same person is on several lines."""
    count, clock = 1200, SetClock(NOON)
    people = customers(count, *(f"USER{number}@shop.example,Twice" for number in range(0, count, 7)))
    async with Inbox() as inbox:

        async def comes_to(site: Site, stop: int) -> None:
            if while_ == "planning":
                await site.until(lambda: sum(states(site, number).values()) >= stop * 200)
            else:
                await site.until(lambda: len(inbox.got) >= stop * 150)

        async with shop(tmp_path, inbox, people, clock=clock) as site:
            number = await begin(site)
        for stop in range(1, 5):
            async with shop(tmp_path, inbox, people, clock=clock) as site:
                await comes_to(site, stop)
        async with shop(tmp_path, inbox, people, clock=clock) as site:
            run = await over(site, number)
            assert (run.state, run.duplicates) == ("done", 172)
            assert states(site, number) == {"sent": count}
        assert len(inbox.got) == count
        assert set(inbox.got.values()) == {1}


async def test_a_file_that_changed_while_it_was_planned_stops_the_plan(tmp_path: Path) -> None:
    people = customers(3000)
    async with Inbox() as inbox:
        async with shop(tmp_path, inbox, people) as site:
            number = await begin(site)
            await site.until(lambda: run_of(site, number).cursor)
            change = runs.Change(run=number, come_from=("planning",), to="paused", at=NOON)
            assert await site.running.store.write(runs.change, change)
        async with shop(tmp_path, inbox, customers(3001)) as site:
            change = runs.Change(run=number, come_from=("paused",), to="planning", at=NOON)
            assert await site.running.store.write(runs.change, change)
            run = await over(site, number)
            assert run.state == "failed"
            assert (run.detail or "").startswith("audiences/customers.csv has changed since its planning began")
            assert inbox.calls == 0
            await site.until(lambda: "planned" not in states(site, number))
            assert {detail for _, _, detail in outcomes(site)} == {"the run failed before anything was sent"}


async def test_a_run_whose_account_is_gone_waits_for_a_person(tmp_path: Path) -> None:
    rules, clock = OFFER + "    rate: 1/s\n", SetClock(NOON)
    async with Inbox() as inbox:
        async with shop(tmp_path, inbox, customers(20), rules, clock=clock) as site:
            number = await begin(site)
            await site.until(lambda: len(inbox.got) >= 3)
        settings = inbox.account("another")
        async with a_bridge(tmp_path, settings, "rules: []", clock=clock) as site:
            run = await over(site, number)
            assert (run.state, run.detail) == (
                "paused",
                "there is no account shop in the settings; add [accounts.shop]",
            )
        async with shop(tmp_path, inbox, customers(20), rules, clock=clock) as site:
            change = runs.Change(run=number, come_from=("paused",), to="running", at=clock.now())
            assert await site.running.store.write(runs.change, change)
            await over(site, number)
            assert set(inbox.got.values()) == {1}
            assert len(inbox.got) + states(site, number).get("dead", 0) == 20


async def test_a_broadcast_that_is_there_no_more_fails(tmp_path: Path) -> None:
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(1), "rules: []") as site:
        run = await over(site, await begin(site))
        assert (run.state, run.detail) == ("failed", "the rule files have no broadcast of this name any more")


async def test_a_run_that_nobody_foresaw_to_fail_fails_and_others_go_on(tmp_path: Path) -> None:
    broken = """
CREATE TRIGGER broken AFTER INSERT ON runs WHEN new.moment = 'broken'
BEGIN UPDATE runs SET cursor = 'this is no cursor' WHERE id = new.id; END
"""

    def change(connection: Connection, statements: Sequence[str]) -> list[None]:
        return [None for statement in statements if connection.exec_driver_sql(statement)]

    async with Inbox() as inbox, shop(tmp_path, inbox, customers(5)) as site:
        await site.running.store.write(change, broken)
        run = await over(site, await begin(site, "broken"))
        assert (run.state, run.detail) == ("failed", "the bridge failed: DecodeError; its log has more")
        assert (await over(site, await begin(site))).state == "done"
        assert len(inbox.got) == 5


async def test_to_oneself_goes_to_one_address_as_the_first_would_get_it(tmp_path: Path) -> None:
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(5)) as site:
        await over(site, await begin(site, only={"email": "me@shop.example"}))
        assert inbox.texts == {"me@shop.example": "Hello User 0"}


async def test_a_rule_starts_a_broadcast_once(tmp_path: Path) -> None:
    rules = (
        OFFER.replace("Hello", "{{ what }}:")
        + """
rules:
  - name: sale
    on: message
    do:
      - broadcast: {name: offer, variables: {what: "News of {{ text }}"}}
"""
    )
    async with Inbox() as inbox:
        files = {"audiences/customers.csv": customers(2)}
        async with a_bridge(
            tmp_path, inbox.account() + site_table("https://chat.example.com"), rules, files=files
        ) as site:
            await site.say("Monday")
            await site.until(lambda: len(inbox.got) == 2)
            assert set(inbox.texts.values()) == {"News of Monday: User 0", "News of Monday: User 1"}
            assert run_of(site, 1).asked.moment == "rule sale/0 on event 1"
