"""A server whose rules are edited, in a process of its own: SIGHUP, `replybridge reload`, a restart."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import aiohttp

from tests.end_to_end.server import Server
from tests.end_to_end.terminal import Terminal, fails
from tests.fakes.chat_server import ChatServer
from tests.running import ECHO

KEY = "key-for-the-reload-test"
NEW = ECHO.replace("you said", "they said")
BROKEN = ECHO.replace("on: message", "on: mesage")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def say(server: Server, fake: ChatServer, text: str) -> None:
    body = {"chatServer": fake.url, "chatSessionID": f"the-session-{text}", "chatAccountToken": "tok1234567890"}
    url = f"{server.url}/api/v2/chat/notifyUserNewChatMessage"
    async with (
        aiohttp.ClientSession(headers={"apiKey": KEY}) as client,
        client.post(url, json={**body, "message": text}) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def answers(server: Server, fake: ChatServer, text: str) -> object:
    before = len(fake.received)
    await say(server, fake, text)
    await until(lambda: len(fake.received) > before)
    return fake.received[before]["message"]


async def test_edits_by_signal_by_command_and_by_themselves(tmp_path: Path) -> None:
    async with ChatServer() as fake:
        site = f'[accounts.site]\nplatform = "omnidesk"\napi_keys = ["{KEY}"]\nchat_servers = ["{fake.url}"]\n'
        server = Server(tmp_path, {"bridge.toml": f"{site}[rulebook]\nwatch = false\n", "rules/rules.yaml": ECHO})
        rules = tmp_path / "rules" / "rules.yaml"

        async def reload(*options: str) -> tuple[int, str]:
            done = await asyncio.to_thread(server.command, "reload", *options)
            assert done.stderr == ""
            return done.returncode, done.stdout

        fails(server.command("reload"))
        await asyncio.to_thread(server.start)
        try:
            assert await answers(server, fake, "a") == "you said a"
            rules.write_text(NEW)
            server.hang_up()
            await until(lambda: "rulebook taken up" in server.log)
            assert await answers(server, fake, "b") == "they said b"

            rules.write_text(BROKEN)
            code, said = await reload()
            assert code == 1
            assert said.startswith('rules/rules.yaml:4:9: "on" must be one of message,')
            assert "\n     4 |     on: mesage\n" in said
            assert "\nrefused; still runs: version " in said
            code, said = await reload("--json")
            told = json.loads(said)
            assert (code, told["came"], told["rules"]) == (1, "refused", 1)
            assert told["problems"][0]["place"] == {"file": "rules/rules.yaml", "line": 4, "column": 9}
            assert "rulebook refused, the last good one is used" in server.log

            server.kill()
            await asyncio.to_thread(server.start)
            assert await answers(server, fake, "c") == "they said c"

            rules.write_text(ECHO)
            code, said = await reload()
            assert (code, said[:18]) == (0, "taken up: version ")
            assert await answers(server, fake, "d") == "you said d"
            code, said = await reload()
            assert (code, said[:21]) == (0, "nothing has changed: ")
        finally:
            server.kill()
        assert "no server runs on" in fails(server.command("reload"))[0]


def test_a_server_whose_terminal_is_closed_ends(tmp_path: Path) -> None:
    window = Terminal(tmp_path, "serve")
    window.read_until("changes")
    assert window.close() == 0


def test_the_first_start_with_a_broken_rulebook_fails(tmp_path: Path) -> None:
    server = Server(tmp_path, {"rules/rules.yaml": BROKEN})
    assert fails(server.command("serve"))[0].startswith("rules/rules.yaml:4:9: ")


def test_the_greeting_says_when_edits_go_live(tmp_path: Path) -> None:
    """That they do so by themselves, where nothing else is said, stands in the greeting that the README shows."""
    (tmp_path / "bridge.toml").write_text("[rulebook]\nwatch = false\n[accounts.web]\nplatform = 'webchat'\n")
    window = Terminal(tmp_path, "serve")
    told = "changes     of rules and templates go live by `replybridge reload`, as soon as all is sound"
    assert told in window.read_until("sound")
    window.press_ctrl_c()
    assert window.end() == 0
