"""Render: what the actions of rules come to, for the customer, for others, and when a template fails."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.line.accounts import Accounts
from bridge.line.render import Renderer
from bridge.model.facts import Facts
from bridge.model.rule import Match
from bridge.platforms.omnidesk import adapter as omnidesk
from bridge.templating import Templates
from tests.fakes.chat_server import ChatServer
from tests.fakes.helpcrunch import KEY as HELPCRUNCH_KEY
from tests.fakes.helpcrunch import HelpCrunch
from tests.platforms.omnidesk_calls import an_account
from tests.rulebook.books import facts, rules_of
from tests.running import KEY, SESSION, a_bridge, a_site, site

SITE = an_account()

MEMORY = """
rules:
  - name: ask
    on: message
    when: {text: {matches: 'I am (?P<who>\\pL+)'}}
    do:
      - remember: {who: "{{ match.who }}", visits: 3, vip: true}
      - reply: {text: "{{ memory.who }}, {{ memory.visits + 1 }}, {{ memory.vip }}, {{ match.who }}"}
      - forget: [visits]
      - reply: {text: "{{ memory.visits | default('forgotten') }}"}
  - name: same event
    on: message
    when: {text: {contains: I am}}
    do: [{reply: {text: "second rule: {{ memory.who | default('nobody') }}"}}]
  - name: later
    on: message
    when: {memory.who: {exists: true}, text: {is: who am I?}}
    do: [{reply: {text: "You are {{ memory.who }}."}}]
"""


async def test_what_is_remembered_is_seen_by_later_actions_and_later_events(tmp_path: Path) -> None:
    async with a_site(tmp_path, MEMORY) as (bridge, fake):
        await bridge.say("who am I?", messageNumber=1)
        await bridge.say("I am Zoë")
        await bridge.say("who am I?", messageNumber=2)
        await bridge.say("who am I?", chatSessionID="another-conversation")
        await bridge.settle()
        assert [one["message"] for one in fake.received] == [
            "Zoë, 4, True, Zoë", "forgotten", "second rule: Zoë", "You are Zoë.",
        ]  # fmt: skip


SCOPES = """
rules:
  - name: note
    on: message
    when: {text: {is: note}}
    do:
      - remember: {seen: here}
      - remember: {seen: by contact}
        scope: contact
      - remember: {seen: by account}
        scope: account
  - name: tell
    on: message
    when: {text: {is: tell}}
    do:
      - reply:
          text: >-
            {{ memory.seen | default('-') }}, {{ contact.memory.seen | default('-') }},
            {{ account_memory.seen | default('-') }}
  - name: wipe
    on: message
    when: {text: {is: wipe}}
    do:
      - forget: seen
        scope: contact
"""


async def test_memory_is_kept_per_conversation_contact_and_account(tmp_path: Path) -> None:
    ann, bob = {"emailAddress": "ann@shop.example"}, {"emailAddress": "bob@shop.example"}
    async with a_site(tmp_path, SCOPES) as (bridge, fake):
        await bridge.say("note", **ann)
        await bridge.say("tell", **ann)
        await bridge.settle()
        await bridge.say("tell", **ann, chatSessionID="second-conversation")
        await bridge.settle()
        await bridge.say("tell", **bob, chatSessionID="third-conversation")
        await bridge.settle()
        await bridge.say("wipe", **ann)
        await bridge.say("tell", **ann, messageNumber=9)
        await bridge.settle()
        assert [one["message"] for one in fake.received] == [
            "here, by contact, by account",
            "-, by contact, by account",
            "-, -, by account",
            "here, -, by account",
        ]


LIMITS = """
rules:
  - name: per conversation
    on: message
    limit: {{times: 2, per: conversation}}
    do: [{{reply: {{text: conversation}}}}]
  - name: per contact
    on: message
    limit: {{times: 1, per: contact, within: 1h}}
    do: [{{reply: {{text: contact}}}}]
  - name: per account
    on: message
    limit: {{times: 3, per: account, within: 1h}}
    do: [{{reply: {{text: account}}}}]
  - name: per rule
    on: message
    limit: {{times: 4, per: rule}}
    do: [{{reply: {{text: rule}}}}]
""".replace("{{", "{").replace("}}", "}")


async def test_limits_hold_in_every_scope_over_events_and_accounts(tmp_path: Path) -> None:
    async with ChatServer() as fake:
        second = site(fake, "second", api_keys=["key-of-the-second"])
        async with a_bridge(tmp_path, site(fake) + second, LIMITS, chat_server=fake.url) as opened:
            headers = {"apiKey": KEY}
            bridge = replace(opened, headers=headers)

            async def said(conversation: str, key: str | None = None, **fields: object) -> list[str]:
                before = len(bridge.deliveries())
                if key is not None:
                    headers["apiKey"] = key
                await bridge.say("x", chatSessionID=conversation, **fields)
                await bridge.settle(tick=0)
                return [one.delivery.reply.text for one in bridge.deliveries()[before:]]

            ann, bob = {"emailAddress": "ann@shop.example"}, {"emailAddress": "bob@shop.example"}
            assert await said("conversation-1", **ann, messageNumber=1) == [
                "conversation",
                "contact",
                "account",
                "rule",
            ]
            assert await said("conversation-1", **ann, messageNumber=2) == ["conversation", "account", "rule"]
            assert await said("conversation-1", **ann, messageNumber=3) == ["account", "rule"]
            assert await said("conversation-2", **bob, messageNumber=4) == ["conversation", "contact", "rule"]
            bridge.clock.advance(3600)
            assert await said("conversation-1", **ann, messageNumber=5) == ["contact", "account"]
            assert await said("conversation-1", "key-of-the-second", **ann, messageNumber=6) == [
                "conversation", "contact", "account",
            ]  # fmt: skip
            limited = [step for trace in bridge.traces() for step in trace if "limited" in step]
    assert {"rule": "per conversation", "limited": "2 per conversation, ever"} in limited
    assert {"rule": "per contact", "limited": "1 per contact within 1h; again in 1h"} in limited


BROKEN = """
rules:
  - name: broken
    on: message
    do:
      - reply: {template: price.md.j2}
      - remember: {a: "{{ 1 // (memory.zero | default(0)) }}"}
      - reply: {text: "still alive: {{ text }}"}
"""


async def test_a_template_that_fails_costs_its_own_reply_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The webhook is taken; what failed is kept as a dead delivery with file, line and reason, and the log has it."""
    template = {"templates/price.md.j2": "Dear customer,\n\nit costs\n{{ 100 // (conversation.messages - 1) }}\n"}
    async with a_site(tmp_path, BROKEN, files=template) as (bridge, fake):
        await bridge.say("x")
        reply, remember, alive = await bridge.settle()
        assert [one["message"] for one in fake.received] == ["still alive: x"]
    assert (reply.state, reply.reason) == ("dead", "template")
    assert "templates/price.md.j2:4: it divides by zero" in str(reply.detail)
    assert (remember.state, remember.reason, remember.delivery.action) == ("dead", "template", "1")
    assert "rules/rules.yaml:7:" in str(remember.detail)
    assert alive.state == "sent"
    told = [line for line in capsys.readouterr().out.splitlines() if "not sent" in line]
    assert [str(one.detail) in line for one, line in zip((reply, remember), told, strict=True)] == [True, True]


async def test_a_dead_reply_does_not_hold_up_its_conversation(tmp_path: Path) -> None:
    actions = "[{reply: {text: '{{ 1 // 0 }}'}}, {reply: {text: '{{ text }}'}}]"
    rules = f"rules:\n  - name: r\n    on: message\n    do: {actions}\n"
    async with a_site(tmp_path, rules) as (bridge, _):
        for number in (1, 2):
            await bridge.say(f"x{number}", messageNumber=number)
        assert [one.state for one in await bridge.settle()] == ["dead", "sent", "dead", "sent"]


VIA = """
rules:
  - name: to a chat
    on: message
    when: {text: {is: chat}}
    do: [{reply: {text: "{{ contact.name | default('?') }} wrote", via: shop, to: {chat: 17}}}]
  - name: to a customer
    on: message
    when: {text: {is: customer}}
    do: [{reply: {text: "again", via: shop, to: {email: "{{ contact.email | default('') }}"}}}]
  - name: by identity
    on: message
    when: {text: {is: identity}}
    do: [{reply: {text: "known", via: shop}}]
"""


async def test_a_reply_goes_by_another_account_to_whom_the_rule_or_the_identity_says(tmp_path: Path) -> None:
    async with ChatServer() as fake, HelpCrunch() as crunch:
        crunch.add_chat(17, {"id": 5, "email": "ann@shop.example"})
        crunch.add_chat(18, {"id": 6, "email": "bob@shop.example"})
        shop = (
            f'\n[accounts.shop]\nplatform = "helpcrunch"\napi_key = "{HELPCRUNCH_KEY}"\nagent = 4188\n'
            f'base_url = "{crunch.url}"\nidentity = {{ email = "contact.email" }}\n'
        )
        async with a_bridge(tmp_path, site(fake) + shop, VIA, chat_server=fake.url) as bridge:
            bob = {"customerName": "Bob", "emailAddress": "bob@shop.example"}
            for text in ("chat", "customer", "identity"):
                await bridge.say(text, **bob)
                await bridge.settle()
            await bridge.say("identity", chatSessionID="nobody-known-here")
            [*sent, dead] = await bridge.settle()
        assert [(one["chat"], one["plain"]) for one in crunch.messages] == [
            (17, "Bob wrote"), (18, "again"), (18, "known"),
        ]  # fmt: skip
        assert fake.received == []
    assert [(one.state, one.delivery.account) for one in sent] == [("sent", "shop")] * 3
    lanes = [one.delivery.lane for one in sent]
    assert lanes[0] != lanes[1] == lanes[2]
    assert "bob" not in "".join(lanes)
    assert (dead.state, dead.reason) == ("dead", "invalid")
    assert dead.detail == "accounts.shop: the contact has no contact.email"


def test_a_via_that_names_no_account_is_a_dead_delivery_that_says_what_to_do() -> None:
    """`check` refuses such a rule; here nobody has checked."""
    book = rules_of({"do": [{"reply": {"text": "hello", "via": "shop"}}]})
    renderer = Renderer(Templates(), Accounts([], {}))
    [dead] = renderer.render(Match(rule=book.rules[0]), facts()).rendered
    assert dead.fault == (
        "invalid",
        'rules/a.yaml:1:89: "via: shop" names no account; add [accounts.shop] to the settings',
    )
    assert (dead.account, dead.lane) == ("site", f"site/{facts().event.conversation}")


async def test_markdown_goes_out_as_each_platform_reads_it(tmp_path: Path) -> None:
    rules = "rules:\n  - name: r\n    on: message\n    do: [{reply: {template: hello.md.j2}}]\n"
    template = {
        "templates/hello.md.j2": "**Dear {{ contact.name | default('friend') }}**, see [prices](https://shop.example/prices)"
    }
    async with a_site(tmp_path, rules, files=template) as (bridge, fake):
        await bridge.say("x", customerName="Ann")
        await bridge.settle()
    [received] = fake.received
    assert "**" not in str(received["message"])
    assert "Dear Ann" in str(received["message"])
    assert "https://shop.example/prices" in str(received["message"])


def test_a_template_with_nothing_to_say_sends_nothing() -> None:
    book = rules_of({"do": [{"reply": {"text": "{% if text == 'secret' %}psst{% endif %}"}}]})
    renderer = Renderer(Templates(), Accounts([SITE], {"omnidesk": omnidesk}))
    assert renderer.render(Match(rule=book.rules[0]), facts(text="open")).rendered == ()
    assert len(renderer.render(Match(rule=book.rules[0]), facts(text="secret")).rendered) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(max_size=200), name=st.text(max_size=50))
def test_what_a_customer_writes_is_never_rendered(text: str, name: str) -> None:
    renderer = Renderer(Templates(), Accounts([SITE], {"omnidesk": omnidesk}))
    book = rules_of({"do": [{"remember": {"said": "{{ text }}"}}, {"reply": {"text": "<{{ memory.said }}>"}}]})
    about = facts(text=f"{{{{ 7 * 7 }}}}{text}{{% for %}}{name}")
    done = renderer.render(Match(rule=book.rules[0]), about)
    stripped = about.event.text.strip() if about.event.text else ""
    assert done.facts.memory()["said"] == stripped
    assert [one.reply.text for one in done.rendered] == [f"<{stripped}>"]


@pytest.mark.parametrize("source", ["{{ 1 / 0 }}", "{{ nothing }}", "{{ text.nothing.at_all }}", "{{ 'a' * 10**9 }}"])
def test_no_failure_of_a_template_leaves_the_renderer(source: str) -> None:
    renderer = Renderer(Templates(), Accounts([SITE], {"omnidesk": omnidesk}))
    book = rules_of({"do": [{"reply": {"text": source}}]})
    about: Facts = facts()
    done = renderer.render(Match(rule=book.rules[0]), about)
    [dead] = done.rendered
    assert dead.fault is not None
    assert dead.fault[0] == "template"
    assert dead.fault[1].startswith("rules/a.yaml:1:")
    assert done.facts == about
    assert SESSION not in dead.fault[1]
