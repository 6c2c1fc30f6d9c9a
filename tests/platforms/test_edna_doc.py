"""doc.md says what the code does: its tables, settings and command are tried here."""

import json
import re
import shlex
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.adapter.account import Account
from bridge.adapter.secret import Surroundings
from bridge.model.quantity import parse_duration
from bridge.platforms import edna
from bridge.platforms.edna import adapter
from bridge.platforms.edna.account import EdnaAccount, Training
from bridge.platforms.edna.message import PATHS
from tests.platforms.edna_calls import a_webhook, parse

DOC = (Path(edna.__file__).parent / "doc.md").read_text(encoding="utf-8")
SECRET = "0123456789abcdef0123456789abcdef"
ENVIRON = {"EDNA_HOOK_SECRET": SECRET, "EDNA_PASSWORD": "p", "EDNA_BOT_TOKEN": "t"}


def tables(heading: str) -> list[list[list[str]]]:
    """The rows of each table of a section, without their heads."""
    section = DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]] for block in blocks
    ]


def block(language: str) -> str:
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", DOC, re.DOTALL | re.MULTILINE)
    return str(found[0])


def test_the_headings() -> None:
    assert re.findall(r"^## (.*)$", DOC, re.MULTILINE) == [
        "Set up",
        "Settings",
        "Webhooks",
        "Sending",
        "Operations",
        "What is not known",
        "Limits",
    ]


def test_every_setting_is_described_with_its_default() -> None:
    own = {name: field for name, field in EdnaAccount.model_fields.items() if name not in Account.model_fields}
    (rows,) = tables("Settings")
    described = {row[0].strip("`"): row[1] for row in rows}
    assert set(described) == {*own, "platform", "base_url"}
    assert described["base_url"] == "required"
    for name, field in own.items():
        text = described[name].strip("`")
        default = field.get_default(call_default_factory=True)
        written = None if text == "none" else tomllib.loads(f"x = {text}")["x"]
        assert (parse_duration(str(written)) if isinstance(default, timedelta) else written) == default


def test_the_documented_account_and_training() -> None:
    table = tomllib.loads(block("toml"))["accounts"]["support"]
    account = EdnaAccount.model_validate({"name": "support", **table}, context=Surroundings(environ=ENVIRON))
    assert account.hook_secret is not None
    assert account.hook_secret.is_(SECRET)
    training = re.search(r"for example `(\{field.*?\]\})`", DOC)
    assert training is not None
    assert Training.model_validate(tomllib.loads(f"x = {training[1]}")["x"]).agent == ["AGENT"]


def test_the_documented_command_is_a_message() -> None:
    words = shlex.split(block("sh").replace("\\\n", " ").replace("$EDNA_HOOK_SECRET", SECRET))
    assert words[2].endswith(f"/hooks/support/{SECRET}")
    (event,) = parse(words[words.index("-d") + 1].encode()).events
    assert (event.kind, event.text, event.conversation) == ("message", "hi", "17")


@pytest.mark.parametrize("row", tables("Webhooks")[0], ids=lambda row: row[0] + row[2])
def test_an_action_becomes_what_is_documented(row: list[str]) -> None:
    training = {"field": "by", "agent": ["AGENT"], "contact": ["CLIENT"]}
    action = row[0].strip("`") if row[0].startswith("`") else "ANY_OTHER"
    senders = re.findall(r"`(\w+)`", row[2])
    for sender in senders:
        body = {
            "action": action,
            "text": "hi",
            "threadsClientId": 17,
            "by": {"agent": "AGENT", "contact": "CLIENT"}.get(sender),
        }
        (event,) = parse(json.dumps(body).encode(), training=training).events
        assert (event.kind, event.sender) == (re.findall(r"`(\w+)`", row[1])[0], sender)


def test_the_keys_of_to_and_the_ways() -> None:
    keys, ways, _ = tables("Sending")
    assert tuple(row[0].strip("`") for row in keys) == adapter.to_keys
    assert {row[0].strip("`"): row[1].strip("`") for row in ways} == {
        way: f"POST {path}" for way, path in PATHS.items()
    }


def test_the_operations() -> None:
    rows, found = tables("Operations")
    assert [(row[0].strip("`"), row[3]) for row in rows] == [(n, o.about) for n, o in adapter.operations.items()]
    for row, operation in zip(rows, adapter.operations.values(), strict=True):
        assert set(re.findall(r"`(\w+)`", row[1])) == set(operation.arguments.model_fields)
    look_ups = {name: operation.finds for name, operation in adapter.operations.items() if operation.finds}
    assert {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in found} == {
        name: set(finds) for name, finds in look_ups.items()
    }


def test_the_webhook_of_the_tests_is_guarded() -> None:
    account = EdnaAccount.model_validate(
        {"name": "support", **tomllib.loads(block("toml"))["accounts"]["support"]},
        context=Surroundings(environ=ENVIRON),
    )
    adapter.verify(a_webhook(secret=SECRET, remote="203.0.113.7"), account)
