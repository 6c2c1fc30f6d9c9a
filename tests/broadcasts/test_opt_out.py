"""Who has opted out gets no broadcasts: by whatever account they have said so, and for as long as the store is kept."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.model.broadcast import Asked
from bridge.store import runs
from bridge.store.retention import drop, find_old
from tests.broadcasts.test_runs import OFFER, begin, outcomes, over
from tests.fakes.chat_server import ChatServer
from tests.fakes.inbox import Inbox
from tests.running import Site, a_bridge
from tests.running import site as site_table
from tests.values import NOON

RULES = """
rules:
  - name: opt-out
    on: message
    when: {text: {is: stop}}
    do: [{remember: {unsubscribed: true}, scope: contact}]
  - name: opt-in
    on: message
    when: {text: {is: start}}
    do: [{forget: unsubscribed, scope: contact}]
"""
PEOPLE = "email,id,vip\nann@shop.example,,\nBOB@Shop.example,,\ncarl@shop.example,,\ndora@shop.example,,yes\n"


CRM = """
[accounts.crm]
platform = "webhook"
scheme = "header"
header = "x-crm-key"
secrets = ["shared-secret-0123456789"]
"""


async def writes(site: Site, text: str, email: str, name: str) -> None:
    """Another account hears it, which knows the contact by an id and by their e-mail address."""
    await hears(site, text, name, id=f"crm-{name}", email=email)


async def hears(site: Site, text: str, conversation: str, by: str = "crm", **contact: str) -> None:
    """Another account hears it from a contact of whom it knows this much."""
    event: dict[str, object] = {"id": f"{conversation} {text} {contact}", "kind": "message", "text": text}
    event |= {"conversation": conversation, "contact": contact}
    headers = {f"x-{by}-key": "shared-secret-0123456789"}
    url = f"{site.running.url}/hooks/{by}"
    async with site.client.post(url, json=event, headers=headers) as answer:
        assert answer.status == 202, await answer.text()


async def test_who_has_opted_out_elsewhere_is_skipped_and_the_reason_is_kept(tmp_path: Path) -> None:
    rules = RULES + OFFER + "    skip_if: vip is defined\n"
    async with Inbox() as inbox:
        settings = inbox.account() + CRM
        files = {"audiences/customers.csv": PEOPLE}
        async with a_bridge(tmp_path, settings, rules, files=files) as site:
            await writes(site, "STOP", "bob@shop.example", "bob")
            await writes(site, "STOP", "carl@shop.example", "carl")
            await writes(site, "START", "carl@shop.example", "carl")
            await over(site, await begin(site))
            assert set(inbox.got) == {"ann@shop.example", "carl@shop.example"}
            assert outcomes(site)[1] == ("email=bob@shop.example", "cancelled", "opted out")
            assert outcomes(site)[3] == ("email=dora@shop.example", "cancelled", "skip_if: vip is defined")


@pytest.mark.parametrize("stopped", ["crm", "desk"])
async def test_who_has_said_no_to_one_account_has_said_no_whatever_another_remembers(
    tmp_path: Path, stopped: str
) -> None:
    rules = (
        RULES
        + "  - {name: box, on: message, when: {text: box}, do: [{remember: {unsubscribed: false}, scope: contact}]}\n"
    )
    async with Inbox() as inbox:
        settings = inbox.account() + CRM + CRM.replace("crm", "desk")
        files = {"audiences/customers.csv": "email\nann@shop.example\nbob@shop.example\n"}
        async with a_bridge(tmp_path, settings, rules + OFFER, files=files) as site:
            for account in ("crm", "desk"):
                said = "STOP" if account == stopped else "box"
                await hears(site, said, "ann's talk", account, id=f"{account}-ann", email="ann@shop.example")
            await over(site, await begin(site))
            assert outcomes(site)[0] == ("email=ann@shop.example", "cancelled", "opted out")
            assert set(inbox.got) == {"bob@shop.example"}


async def test_an_opt_out_is_kept_when_all_else_is_too_old_to_be(tmp_path: Path) -> None:
    async with Inbox() as inbox:
        settings = inbox.account() + CRM
        files = {"audiences/customers.csv": PEOPLE}
        async with a_bridge(tmp_path, settings, RULES + OFFER, files=files) as site:
            await writes(site, "STOP", "bob@shop.example", "bob")
            later = site.clock.now() + timedelta(days=400)
            store = site.running.store
            while old := store.read_now(lambda connection: find_old(connection, later)):
                await store.write(drop, (later, old))
            assert site.rows("SELECT * FROM conversations") == []
            await over(site, await begin(site))
            assert "bob@shop.example" not in {person.casefold() for person in inbox.got}
            assert len(inbox.got) == 3


MET = """
rules:
  - name: vip
    on: message
    when: {text: {is: gold}}
    do: [{remember: {vip: true}, scope: contact}]
  - name: opt-out
    on: message
    when: {text: {is: stop}}
    do: [{remember: {unsubscribed: true}, scope: contact}]
audiences:
  golden: {met: {account: crm, when: {contact.memory.vip: true, not: {contact.email: {ends_with: "@staff.example"}}}}}
broadcasts:
  - {name: offer, via: shop, audience: golden, text: "Hello {{ contact.email }}, met by {{ account }}"}
"""


async def test_whom_the_bridge_has_met_and_a_condition_holds_for(tmp_path: Path) -> None:
    async with Inbox() as inbox:
        settings = inbox.account(identity_of="contact.email") + CRM
        settings = settings.replace('identity_of = "contact.email"', 'identity = {email = "contact.email"}')
        async with a_bridge(tmp_path, settings, MET) as site:
            for name, texts in {"ann": ["gold"], "bob": ["hello"], "carl": ["gold", "stop"], "dora": ["gold"]}.items():
                host = "staff" if name == "dora" else "shop"
                for text in texts:
                    await writes(site, text, f"{name}@{host}.example", name)
            run = await over(site, await begin(site))
            assert (run.state, run.detail) == ("done", None)
            assert inbox.texts == {"ann@shop.example": "Hello ann@shop.example, met by crm"}
            assert outcomes(site)[1] == ("email=carl@shop.example", "cancelled", "opted out")


LATER = {
    "an id, then an e-mail address": [{"id": "7"}, {"id": "7", "email": "Bob@shop.example"}],
    "nothing, then an e-mail address": [{}, {"email": "Bob@shop.example"}],
    "nothing, then an id, then an e-mail address": [{}, {"id": "7"}, {"id": "7", "email": "bob@SHOP.example"}],
    "nothing, then an e-mail address, then an id": [{}, {"email": "Bob@shop.example"}, {"id": "7"}],
    "an e-mail address, then a telephone number": [{"email": "bob@elsewhere.example"}, {"phone": "+49 (170) 555-0123"}],
    "nothing, then a telephone number": [{}, {"phone": "0049 170 5550123"}],
}


@pytest.mark.parametrize("shown", LATER.values(), ids=LATER)
async def test_who_opted_out_before_their_address_was_known_is_found_by_it(
    tmp_path: Path, shown: list[dict[str, str]]
) -> None:
    people = "email,phone\nann@shop.example,\nbob@shop.example,+491705550123\n"
    async with Inbox() as inbox:
        files = {"audiences/customers.csv": people}
        async with a_bridge(tmp_path, inbox.account() + CRM, RULES + OFFER, files=files) as site:
            await hears(site, "STOP", "a talk", **shown[0])
            for number, contact in enumerate(shown[1:]):
                await hears(site, f"hello {number}", "a talk", **contact)
            await over(site, await begin(site))
            assert set(inbox.got) == {"ann@shop.example"}
            # What they take back is taken back under all their names.
            await hears(site, "START", "a talk", **shown[-1])
            await over(site, await begin(site, "again"))
            assert inbox.got == {"ann@shop.example": 2, "bob@shop.example": 1}


async def test_another_person_in_the_same_conversation_has_not_opted_out(tmp_path: Path) -> None:
    async with Inbox() as inbox:
        files = {"audiences/customers.csv": "email\nann@shop.example\nbob@shop.example\n"}
        async with a_bridge(tmp_path, inbox.account() + CRM, RULES + OFFER, files=files) as site:
            await hears(site, "STOP", "the same computer", id="1", email="ann@shop.example")
            await hears(site, "hello", "the same computer", id="2", email="bob@shop.example")
            await over(site, await begin(site))
            assert set(inbox.got) == {"bob@shop.example"}


async def test_what_is_remembered_of_somebody_follows_them_to_their_name(tmp_path: Path) -> None:
    rules = """
rules:
  - {name: gold, on: message, when: {text: gold}, do: [{remember: {tier: gold}, scope: contact}]}
  - {name: once, on: message, when: {text: hello}, limit: {times: 1, per: contact}, do: [{remember: {greeted: yes}}]}
  - name: told
    on: message
    when: {text: who am I, contact.memory.tier: gold}
    do: [{remember: {seen: true}, scope: contact}]
"""
    async with Inbox() as inbox, a_bridge(tmp_path, inbox.account() + CRM, rules) as site:
        await hears(site, "gold", "a talk")
        await hears(site, "hello", "a talk")
        # The very event that shows the name finds what was remembered before.
        await hears(site, "who am I", "a talk", email="ann@shop.example")
        await hears(site, "hello", "a talk", email="ann@shop.example", id="7")
        [(key, document)] = site.rows("SELECT key, document FROM memories WHERE key LIKE 'contact/%'")
        assert key == "contact/crm/7"
        kept = json.loads(document)
        assert kept["facts"] == {"tier": "gold", "seen": True}
        assert len(kept["fired"]["once"]) == 1


PERKS = """
rules:
  - {name: gold, on: message, when: {text: gold}, do: [{remember: {tier: gold}, scope: contact}]}
  - {name: silver, on: message, when: {text: silver}, do: [{remember: {tier: silver, since: 2020}, scope: contact}]}
  - {name: once, on: message, when: {text: hello}, limit: {times: 2, per: contact}, do: [{remember: {greeted: yes}}]}
"""


def remembered(site: Site) -> dict[str, dict[str, object]]:
    """What is remembered of contacts: the facts by the name under which they are kept."""
    rows = site.rows("SELECT key, document FROM memories WHERE key LIKE 'contact/crm/%'")
    return {key.removeprefix("contact/crm/"): json.loads(document).get("facts", {}) for key, document in rows}


@pytest.mark.parametrize(
    "own", [{"email": "bob@shop.example"}, {"id": "7"}, {"id": "7", "email": "ann@shop.example"}], ids=str
)
async def test_who_shares_a_number_or_gives_another_persons_takes_nothing_from_them(
    tmp_path: Path, own: dict[str, str]
) -> None:
    async with Inbox() as inbox, a_bridge(tmp_path, inbox.account() + CRM, PERKS) as site:
        await hears(site, "gold", "ann's talk", phone="+49 170 1")
        await hears(site, "hello", "another talk", phone="+49 170 1")
        await hears(site, "hello again", "another talk", **own)
        assert remembered(site)["+49 170 1"] == {"tier": "gold"}


async def test_what_others_know_of_an_address_counts_before_what_comes_along(tmp_path: Path) -> None:
    """Whoever gives somebody else's e-mail address changes nothing that is remembered under it already."""
    async with Inbox() as inbox, a_bridge(tmp_path, inbox.account() + CRM, PERKS) as site:
        await hears(site, "gold", "ann's talk", email="ann@shop.example")
        await hears(site, "silver", "another talk")
        await hears(site, "anything", "another talk", email="ann@shop.example")
        assert remembered(site) == {"ann@shop.example": {"tier": "gold", "since": 2020}}
        # Both have a part in it now, so that none of them takes it along.
        await hears(site, "anything", "ann's talk", id="7")
        assert set(remembered(site)) == {"ann@shop.example", "7"}


async def test_what_is_joined_again_and_again_counts_once(tmp_path: Path) -> None:
    async with Inbox() as inbox, a_bridge(tmp_path, inbox.account() + CRM, PERKS) as site:
        await hears(site, "hello", "ann's talk", phone="+49 170 1")
        for talk in ("a", "b"):
            await hears(site, "anything", talk, phone="+49 170 1")
            await hears(site, "anything", talk, id="7")
        [document] = site.rows("SELECT document FROM memories WHERE key = 'contact/crm/7'")
        assert len(json.loads(document[0])["fired"]["once"]) == 1


async def test_who_opted_out_without_a_name_is_found_by_their_conversation(tmp_path: Path) -> None:
    rules = (
        RULES
        + """
audiences:
  met: {met: {account: site}}
  named: {file: audiences/sessions.csv}
broadcasts:
  - {name: offer, via: site, audience: met, text: "news of {{ account }}"}
  - {name: listed, via: site, audience: named, text: "news"}
"""
    )
    sessions = ("a" * 16, "b" * 16)
    async with ChatServer() as fake:
        people = "session,chat_server\n" + "".join(f"{session},{fake.url}\n" for session in sessions)
        files = {"audiences/sessions.csv": people}
        async with a_bridge(tmp_path, site_table(fake), rules, files=files, chat_server=fake.url) as site:
            await site.say("hello", chatSessionID=sessions[0])
            await site.say("STOP", chatSessionID=sessions[1])
            await over(site, await begin(site))
            number = await site.running.store.write(runs.ask, Asked(broadcast="listed", moment="1", at=NOON))
            assert number is not None
            await over(site, number)
            assert [(one["chatSessionID"], one["message"]) for one in fake.received] == [
                (sessions[0], "news of site"),
                (sessions[0], "news"),
            ]
            assert [detail for _, state, detail in outcomes(site) if state == "cancelled"] == ["opted out"] * 2


async def test_to_oneself_it_goes_whatever_the_first_recipient_has_said(tmp_path: Path) -> None:
    async with Inbox() as inbox:
        files = {"audiences/customers.csv": "email,name\nann@shop.example,Ann\n"}
        async with a_bridge(tmp_path, inbox.account() + CRM, RULES + OFFER, files=files) as site:
            await writes(site, "STOP", "ann@shop.example", "ann")
            await over(site, await begin(site, only={"email": "me@shop.example"}))
            assert inbox.texts == {"me@shop.example": "Hello Ann"}
