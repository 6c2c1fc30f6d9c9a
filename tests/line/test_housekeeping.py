"""Housekeeping: what is older than the retention goes, and nothing else."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.clock import SetClock
from bridge.line.duty import Duty
from bridge.line.housekeeping import Housekeeping
from tests.fakes.chat_server import Say
from tests.line.test_attachments import PNG, upload
from tests.running import SESSION, Site, a_site, until

RULES = """
rules:
  - name: both
    on: [message, attachment]
    do:
      - reply: {text: "thanks for the {{ kind }}"}
      - remember: {seen: true}
      - remember: {known: true}
        scope: contact
"""
TABLES = ("events", "deliveries", "attempts", "conversations", "memories", "attachments")


async def clear(site: Site, tmp_path: Path, keep_for: timedelta) -> None:
    """Housekeeping rests between its steps by its own clock, which is turned here."""
    clock = SetClock(site.clock.now())
    duty = Duty("old rows", store=site.running.store, worker="w", clock=clock)
    work = Housekeeping(site.running.store, tmp_path / "data" / "attachments", keep_for, clock, duty).clear()
    task = asyncio.ensure_future(work)

    def is_done() -> bool:
        clock.advance(0.0001)
        return task.done()

    await until(is_done)
    await task


def counts(site: Site) -> dict[str, int]:
    return {table: site.rows(f"SELECT count(*) AS n FROM {table}")[0].n for table in TABLES}


async def test_what_is_old_goes_and_what_is_new_stays(tmp_path: Path) -> None:
    async with a_site(tmp_path, RULES) as (site, fake):
        await site.say("old", emailAddress="ann@shop.example")
        await upload(site, "old.png", PNG)
        await site.settle()
        site.clock.advance(86_400 * 10)
        await site.say("new", chatSessionID="another-conversation", emailAddress="bob@shop.example")
        await site.settle()
        assert counts(site) == {
            "events": 3, "deliveries": 3, "attempts": 3, "conversations": 2, "memories": 2, "attachments": 1,
        }  # fmt: skip
        await clear(site, tmp_path, timedelta(days=20))
        assert counts(site)["events"] == 3
        await clear(site, tmp_path, timedelta(days=5))
        assert counts(site) == {
            "events": 1, "deliveries": 1, "attempts": 1, "conversations": 1, "memories": 1, "attachments": 0,
        }  # fmt: skip
        assert list((tmp_path / "data" / "attachments").iterdir()) == []
        await site.say("newer")
        await site.settle()
        assert [row.id for row in site.rows("SELECT id FROM events ORDER BY id")] == [3, 4]
        assert len(fake.received) == 4


async def test_a_file_that_cannot_be_deleted_keeps_its_row_until_it_can(tmp_path: Path) -> None:
    async with a_site(tmp_path, RULES) as (site, _):
        await upload(site, "old.png", PNG)
        await site.settle()
        (file,) = (tmp_path / "data" / "attachments").iterdir()
        site.clock.advance(86_400 * 10)
        file.unlink()
        file.mkdir()
        await clear(site, tmp_path, timedelta(days=5))
        assert counts(site)["attachments"] == 1
        file.rmdir()
        file.write_bytes(PNG)
        await clear(site, tmp_path, timedelta(days=5))
        assert counts(site)["attachments"] == 0
        assert not file.exists()


@pytest.mark.parametrize("keep_for", [timedelta(0), timedelta(days=90)])
async def test_a_file_that_no_row_tells_of_goes_once_it_cannot_be_about_to_have_one(
    tmp_path: Path, keep_for: timedelta
) -> None:
    """The server was killed after it wrote the file; who is forgotten must not be in it for ever."""
    async with a_site(tmp_path, RULES) as (site, _):
        folder = tmp_path / "data" / "attachments"

        def written(name: str, minutes: int) -> None:
            (folder / name).write_bytes(PNG)
            then = (site.clock.now() - timedelta(minutes=minutes)).timestamp()
            os.utime(folder / name, (then, then))

        folder.mkdir(parents=True)
        written("of another store", 2000)
        await clear(site, tmp_path, keep_for)
        await upload(site, "known.png", PNG)
        await site.settle()
        (known,) = {file.name for file in folder.iterdir()} - {"of another store"}
        site.clock.advance(7200)
        for name, minutes in ((known, 61), ("stray", 61), ("new", 59)):
            written(name, minutes)
        await clear(site, tmp_path, keep_for)
        assert {file.name for file in folder.iterdir()} == {known, "new", "of another store"}


LATER = """
rules:
  - name: review
    on: message
    when: {text: {contains: bought}}
    do:
      - after: 120 days
        do: [{reply: {text: "How do you like it?"}}]
"""


async def test_a_follow_up_that_waits_for_longer_than_things_are_kept_is_not_lost(tmp_path: Path) -> None:
    async with a_site(tmp_path, LATER) as (site, fake):
        await site.say("I bought a chair")
        await site.say("hello", chatSessionID="another-conversation")
        site.clock.advance(86_400 * 100)
        await site.say("hello", chatSessionID="a-third-conversation")
        await clear(site, tmp_path, timedelta(days=90))
        assert [row.id for row in site.rows("SELECT id FROM events ORDER BY id")] == [1, 3]
        site.clock.advance(86_400 * 21)
        await site.until(lambda: fake.received)
        assert [said["message"] for said in fake.received] == ["How do you like it?"]
        await site.settle()
        site.clock.advance(86_400 * 100)
        await site.say("hello", chatSessionID="a-fourth-conversation")
        await clear(site, tmp_path, timedelta(days=90))
        assert counts(site)["conversations"] == 1


@pytest.mark.parametrize(
    ("fact", "value", "kept"),
    [
        ("unsubscribed", "true", True),
        ("unsubscribed", "since Monday", True),
        ("unsubscribed", "1774612800", True),
        ("blocked", "true", True),
        ("unsubscribed", "false", False),
        ("blocked", "false", False),
        ("vip", "true", False),
    ],
)
async def test_who_wants_no_news_wants_none_ever(tmp_path: Path, fact: str, value: str, kept: bool) -> None:
    """The rule has the name of the fact and a limit, so that its name stands in the memory too."""
    rules = f"""
rules:
  - name: {fact}
    on: message
    limit: {{times: 5, per: contact}}
    do:
      - remember: {{{fact}: {value}}}
        scope: contact
"""
    async with a_site(tmp_path, rules) as (site, _):
        await site.say("no more, please", emailAddress="ann@shop.example")
        site.clock.advance(86_400 * 10)
        await clear(site, tmp_path, timedelta(days=5))
        assert counts(site)["memories"] == kept
        assert len(site.rows("SELECT name FROM aliases")) == kept


async def test_a_retention_of_nothing_keeps_everything(tmp_path: Path) -> None:
    async with a_site(tmp_path, RULES) as (site, _):
        await site.say("old")
        await site.settle()
        site.clock.advance(86_400 * 10_000)
        await clear(site, tmp_path, timedelta(0))
        assert counts(site)["events"] == 1


async def test_what_is_not_finished_is_kept_however_old(tmp_path: Path) -> None:
    async with a_site(tmp_path, expires="100 days") as (site, fake):
        fake.answers.append(Say(status=429, headers={"Retry-After": "86400"}))
        await site.say("waiting")
        await site.until(lambda: site.deliveries()[0].delivery.attempts, tick=0)
        await site.say("newer", chatSessionID="another-conversation")
        site.clock.advance(80_000)
        await clear(site, tmp_path, timedelta(hours=1))
        assert site.states() == ["queued", "claimed"]
        await site.settle(tick=100)
        sessions = [str(one["chatSessionID"]) for one in fake.received]
        assert sorted(sessions) == ["another-conversation", SESSION, SESSION]


async def test_much_goes_in_small_steps(tmp_path: Path) -> None:
    """More rows than one step takes: several steps, and everybody else has a turn in between."""
    async with a_site(tmp_path, "rules: []\n") as (site, _):
        for begin in range(0, 1200, 100):
            await asyncio.gather(*(site.say("x", messageNumber=begin + number + 1) for number in range(100)))
        site.clock.advance(86_400)
        await clear(site, tmp_path, timedelta(hours=1))
        assert counts(site)["events"] == 1
