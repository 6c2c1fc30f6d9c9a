"""The metrics of runs: what is under way, what ended how, and what was too late."""

from datetime import timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bridge.clock import SetClock
from bridge.store import runs
from tests.broadcasts.test_runs import OFFER, begin, customers, over, shop, states
from tests.broadcasts.test_scheduled import DAILY, NINE, known
from tests.fakes.inbox import Inbox
from tests.running import Site


async def metrics(site: Site) -> dict[str, float]:
    """The metrics of runs: "runs offer paused" -> 1."""
    # Counts are kept for a while, so that reading them often costs nothing.
    site.clock.advance(60)
    async with site.client.get(f"{site.running.url}/metrics") as answer:
        text = await answer.text()
    return {
        " ".join((sample.name.removeprefix("replybridge_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("replybridge_run") and "bucket" not in sample.name and "book" not in sample.name
    }


async def test_runs_and_their_recipients_until_they_are_over(tmp_path: Path) -> None:
    people = customers(8, "broken")
    async with Inbox() as inbox, shop(tmp_path, inbox, people, OFFER + "    rate: 1/h\n") as site:
        number = await begin(site)
        await site.until(lambda: states(site, number).get("sent") == 1)
        change = runs.Change(run=number, come_from=("running",), to="paused", at=site.clock.now())
        assert await site.running.store.write(runs.change, change)
        found = await metrics(site)
        assert found["runs offer paused"] == 1
        assert {name: many for name, many in found.items() if name.startswith("run_recipients")} == {
            "run_recipients offer planned": 7,
            "run_recipients offer sent": 1,
            "run_recipients offer cancelled": 1,
        }
        assert found["run_late_seconds_count"] == 1
        change = runs.Change(run=number, come_from=("paused",), to="cancelled", at=site.clock.now())
        assert await site.running.store.write(runs.change, change)
        found = await metrics(site)
        assert [name for name in found if name.startswith(("runs ", "run_recipients"))] == []


async def test_what_ended_how_and_what_was_too_late(tmp_path: Path) -> None:
    clock = SetClock(NINE - timedelta(minutes=5))
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(2), DAILY, clock=clock) as site:
        await over(site, await begin(site))
        (tmp_path / "audiences/customers.csv").unlink()
        assert (await over(site, await begin(site, "again"))).state == "failed"
        await site.until(lambda: known(site))
        clock.advance(timedelta(days=3, hours=5).total_seconds())
        assert len(await site.running.broadcasts.look()) == 4
        found = await metrics(site)
        assert found["runs_ended_total offer done"] == 1
        assert found["runs_ended_total offer failed"] == 1
        assert found["runs_ended_total offer skipped"] == 4
        # What was skipped never began.
        assert found["run_late_seconds_count"] == 2
