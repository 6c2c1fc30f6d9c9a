"""Audiences that a platform is asked for: page by page, within the budget, through crashes and trouble."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.app.listening import Patience
from bridge.clock import SetClock
from bridge.model.broadcast import Asked, Run
from bridge.store import runs
from tests.fakes.chat_server import Say
from tests.fakes.chayns import LOCATION, SECRET, TAPP, Chayns
from tests.fakes.helpcrunch import KEY, HelpCrunch
from tests.fakes.helpcrunch_errors import too_many
from tests.running import Site, a_bridge
from tests.values import NOON

OFFER = """
audiences:
  berlin: {helpcrunch: {account: shop, filter: [{field: customers.city, operator: "=", value: Berlin}]}}
broadcasts:
  - {name: offer, via: shop, audience: berlin, text: "Hello {{ name | default('friend') }}"}
"""
CLUB = """
audiences:
  members: {chayns: {account: club, uac_groups: [3, 5], each: true}}
broadcasts:
  - {name: offer, via: club, audience: members, text: "TEXT"}
"""


def table(name: str, options: Mapping[str, object]) -> str:
    return f"[accounts.{name}]\n" + "".join(
        f'{key} = "{value}"\n' if isinstance(value, str) else f"{key} = {value}\n" for key, value in options.items()
    )


@asynccontextmanager
async def a_shop(
    directory: Path, fake: HelpCrunch, clock: SetClock | None = None, **options: object
) -> AsyncIterator[Site]:
    given = {"platform": "helpcrunch", "base_url": fake.url, "api_key": KEY, "agent": 4188, "customers_per_page": 20}
    async with a_bridge(directory, table("shop", {**given, **options}), OFFER, clock=clock) as site:
        yield site


@asynccontextmanager
async def a_club(
    directory: Path, fake: Chayns, text: str, patience: Patience | None = None, **options: object
) -> AsyncIterator[Site]:
    given = {"platform": "chayns", "base_url": fake.url, "location_id": LOCATION, "tapp_id": TAPP, "secret": SECRET}
    settings, rules = table("club", {**given, **options}), CLUB.replace("TEXT", text)
    async with a_bridge(directory, settings, rules, patience=patience) as site:
        yield site


def fill(fake: HelpCrunch, count: int, city: str = "Berlin", first: int = 1) -> None:
    """So many customers, each in a chat of the customer's number."""
    for number in range(first, first + count):
        customer: dict[str, Any] = {"id": number, "name": f"Customer {number}", "city": city}
        fake.add_customer(customer)
        fake.add_chat(number, customer)


async def begin(site: Site, **more: Any) -> int:
    asked = Asked(broadcast="offer", moment="by hand", at=site.clock.now(), asked_by="person", **more)
    number = await site.running.store.write(runs.ask, asked)
    assert number is not None
    return number


def run_of(site: Site, number: int) -> Run:
    run = site.running.store.read_now(lambda connection: runs.find(connection, number))
    assert run is not None
    return run


async def over(site: Site, number: int) -> Run:
    await site.until(lambda: run_of(site, number).state not in ("asked", "planning", "running"), tick=0.5)
    return run_of(site, number)


def people(site: Site) -> list[tuple[str, str, str | None]]:
    rows = site.rows("SELECT person, state, detail FROM deliveries ORDER BY id")
    return [tuple(row) for row in rows]


def pages(fake: HelpCrunch) -> list[int]:
    """The offsets at which customers were asked for."""
    return [one["offset"] for one in fake.searches if one["filter"][0]["field"].startswith("customers.")]


async def test_everybody_whom_a_search_finds_gets_it_once(tmp_path: Path) -> None:
    async with HelpCrunch() as fake, a_shop(tmp_path, fake) as site:
        fill(fake, 45)
        fill(fake, 30, city="Paris", first=100)
        fake.customers[7]["unsubscribed"] = True
        fake.customers[8]["name"] = None
        run = await over(site, await begin(site))
        assert (run.state, run.detail) == ("done", None)
        said = {message["chat"]: message["text"] for message in fake.messages}
        wanted = {number: f"Hello Customer {number}" for number in range(1, 46) if number != 7} | {8: "Hello friend"}
        assert (said, len(fake.messages)) == (wanted, 44)
        assert ("customer=7", "cancelled", "opted out in HelpCrunch") in people(site)
        assert pages(fake) == [0, 10, 20, 30]
        assert fake.refused == []


async def test_a_bridge_that_stops_while_it_asks_goes_on_with_the_next_page(tmp_path: Path) -> None:
    """The clock stands still, so that the pace of broadcasts lets each life ask for one page."""
    clock = SetClock(NOON)
    async with HelpCrunch() as fake:
        fill(fake, 95)
        async with a_shop(tmp_path, fake, clock) as site:
            number = await begin(site)
        for lives in (1, 2, 3):
            async with a_shop(tmp_path, fake, clock) as site:
                await site.until(lambda most=lives * 10 + 10: len(people(site)) >= most, tick=0)  # type: ignore[misc]
                assert run_of(site, number).state == "planning"
        async with a_shop(tmp_path, fake, clock, budget="6000/min") as site:
            assert (await over(site, number)).state == "done"
        assert sorted(message["chat"] for message in fake.messages) == list(range(1, 96))
        assert pages(fake) == list(range(0, 90, 10))


async def test_a_platform_that_wants_a_pause_gets_it(tmp_path: Path) -> None:
    async with HelpCrunch() as fake, a_shop(tmp_path, fake) as site:
        fill(fake, 3)
        fake.answers.extend([too_many("40"), Say(status=503, body="down")])
        assert (await over(site, await begin(site))).state == "done"
        assert sorted(message["chat"] for message in fake.messages) == [1, 2, 3]
        assert (site.clock.now() - NOON).total_seconds() >= 40


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([Say(status=401, body="no")], "accounts.shop: the audience cannot be asked for: 401: no"),
        ([Say(status=503, body="down")] * 20, "accounts.shop: the audience cannot be asked for: 503: down, after "),
        ([Say(status=429, headers={"Retry-After": "7200"})], "accounts.shop: the audience cannot be asked for: 429"),
    ],
)
async def test_a_platform_that_does_not_say_who_they_are_fails_the_run(
    tmp_path: Path, answers: list[Say], why: str
) -> None:
    async with HelpCrunch() as fake, a_shop(tmp_path, fake, expires="60s", budget="6000/min") as site:
        fill(fake, 25)
        fake.answers.extend([None, *answers])
        run = await over(site, await begin(site))
        assert run.state == "failed"
        assert str(run.detail).startswith(why)
        assert fake.messages == []
        await site.until(lambda: {state for _, state, _ in people(site)} == {"cancelled"})


async def test_only_to_one_address_it_is_as_the_first_would_get_it(tmp_path: Path) -> None:
    async with HelpCrunch() as fake, a_shop(tmp_path, fake) as site:
        fill(fake, 30)
        fake.customers[1]["unsubscribed"] = True
        fake.add_chat(99, {"id": 99})
        assert (await over(site, await begin(site, only={"chat": 99}))).state == "done"
        assert [(message["chat"], message["text"]) for message in fake.messages] == [(99, "Hello Customer 1")]
        assert pages(fake) == [0]


async def test_every_member_of_uac_groups_gets_it_once(tmp_path: Path) -> None:
    async with Chayns() as fake, a_club(tmp_path, fake, "Hello {{ firstName | default('you') }} {{ id }}") as site:
        fake.groups = {3: [1001, 1002], 5: [1002, 1003]}
        run = await over(site, await begin(site))
        assert (run.state, run.duplicates) == ("done", 1)
        assert sorted((body["UserIds"], body["Message"]) for _, body in fake.sent) == [
            ([number], f"Hello Anna {number}") for number in (1001, 1002, 1003)
        ]
        assert fake.refused == []


async def test_members_are_asked_for_page_by_page_where_the_query_says_how(tmp_path: Path) -> None:
    async with Chayns() as fake, a_club(tmp_path, fake, "Hello {{ id }}", members_query="skip={offset}") as site:
        fake.groups, fake.page = {3: list(range(1, 26)), 5: []}, 10
        assert (await over(site, await begin(site))).state == "done"
        assert sorted(body["UserIds"] for _, body in fake.sent) == [[number] for number in range(1, 26)]
        assert fake.refused == []
