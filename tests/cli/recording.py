"""A directory with settings, rules and a record of yesterday, for the commands that read it."""

from datetime import timedelta
from pathlib import Path

from bridge.cli.options import settings_of
from bridge.cli.rulebook import behaviour_of
from bridge.clock import SystemClock
from tests.lab.recording import Recorder

SETTINGS = """
[accounts.site]
platform = "omnidesk"
api_keys = ["key-of-the-site"]
chat_servers = ["http://127.0.0.1:9"]
"""
RULES = """
rules:
  - name: price
    on: message
    when: {text: {words: price}}
    limit: {times: 1, per: conversation}
    do: [{reply: {text: "9 EUR"}}]
  - name: page
    on: visited
    do: [{reply: {text: "Ask me"}}]
"""
HOSTILE = "the price \x1b[2J [bold]\u202eevil[/bold] {{ 7 * 7 }}"
SHOWN = "the price \\x1b[2J [bold]\\u202eevil[/bold] {{ 7 * 7 }}"


def write(directory: Path, rules: str = RULES, folder: str = "rules") -> None:
    """Settings and rules, and no record."""
    (directory / "bridge.toml").write_text(SETTINGS, encoding="utf-8")
    (directory / folder).mkdir(exist_ok=True)
    (directory / folder / "rules.yaml").write_text(rules, encoding="utf-8")


async def record(directory: Path) -> None:
    """Two conversations of yesterday: 1 and 2 are about the price, 3 is a page."""
    write(directory)
    behaviour = behaviour_of(settings_of(directory / "bridge.toml"))
    async with Recorder(directory, behaviour, start=SystemClock().now() - timedelta(days=1)) as recorder:
        await recorder.says(HOSTILE, conversation="one")
        await recorder.wait(90)
        await recorder.says("and the price?", conversation="one")
        await recorder.says(None, kind="visited", url="https://shop.example/", conversation="two")
