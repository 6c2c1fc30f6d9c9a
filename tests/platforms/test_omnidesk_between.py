"""The bridge between a chat server and Omnidesk: set up as doc.md says, over real HTTP on both sides."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import aiohttp
import pytest

from bridge.adapter.secret import Secret
from bridge.adapter.signatures import sign_standard
from bridge.platforms.omnidesk.answers import ticket
from tests.fakes.chat_server import ChatServer, Say
from tests.fakes.omnidesk import KEY, Omnidesk
from tests.platforms.test_omnidesk_doc import blocks
from tests.running import SESSION, TOKEN, Site, a_site

PASS_ON = dedent(blocks("yaml")[0])
REPLY = """
  - name: price
    on: message
    when: {text: {words: [price]}}
    do: [{reply: {text: "10 €"}}]
"""
MESSAGE = {"chatAccountToken": TOKEN, "message": "What is the price?"}
HOOK_SECRET = "secret-of-the-webhooks"


@dataclass(frozen=True, kw_only=True, slots=True)
class Between:
    site: Site
    chat: ChatServer
    omnidesk: Omnidesk


@asynccontextmanager
async def between(directory: Path, rules: str = PASS_ON, **options: Any) -> AsyncIterator[Between]:
    async with Omnidesk() as omnidesk:
        desk = f'[accounts.desk]\nplatform = "omnidesk"\nbase_url = "{omnidesk.url}"\napi_key = "{KEY}"\n'
        desk += f'webhook_secrets = ["{HOOK_SECRET}"]\n'
        given = {"ticket_within": "3s", **options}
        async with a_site(directory, rules, more=desk, **given) as (site, chat):
            yield Between(site=site, chat=chat, omnidesk=omnidesk)
        assert omnidesk.refused == []


async def test_a_message_is_passed_on_answered_with_its_ticket_and_replied_to(tmp_path: Path) -> None:
    async with between(tmp_path, PASS_ON + REPLY) as set_up:
        status, answer = await set_up.site.call("notifyUserNewChatMessage", **MESSAGE, customerName="Anne-Marie")
        assert (status, answer) == (200, {"type": "result", "message": "Message sent.", "ticketID": 7001})
        fields = {"chatServer": set_up.chat.url, "chatSessionID": SESSION, **MESSAGE, "customerName": "Anne Marie"}
        assert set_up.omnidesk.received == [("notifyUserNewChatMessage", fields)]
        await set_up.site.settle()
        assert set_up.chat.received == [{"chatSessionID": SESSION, "message": "10 €"}]


async def test_all_that_a_chat_server_tells_is_passed_on_in_order(tmp_path: Path) -> None:
    async with between(tmp_path) as set_up:
        site = set_up.site
        told = [
            ("notifyUserVisited", {"url": "https://shop.example/pricing"}),
            ("notifyUserNewChatEvent", {"event": "expandedchat"}),
            ("notifyUserNewChatEvent", {"event": "startedtyping"}),
            ("notifyUserNewChatMessage", MESSAGE),
            ("notifyUserEndChat", {}),
        ]
        for operation, fields in told:
            assert (await site.call(operation, **fields))[0] == 200
        assert {listed.state for listed in await site.settle()} == {"sent"}
        here = {"chatServer": set_up.chat.url, "chatSessionID": SESSION}
        assert set_up.omnidesk.received == [(operation, {**here, **fields}) for operation, fields in told]


async def test_a_file_is_passed_on(tmp_path: Path) -> None:
    async with between(tmp_path) as set_up:
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("file", b"\x89PNG\r\n\x1a\n--\0", filename="фото.png", content_type="image/png")
        query = {"chatServer": set_up.chat.url, "chatSessionID": SESSION, "chatAccountToken": TOKEN}
        url = f"{set_up.site.running.url}/api/v2/chat/addAttachment"
        async with set_up.site.client.post(url, params=query, data=form, headers=set_up.site.headers) as answer:
            assert answer.status == 200
        await set_up.site.settle()
        assert set_up.omnidesk.received == [("addAttachment", query)]
        assert set_up.omnidesk.files == [("фото.png", b"\x89PNG\r\n\x1a\n--\0")]


async def test_an_omnidesk_that_refuses_or_is_slow_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with between(tmp_path) as set_up:
        set_up.omnidesk.answers.append(Say(status=400, body='{"status":"error","message":"unknown token"}'))
        status, answer = await set_up.site.call("notifyUserNewChatMessage", **MESSAGE)
        assert (status, answer["ticketID"]) == (200, ticket(SESSION))
        (dead,) = set_up.site.deliveries()
        assert (dead.state, dead.detail) == ("dead", "400: unknown token")


@pytest.mark.parametrize(("rules", "within"), [("rules: []", "3s"), (PASS_ON, "1ms")])
async def test_the_answer_waits_only_for_a_rule_and_only_so_long(tmp_path: Path, rules: str, within: str) -> None:
    async with between(tmp_path, rules, ticket_within=within) as set_up:
        set_up.omnidesk.answers.append("hang")
        asked = asyncio.create_task(set_up.site.call("notifyUserNewChatMessage", **MESSAGE))
        await set_up.site.until(asked.done, tick=0.001, hanging=1)
        set_up.omnidesk.let_go()
        status, answer = asked.result()
        assert (status, answer["ticketID"]) == (200, ticket(SESSION))


async def test_a_webhook_of_omnidesk_is_an_event(tmp_path: Path) -> None:
    rules = """
rules:
  - name: noted
    on: other
    sender: system
    do:
      - omnidesk.queue:
          via: desk
          account_token: tok{{ event.raw.data.ticketID | default(0) }}0000000
          remember: {open: item.open}
"""
    async with between(tmp_path, rules) as set_up:
        site, body = set_up.site, json.dumps({"type": "ticket.created", "data": {"ticketID": 7001}}).encode()
        url = f"{site.running.url}/hooks/desk"
        signed = sign_standard([Secret(HOOK_SECRET)], "msg_1", site.clock.now(), body)
        async with site.client.options(url) as answer:
            assert answer.status in (200, 204)
            assert "POST" in answer.headers["Allow"]
        for _ in range(2):
            async with site.client.post(url, data=body, headers=signed) as answer:
                assert answer.status == 202
        async with site.client.post(url, data=body + b" ", headers=signed) as answer:
            assert answer.status == 401
        await site.settle()
        assert set_up.omnidesk.received == [("requestChatQueue", {"chatAccountToken": "tok70010000000"})]
        assert [row.kind for row in site.rows("SELECT kind FROM events")] == ["other"]
