"""Who is forgotten is gone from the broadcasts, too: from the ledgers of their runs and from what started these."""

from pathlib import Path

from bridge.model.broadcast import Asked
from bridge.store import runs
from tests.broadcasts.test_opt_out import CRM, hears
from tests.broadcasts.test_runs import over, run_of
from tests.cli.test_forget import bytes_of
from tests.cli.typed import typed
from tests.fakes.inbox import Inbox
from tests.running import Site, a_bridge
from tests.values import NOON

RULES = """
rules:
  - name: relay
    on: message
    when: {text: {starts_with: tell}}
    do:
      - remember: {unsubscribed: false}
        scope: contact
      - broadcast: {name: offer, variables: {what: "{{ text }}"}}
audiences:
  customers: {file: audiences/customers.csv}
  met: {met: {account: crm}}
broadcasts:
  - name: offer
    via: shop
    audience: customers
    to: {email: email}
    text: "Hello {{ name }}: {{ what | default('news') }}"
  - {name: by-phone, via: shop, audience: met, text: "Hello"}
"""
PEOPLE = "email,name\nann@shop.example,Ann Smith\nbob@shop.example,Bob\n"
OF_ANN = (b"ann@shop", b"ann smith", b"crm-ann-0815", b"ann's secret", b"5550123")


async def sent(site: Site, broadcast: str, **more: object) -> None:
    asked = Asked(broadcast=broadcast, moment=f"{broadcast} {len(more)}", at=NOON, asked_by="person", **more)  # type: ignore[arg-type]
    number = await site.running.store.write(runs.ask, asked)
    assert number is not None
    assert (await over(site, number)).state == "done"


async def test_who_is_forgotten_is_gone_from_runs_and_their_ledgers(tmp_path: Path) -> None:
    async with Inbox() as inbox:
        settings = inbox.account(identity_of="x").replace('identity_of = "x"', 'identity = {email = "contact.phone"}')
        files = {"audiences/customers.csv": PEOPLE}
        async with a_bridge(tmp_path, settings + CRM, RULES, files=files) as site:
            await hears(site, "tell Ann's secret", "a talk", id="crm-ann-0815")
            await hears(site, "hello", "a talk", id="crm-ann-0815", email="Ann@shop.example")
            await hears(site, "hello", "another talk", id="crm-bob")
            await over(site, 1)
            await sent(site, "offer")
            await sent(site, "offer", only={"email": "ann@shop.example"}, variables={"what": "call +49 170 5550123"})
            await sent(site, "by-phone")
            before = bytes_of(tmp_path)
            assert [said for said in OF_ANN if said not in before] == []
            done = typed(tmp_path, "forget", "ann@shop.example", "--yes")
            assert (done.returncode, done.stderr) == (0, "")
            assert "4 deliveries, 1 memory, 0 files, 2 runs of broadcasts; known as" in done.stdout
            assert done.stdout.endswith("the files of the store say none of it any more\n")
            after = bytes_of(tmp_path)
            left = site.rows("SELECT person, state FROM deliveries WHERE run = 2")
            assert [tuple(row) for row in left] == [("email=bob@shop.example", "sent")]
            assert [run_of(site, number).state for number in (1, 2, 3, 4)] == ["done"] * 4
            assert run_of(site, 3).asked.only == {}
            # What they wrote went out to Bob, and is his now.
            assert [said for said in OF_ANN if said in after] == [b"ann's secret"]
            assert b"tell ann's secret" in after


async def test_a_run_that_is_about_them_is_planned_first_or_cancelled(tmp_path: Path) -> None:
    async with Inbox() as inbox:
        files = {"audiences/customers.csv": PEOPLE}
        async with a_bridge(tmp_path, inbox.account() + CRM, RULES, files=files) as site:
            asked = Asked(broadcast="offer", moment="1", at=NOON, only={"email": "ann@shop.example"})
            number = await site.running.store.write(runs.ask, asked)
            assert number is not None
            change = runs.Change(run=number, come_from=("asked",), to="paused", at=NOON)
            assert await site.running.store.write(runs.change, change)
            refused = typed(tmp_path, "forget", "ann@shop.example", "--yes")
            why = "run 1 of offer is about them, and not planned yet; try again, or cancel it\n"
            assert (refused.returncode, refused.stderr) == (2, why)
            change = runs.Change(run=number, come_from=("paused",), to="cancelled", at=NOON)
            assert await site.running.store.write(runs.change, change)
            assert typed(tmp_path, "forget", "ann@shop.example", "--yes").returncode == 0
            assert run_of(site, 1).asked.only == {}
            assert typed(tmp_path, "forget", "ann@shop.example").stdout == "nothing is kept of ann@shop.example\n"
