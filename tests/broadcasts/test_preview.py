"""What a preview says of each line is what a run then does with it."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.broadcasts.test_opt_out import CRM, hears
from tests.broadcasts.test_runs import begin, outcomes, over
from tests.cli.typed import typed
from tests.fakes.chat_server import ChatServer
from tests.fakes.inbox import Inbox
from tests.running import Site, a_site, settings_in
from tests.running import a_bridge as bridge_in
from tests.running import site as site_table

NEWS = """
audiences:
  customers: {file: audiences/customers.csv}
broadcasts:
  - {name: offer, via: site, audience: customers, text: "Hello {{ name }}"}
"""
LINES = """session,chat_server,name,timezone
aaaaaaaaaaaaaaaa,{url},Anna,Europe/Berlin
bbbbbbbbbbbbbbbb,,Bohdan,
,{url},Carl,
cccccccccccccccc,http://elsewhere.example,Dora,
dddddddddddddddd,{url},,
eeeeeeeeeeeeeeee
ffffffffffffffff,{url},Finn,Mars/Olympus
,,Gina,
AAAAAAAAAAAAAAAA,{url}/,Hugo,
aaaaaaaaaaaaaaaa,{url},Anna once more,
"""
"""Everything that may be wrong with a line, and lines with nothing wrong."""
MET = """
rules: []
audiences:
  everybody: {met: {account: crm}}
broadcasts:
  - {name: offer, via: shop, audience: everybody, text: "Hello {{ id }}"}
"""


async def preview(directory: Path, *more: str) -> str:
    done = await asyncio.to_thread(typed, directory, "broadcasts", "preview", "offer", "--few", "0", *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_line(site: Site, directory: Path) -> list[tuple[Any, ...]]:
    """What became of everybody who got nothing; without the directory, as `typed` has it."""
    found = site.rows("SELECT line, reason, detail FROM deliveries WHERE state != 'sent' ORDER BY line")
    return [(line, reason, detail.replace(f"{directory}/", "")) for line, reason, detail in found]


async def test_it_says_of_each_line_what_the_run_does_with_it(tmp_path: Path) -> None:
    async with ChatServer() as fake:
        lines = LINES.replace("{url}", fake.url)
        files = {"audiences/customers.csv": lines}
        async with bridge_in(tmp_path, site_table(fake), NEWS, files=files) as site:
            await over(site, await begin(site))
            sent, became = len(fake.received), by_line(site, tmp_path)
        said = json.loads(await preview(tmp_path, "--json"))
        assert (said["people"], sent) == (2, 2)
        assert [(one["line"], one["reason"], one["why"]) for one in said["wrong"]] == became
        assert [line for line, *_ in became] == [3, 4, 5, 6, 7, 8, 9]
        assert said["skipped"] == {
            "invalid": 2,
            "refused": 1,
            "template": 1,
            "bad line": 3,
            "the same person once more": 1,
        }
        assert (await preview(tmp_path)).splitlines()[-7:-5] == [
            "audiences/customers.csv:3:1: to.chat_server: missing; it is the base URL of the chat server",
            "audiences/customers.csv:4:1: to.session: missing; it is the chatSessionID of the conversation",
        ]


async def test_of_many_lines_that_are_wrong_it_names_the_first_and_counts_the_others(tmp_path: Path) -> None:
    incomplete = "".join(f"{number:016x},,Ann\n" for number in range(1234))
    files = {"audiences/customers.csv": f"session,chat_server,name\n{incomplete}"}
    settings_in(tmp_path, {"bridge.toml": site_table("https://chat.example.com"), "rules/rules.yaml": NEWS, **files})
    said = (await preview(tmp_path)).splitlines()
    assert said[:2] == ["0 would get it", "1,234 would not: invalid"]
    assert [line.split(": ")[0] for line in said[2:-1]] == [f"audiences/customers.csv:{n}:1" for n in range(2, 12)]
    assert said[-1] == "and 1,224 more"


async def test_an_address_to_oneself_that_nothing_can_be_sent_to_is_refused_at_once(tmp_path: Path) -> None:
    files = {"audiences/customers.csv": "session,chat_server,name\n"}
    async with a_site(tmp_path, NEWS, files=files) as (site, _):
        done = typed(tmp_path, "broadcasts", "send", "offer", "--to-self", "session=aaaaaaaaaaaaaaaa")
        said = "to.chat_server: missing; it is the base URL of the chat server\n"
        assert (done.returncode, done.stderr) == (2, said)
        assert site.rows("SELECT * FROM runs") == []


async def test_whom_the_account_has_no_address_of_are_left_out_for_one_reason(tmp_path: Path) -> None:
    async with Inbox() as inbox:
        settings = inbox.account(identity={}).replace("{}", '{email = "contact.email"}') + CRM
        async with bridge_in(tmp_path, settings, MET) as site:
            await hears(site, "hello", "a", id="7", email="ann@shop.example")
            await hears(site, "hello", "b", id="8")
            await hears(site, "hello", "c", id="9")
            await over(site, await begin(site))
            why = "account shop has no address of theirs"
            assert outcomes(site) == [
                ("email=ann@shop.example", "sent", None),
                ("crm/8", "cancelled", why),
                ("crm/9", "cancelled", why),
            ]
        assert (await preview(tmp_path)).endswith(f"1 would get it\n2 would not: {why}\n")


async def test_one_person_whom_two_accounts_have_met_gets_it_once(tmp_path: Path) -> None:
    rules = MET.replace("{met: {account: crm}}", "{met: {account: [crm, desk]}}")
    async with Inbox() as inbox:
        desk = CRM.replace("accounts.crm", "accounts.desk").replace("x-crm-key", "x-desk-key")
        settings = inbox.account(identity={}).replace("{}", '{email = "contact.email"}') + CRM + desk
        async with bridge_in(tmp_path, settings, rules) as site:
            await hears(site, "hello", "a", id="7", email="ann@shop.example")
            await hears(site, "hello", "b", by="desk", id="70", email="Ann@Shop.example")
            run = await over(site, await begin(site))
            assert (run.state, run.duplicates) == ("done", 1)
            assert inbox.texts == {"ann@shop.example": "Hello 7"}


async def test_whoever_has_no_line_is_named_by_their_address(tmp_path: Path) -> None:
    settings = '[accounts.shop]\nplatform = "webhook"\nsecrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLxNw"]\n'
    settings += 'identity = {email = "contact.email"}\n' + CRM
    async with bridge_in(tmp_path, settings, MET) as site:
        await hears(site, "hello", "a", id="7", email="ann@shop.example")
    said = (await preview(tmp_path)).splitlines()
    missing = "accounts.shop.url: missing, so there is nowhere to send to; add it, then replay"
    assert said == ["0 would get it", "1 would not: refused", f"email ann@shop.example: {missing}"]
