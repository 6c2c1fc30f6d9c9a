"""A broadcast while the process is killed again and again: everybody once, but for outcomes that nobody knows."""

import asyncio
import csv
import json
import random
from pathlib import Path
from typing import Any

from tests.end_to_end.server import Server
from tests.fakes.inbox import Inbox

PEOPLE = 4000
KILLS = 6
RULES = """
audiences:
  customers: {file: audiences/customers.csv}
broadcasts:
  - name: offer
    via: shop
    audience: customers
    to: {email: email}
    text: "Hello {{ name }}"
    pause_if_failed: 100%
"""


async def command(server: Server, *arguments: str) -> str:
    done = await asyncio.to_thread(server.command, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def status(server: Server) -> Any:
    return json.loads(await command(server, "broadcasts", "status", "1", "--json"))


async def test_everybody_gets_it_once_or_is_listed_as_unknown(tmp_path: Path) -> None:
    chance = random.Random(7)
    people = "email,name\n" + "".join(f"user{number}@shop.example,User {number}\n" for number in range(PEOPLE))
    async with Inbox() as inbox:
        files = {
            "bridge.toml": inbox.account(max_in_flight=8),
            "rules/rules.yaml": RULES,
            "audiences/customers.csv": people,
        }
        server = Server(tmp_path, files)
        await asyncio.to_thread(server.start)
        try:
            await command(server, "broadcasts", "send", "offer")
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0.05, 0.6))
                server.kill()
                await asyncio.to_thread(server.start)
            async with asyncio.timeout(90):
                while (found := await status(server))["state"] != "done":
                    await asyncio.sleep(0.2)
            listed = list(csv.DictReader((await command(server, "broadcasts", "export", "1")).splitlines()))
        finally:
            server.kill()
    assert found["total"] == len(listed) == PEOPLE
    assert max(inbox.got.values()) == 1
    sent = {json.loads(row["to"])["email"] for row in listed if row["state"] == "sent"}
    unknown = {json.loads(row["to"])["email"] for row in listed if row["state"] == "unknown"}
    assert len(sent) + len(unknown) == PEOPLE
    assert sent <= set(inbox.got) <= sent | unknown
    # A kill leaves no more in doubt than were being sent at that moment.
    assert len(unknown) <= KILLS * 8
