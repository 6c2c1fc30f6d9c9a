"""The exit code of a command says what came of it, whatever its threads are at when it ends."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.end_to_end.server import Server

SHOP = """
[accounts.shop]
platform = "helpcrunch"
api_key = "hc-key"
agent = 4188
base_url = "http://nobody.invalid/v1"
timeout = "2s"
"""


async def test_a_command_that_reached_nobody_says_so(tmp_path: Path) -> None:
    """Several times, because a thread of the HTTP client could once break the process down in about half of them."""
    server = Server(tmp_path, {"bridge.toml": SHOP})
    for _ in range(4):
        done = await asyncio.to_thread(server.command, "send", "--via", "shop", "--to", "chat=1", "hello")
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.startswith("failed (network): http://nobody.invalid: cannot connect: ")


def test_output_that_nobody_reads_is_no_success(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", "schema"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 1
