"""Who has opted out gets no broadcasts: by whatever account they have said so, and for as long as the store is kept."""

from datetime import timedelta
from pathlib import Path

from bridge.store.retention import drop, find_old
from tests.broadcasts.test_runs import OFFER, begin, outcomes, over
from tests.fakes.inbox import Inbox
from tests.running import Site, a_bridge

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
    event: dict[str, object] = {"id": f"{name} {text}", "kind": "message", "text": text, "conversation": name}
    event["contact"] = {"id": f"crm-{name}", "email": email}
    headers = {"x-crm-key": "shared-secret-0123456789"}
    url = f"{site.running.url}/hooks/crm"
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
