"""Whoever cannot be worded gets nothing, however often somebody tries, and the others get it all the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from bridge.store import intervene, runs
from bridge.store.intervene import Filter
from tests.broadcasts.test_runs import OFFER, begin, customers, outcomes, over, shop, states
from tests.cli.typed import typed
from tests.fakes.inbox import Inbox

NEEDS_A_NAME = OFFER.replace("name | default('friend')", "name")


def nameless(count: int) -> Sequence[str]:
    return [f"nobody{number}@shop.example," for number in range(count)]


def replay_unworded(connection: Connection, moments: Sequence[datetime]) -> list[list[int]]:
    """A person replays what was never made, at the bridge's own time."""
    unworded, hour = Filter(reason="template"), timedelta(hours=1)
    return [intervene.replay(connection, unworded, at, lambda _: hour) for at in moments]


async def test_what_could_not_be_worded_is_not_sent_without_words(tmp_path: Path) -> None:
    """Neither is it when a person has all that failed sent again."""
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(2, *nameless(1)), NEEDS_A_NAME) as site:
        inbox.answers.append(400)
        await over(site, await begin(site))
        [(_, state, why)] = [one for one in outcomes(site) if one[0] == "email=nobody0@shop.example"]
        assert (state, why is None) == ("dead", False)
        done = typed(tmp_path, "broadcasts", "retry", "1")
        unworded = "1 could not be worded, so there is nothing to send to them; status tells why\n"
        assert done.stdout == f"1 will get it again\n{unworded}"
        await over(site, 1)
        assert typed(tmp_path, "broadcasts", "retry", "1").stdout == unworded
        assert await site.running.store.write(replay_unworded, site.clock.now()) == []
        assert inbox.texts == {"user0@shop.example": "Hello User 0", "user1@shop.example": "Hello User 1"}
        assert outcomes(site)[2][1:] == ("dead", why)
        assert site.rows("SELECT reason FROM deliveries WHERE state = 'dead'") == [("template",)]


async def test_a_few_of_many_pause_no_run(tmp_path: Path) -> None:
    people, rules = customers(150, *nameless(30)), NEEDS_A_NAME + "    rate: 20/s\n"
    async with Inbox() as inbox, shop(tmp_path, inbox, people, rules) as site:
        run = await over(site, await begin(site))
        assert (run.state, run.detail, states(site, run.id)) == ("done", None, {"sent": 150, "dead": 30})


async def test_where_they_are_too_many_nothing_is_sent_until_a_person_lets_it(tmp_path: Path) -> None:
    people = customers(60, *nameless(30))
    async with Inbox() as inbox, shop(tmp_path, inbox, people, NEEDS_A_NAME) as site:
        run = await over(site, await begin(site))
        assert (run.state, run.detail) == ("paused", "30 of 90 could not be worded, and pause_if_failed is 0.2")
        assert inbox.calls == 0
        change = runs.Change(run=run.id, come_from=("paused",), to="running", at=site.clock.now(), forgive=True)
        assert await site.running.store.write(runs.change, change)
        assert (await over(site, run.id)).state == "done"
        assert states(site, run.id) == {"sent": 60, "dead": 30}
