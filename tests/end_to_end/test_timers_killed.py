"""A follow-up is armed, the process killed, and started again after it was due."""

import asyncio
from pathlib import Path

import aiohttp

from tests.end_to_end.server import Server
from tests.fakes.chat_server import ChatServer

KEY = "key-for-the-timer-test"
RULES = """
rules:
  - name: nudge
    on: message
    do:
      - reply: {text: "first {{ text }}"}
      - after: 6s
        unless: [ended]
        do:
          - reply: {text: "later {{ text }}"}
"""


async def call(server: Server, operation: str, session: str, **fields: str) -> None:
    body = {"chatSessionID": f"conversation-{session}", **fields}
    url = f"{server.url}/api/v2/chat/{operation}"
    async with (
        aiohttp.ClientSession(headers={"apiKey": KEY}) as client,
        client.post(url, json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def said(fake: ChatServer, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in [one["message"] for one in fake.received]:
            await asyncio.sleep(0.02)


async def recorded(server: Server, sent: int) -> None:
    """Until so many deliveries are known to be sent: a reply whose outcome is not may be sent again after a crash."""
    async with asyncio.timeout(60):
        while len(server.rows("SELECT 1 FROM deliveries WHERE state = 'sent'")) < sent:
            await asyncio.sleep(0.02)


async def test_it_fires_once_after_the_restart_and_not_at_all_where_it_was_cancelled(tmp_path: Path) -> None:
    async with ChatServer() as fake:
        site = f'[accounts.site]\nplatform = "omnidesk"\napi_keys = ["{KEY}"]\nchat_servers = ["{fake.url}"]\n'
        server = Server(tmp_path, {"bridge.toml": site, "rules/rules.yaml": RULES})
        await asyncio.to_thread(server.start)
        try:
            where = {"chatServer": fake.url}
            message = {**where, "chatAccountToken": "tok1234567890"}
            for name in ("kept", "gone"):
                await call(server, "notifyUserNewChatMessage", name, message=name, **message)
                await said(fake, f"first {name}")
            await call(server, "notifyUserEndChat", "gone", **where)
            server.kill()
            # It falls due while nobody is there.
            await asyncio.sleep(6)
            await asyncio.to_thread(server.start)
            await said(fake, "later kept")
            await recorded(server, 3)
            server.kill()
            await asyncio.to_thread(server.start)
            await call(server, "notifyUserNewChatMessage", "last", message="last", **message)
            await said(fake, "later last")
        finally:
            server.kill()
        heard = [one["message"] for one in fake.received]
    assert heard.count("later kept") == 1
    assert "later gone" not in heard
