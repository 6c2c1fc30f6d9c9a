"""Several recipients in one call: one request, and for each of them what came of it."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bridge.app.listening import Patience
from bridge.store import intervene
from bridge.store.intervene import Filter
from tests.broadcasts.test_asked import a_club, begin, over, people
from tests.fakes.chat_server import Say
from tests.fakes.chayns import Chayns
from tests.running import Site
from tests.values import NOON


def replay(connection: Connection, numbers: Sequence[int]) -> list[list[int]]:
    hour = timedelta(hours=1)
    return [intervene.replay(connection, Filter(numbers=(one,)), NOON + hour, lambda _: hour) for one in numbers]


STOLEN = """
CREATE TRIGGER stolen AFTER UPDATE OF state ON deliveries WHEN new.person = 'users=3' AND new.state = 'claimed'
BEGIN UPDATE deliveries SET worker = 'another' WHERE id = new.id; END
"""
"""Another server has what this one has just claimed, as it happens to who stood still for longer than a lease."""


def change(connection: Connection, statements: Sequence[str]) -> list[None]:
    """What somebody else does to the store."""
    return [None for statement in statements if connection.exec_driver_sql(statement)]


def calls(fake: Chayns) -> list[list[int]]:
    return [body["UserIds"] for _, body in fake.sent]


def tries(site: Site) -> list[tuple[str, str, str | None]]:
    rows = site.rows("SELECT d.person, a.outcome, a.detail FROM attempts a JOIN deliveries d ON d.id = a.delivery "
                     "ORDER BY d.id, a.number")  # fmt: skip
    return [tuple(row) for row in rows]


async def test_those_who_are_told_the_same_are_told_in_one_call(tmp_path: Path) -> None:
    async with Chayns() as fake, a_club(tmp_path, fake, "Dues are due", together=40, max_in_flight=2) as site:
        fake.groups = {3: list(range(1, 101)), 5: [100, 101]}
        assert (await over(site, await begin(site))).state == "done"
        assert sorted(number for call in calls(fake) for number in call) == list(range(1, 102))
        assert all(len(call) <= 40 for call in calls(fake))
        assert len(fake.sent) < 10
        assert {body["UseGroupChat"] for _, body in fake.sent if len(body["UserIds"]) > 1} == {False}
        assert [state for _, state, _ in people(site)] == ["sent"] * 101
        assert {outcome for _, outcome, _ in tries(site)} == {"sent"}
        assert len(tries(site)) == 101


async def test_who_is_told_something_else_is_told_alone(tmp_path: Path) -> None:
    text = "{% if id > 10 %}Old{% else %}New{% endif %}"
    async with Chayns() as fake, a_club(tmp_path, fake, text) as site:
        fake.groups = {3: list(range(1, 21)), 5: []}
        assert (await over(site, await begin(site))).state == "done"
        said = {number: body["Message"] for _, body in fake.sent for number in body["UserIds"]}
        assert said == {number: "Old" if number > 10 else "New" for number in range(1, 21)}


async def test_each_gets_a_message_of_their_own_where_the_account_says_so(tmp_path: Path) -> None:
    async with Chayns() as fake, a_club(tmp_path, fake, "Dues are due", together=1) as site:
        fake.groups = {3: list(range(1, 11)), 5: []}
        assert (await over(site, await begin(site))).state == "done"
        assert sorted(calls(fake)) == [[number] for number in range(1, 11)]


async def test_what_nobody_knows_of_the_call_nobody_knows_of_each(tmp_path: Path) -> None:
    async with Chayns() as fake, a_club(tmp_path, fake, "Dues are due", max_in_flight=1) as site:
        fake.groups = {3: [1, 2, 3], 5: []}
        fake.answers.extend([Say(body='{"data":[{"userId":1},{"userId":2},{"userId":3}]}'), Say(body='{"data":[]}')])
        fake.answers.append("reset")
        await over(site, await begin(site))
        assert [state for _, state, _ in people(site)] == ["unknown"] * 3
        assert calls(fake) == [[1, 2, 3]]
        assert {detail and detail.partition(":")[0] for _, _, detail in tries(site)} == {"in one call for 3"}
        assert await site.running.store.write(replay, 2) == [2]
        await site.until(lambda: people(site)[1][1] == "sent", tick=0.5)
        assert calls(fake)[-1] == [2]
        assert [state for _, state, _ in people(site)] == ["unknown", "sent", "unknown"]


async def test_a_bridge_that_stops_in_the_middle_of_the_call_holds_all_of_them(tmp_path: Path) -> None:
    async with Chayns() as fake:
        fake.groups = {3: [1, 2, 3], 5: []}
        members = Say(body='{"data":[{"userId":1},{"userId":2},{"userId":3}]}')
        fake.answers.extend([members, Say(body='{"data":[]}'), "hang"])
        async with a_club(tmp_path, fake, "Dues are due", Patience(grace=0.01)) as site:
            number = await begin(site)
            await site.until(lambda: fake.sent)
        async with a_club(tmp_path, fake, "Dues are due") as site:
            assert (await over(site, number)).state == "done"
            assert [state for _, state, _ in people(site)] == ["unknown"] * 3
        assert calls(fake) == [[1, 2, 3]]


async def test_a_call_that_is_refused_is_made_for_each_alone(tmp_path: Path) -> None:
    """So that one who cannot be written to takes nobody else along."""
    async with Chayns() as fake, a_club(tmp_path, fake, "Dues are due", max_in_flight=1) as site:
        fake.groups, fake.strangers = {3: list(range(1, 8)), 5: []}, {4}
        await over(site, await begin(site))
        assert [state for _, state, _ in people(site)] == ["sent", "sent", "sent", "dead", "sent", "sent", "sent"]
        assert sorted(number for call in calls(fake) for number in call) == [1, 2, 3, 5, 6, 7]


async def test_what_another_server_has_taken_over_is_left_to_it(tmp_path: Path) -> None:
    """Its lease ran out before the call: it is not in the call, and the others get theirs once."""
    async with Chayns() as fake, a_club(tmp_path, fake, "Dues are due", max_in_flight=1) as site:
        fake.groups = {3: list(range(1, 6)), 5: []}
        await site.running.store.write(change, STOLEN)
        await begin(site)
        await site.until(lambda: [state for _, state, _ in people(site)].count("sent") == 4, tick=0.5)
        assert sorted(calls(fake)) == [[1], [2], [4], [5]]
        rows = site.rows("SELECT state, worker, unsure_since FROM deliveries WHERE person = 'users=3'")
        assert [tuple(row) for row in rows] == [("claimed", "another", None)]


@pytest.mark.parametrize("cause", ["refused", "taken over"])
async def test_a_bridge_that_stops_between_the_calls_for_each_gives_the_others_back(tmp_path: Path, cause: str) -> None:
    async with Chayns() as fake:
        fake.groups = {3: list(range(1, 6)), 5: []}
        members = Say(body='{"data":[' + ",".join(f'{{"userId":{number}}}' for number in range(1, 6)) + "]}")
        fake.answers.extend([members, Say(body='{"data":[]}')])
        fake.answers.extend([Say(status=404), "hang"] if cause == "refused" else ["hang"])
        async with a_club(tmp_path, fake, "Dues are due", Patience(grace=0.01), max_in_flight=1) as site:
            if cause == "taken over":
                await site.running.store.write(change, STOLEN)
            number = await begin(site)
            await site.until(lambda: fake.sent, tick=0.5)
            assert calls(fake) == [[1]]
            await site.running.store.write(change, "DROP TRIGGER IF EXISTS stolen")
        async with a_club(tmp_path, fake, "Dues are due", max_in_flight=1) as site:
            assert (await over(site, number)).state == "done"
            assert [state for _, state, _ in people(site)] == ["unknown", "sent", "sent", "sent", "sent"]
        assert sorted(calls(fake)) == [[1], [2], [3], [4], [5]]


async def test_a_call_that_may_be_made_again_is_made_again_for_all(tmp_path: Path) -> None:
    async with Chayns() as fake, a_club(tmp_path, fake, "Dues are due", max_in_flight=1) as site:
        fake.groups = {3: list(range(1, 8)), 5: []}
        members = Say(body='{"data":[' + ",".join(f'{{"userId":{number}}}' for number in range(1, 8)) + "]}")
        fake.answers.extend([members, Say(body='{"data":[]}'), Say(status=503), Say(status=503)])
        assert (await over(site, await begin(site))).state == "done"
        assert sorted(number for call in calls(fake) for number in call) == list(range(1, 8))


async def test_a_wrong_key_is_not_tried_for_each(tmp_path: Path) -> None:
    async with Chayns() as fake, a_club(tmp_path, fake, "Dues are due", max_in_flight=1) as site:
        fake.groups = {3: list(range(1, 8)), 5: []}
        members = Say(body='{"data":[' + ",".join(f'{{"userId":{number}}}' for number in range(1, 8)) + "]}")
        fake.answers.extend([members, Say(body='{"data":[]}'), Say(status=401)])
        await over(site, await begin(site))
        assert [state for _, state, _ in people(site)] == ["dead"] * 7
        assert fake.sent == []
