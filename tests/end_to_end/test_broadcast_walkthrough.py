"""The broadcast of the README, followed to the letter: nothing is sent before it is said, and then once to each."""

import asyncio
import csv
import re
from pathlib import Path

from tests.cli.typed import typed
from tests.end_to_end.server import Server
from tests.fakes.chat_server import ChatServer
from tests.readme import BLOCKS, block


async def test_the_walk_through(tmp_path: Path) -> None:
    steps = [one.text for one in BLOCKS if (one.language, one.name) == ("sh", "broadcast")]
    shown = [one.text for one in BLOCKS if (one.language, one.name) == ("text", "broadcast")]
    async with ChatServer() as fake:

        def here(text: str) -> str:
            return text.replace("http://127.0.0.1:9000", fake.url)

        def as_told(text: str) -> list[str]:
            return re.sub(r" +", " ", text.replace(fake.url, "http://127.0.0.1:9000")).strip().splitlines()

        files = {
            "bridge.toml": here(block("toml", "bridge.toml")),
            "rules/news.yaml": block("yaml", "rules/news.yaml"),
            "audiences/customers.csv": here(block("csv", "audiences/customers.csv")),
        }
        server = Server(tmp_path, files)
        await asyncio.to_thread(server.start)

        async def run(text: str) -> list[str]:
            said: list[str] = []
            for line in here(text).splitlines():
                done = await asyncio.to_thread(typed, tmp_path, *line.split()[1:])
                assert done.returncode == 0, done.stderr
                said += as_told(done.stdout)
            return said

        try:
            assert await run(steps[0]) == as_told(shown[0])
            assert fake.received == []
            assert await run(steps[1]) == as_told(shown[1])
            async with asyncio.timeout(20):
                while len(fake.received) < 3:
                    await asyncio.sleep(0.05)
            rows = list(csv.DictReader(await run(steps[2])))
        finally:
            server.kill()
        assert sorted(one["chatSessionID"] for one in fake.received) == [
            "00000000000000aa", "abcdef0123456789", "fedcba9876543210",
        ]  # fmt: skip
    assert [(row["line"], row["state"]) for row in rows][2:] == [("5", "cancelled")]
