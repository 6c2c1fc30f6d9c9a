"""Schedules, wired: a run for each time that comes, none twice, and none long after it was due."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.clock import SetClock
from bridge.store import runs
from tests.broadcasts.test_runs import OFFER, customers, over, run_of, shop
from tests.fakes.inbox import Inbox
from tests.running import Site

DAILY = OFFER + '    schedule: {cron: "0 9 * * *", timezone: Europe/Kyiv}\n    not_after: 2h\n'
NINE = datetime(2026, 3, 28, 7, 0, tzinfo=UTC)
"""09:00 in Kyiv; the next day its clocks go forward."""


def moments(site: Site) -> list[tuple[str, str, str | None]]:
    rows = site.rows("SELECT moment, state, detail FROM runs ORDER BY id")
    return [tuple(row) for row in rows]


def known(site: Site) -> bool:
    return bool(site.rows("SELECT * FROM schedules"))


async def test_each_day_once(tmp_path: Path) -> None:
    clock = SetClock(NINE - timedelta(minutes=5))
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(3), DAILY, clock=clock) as site:
        await site.until(lambda: known(site))
        assert await site.running.broadcasts.look() == []
        for day in ("2026-03-28", "2026-03-29", "2026-03-30"):
            local = 7 if day == "2026-03-28" else 6
            wait = datetime.fromisoformat(f"{day}T{local:02}:00+00:00") - clock.now()
            clock.advance(wait.total_seconds())
            (number,) = await site.running.broadcasts.look()
            assert await site.running.broadcasts.look() == []
            await over(site, number)
            assert run_of(site, number).asked.moment == f"{day}T09:00"
        assert set(inbox.got.values()) == {3}


@pytest.mark.parametrize(
    ("down_for", "outcome"),
    [
        (25, ("2026-03-28T09:00", "done", None)),
        (185, ("2026-03-28T09:00", "skipped", "3h late, and not_after is 2h")),
    ],
)
async def test_a_bridge_that_was_down_when_it_was_due(
    tmp_path: Path, down_for: int, outcome: tuple[str, str, str | None]
) -> None:
    """Down from 08:55 to 09:20 it is sent, and to 12:00 it is skipped, and said so."""
    clock = SetClock(NINE - timedelta(minutes=5))
    async with Inbox() as inbox:
        async with shop(tmp_path, inbox, customers(3), DAILY, clock=clock) as site:
            await site.until(lambda: known(site))
        clock.advance(down_for * 60 - clock.monotonic())
        async with shop(tmp_path, inbox, customers(3), DAILY, clock=clock) as site:
            await site.until(lambda: moments(site) and run_of(site, 1).state in ("done", "skipped"))
            assert moments(site) == [outcome]
            assert len(inbox.got) == (3 if outcome[1] == "done" else 0)


async def test_a_new_broadcast_and_an_edited_schedule_look_forward_only(tmp_path: Path) -> None:
    clock = SetClock(NINE + timedelta(minutes=30))
    async with Inbox() as inbox:
        async with shop(tmp_path, inbox, customers(1), DAILY, clock=clock) as site:
            await site.until(lambda: known(site))
        edited = DAILY.replace("0 9 *", "15 9 *")
        async with shop(tmp_path, inbox, customers(1), edited, clock=clock) as site:
            await site.until(lambda: "15 9" in site.rows("SELECT schedule FROM schedules")[0].schedule)
            assert moments(site) == []
            clock.advance(timedelta(days=1, minutes=-30).total_seconds())
            assert len(await site.running.broadcasts.look()) == 1
            assert run_of(site, 1).asked.moment == "2026-03-29T09:15"


async def test_whoever_looks_at_the_same_time_asks_for_nothing_twice(tmp_path: Path) -> None:
    clock = SetClock(NINE - timedelta(minutes=5))
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(1), DAILY, clock=clock) as site:
        await site.until(lambda: known(site))
        schedule, before = site.running.store.read_now(runs.looked_at)["offer"]
        clock.advance(600)
        assert len(await site.running.broadcasts.look()) == 1
        late = runs.Look(broadcast="offer", schedule=schedule, at=clock.now(), before=before)
        assert await site.running.store.write(runs.looked, late) == ()
        assert len(moments(site)) == 1
