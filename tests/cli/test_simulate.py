"""`replybridge simulate` and `replybridge schema`: what people see; nothing is sent, and no store is made."""

import json
from pathlib import Path

import pytest

from bridge.platforms.registry import ADAPTERS
from tests.cli.typed import typed
from tests.end_to_end.terminal import fails

SETTINGS = """
[accounts.shop]
platform = "helpcrunch"
api_key = "k"
signing_keys = ["a-signing-key"]
agent = 4188

[accounts.site]
platform = "omnidesk"
api_keys = ["k"]
chat_servers = ["http://127.0.0.1:9"]

[accounts.duty]
platform = "groupalarm"
base_url = "https://groupalarm.example"
api_token = "t"
"""
RULES = """
rules:
  - name: echo
    on: message
    do:
      - reply: {text: "you said {{ text }}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "bridge.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "rules/echo.yaml").write_text(RULES, encoding="utf-8")
    return tmp_path


def done(folder: Path, *arguments: str) -> str:
    ran = typed(folder, "simulate", *arguments)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert not (folder / "data").exists()
    return ran.stdout


def test_a_message_that_comes_with_the_platform(folder: Path) -> None:
    assert done(folder, "shop", "message") == (
        "webhook  message_chat_customer, as if it came to account shop now; its signature is not checked\n"
        "\n"
        "event    message by the contact in conversation 5215261\n"
        "text     Скільки коштує?\n"
        "         <img src=x onerror=alert(1)> {{ 7*7 }}\n"
        "rules    echo fired\n"
        "reply    rule echo, action 0\n"
        "by       account shop\n"
        "to       chat 5215261\n"
        "text     you said Скільки коштує?\n"
        "         <img src=x onerror=alert(1)> {{ 7*7 }}\n"
        "\n"
        "nothing was sent\n"
    )


def test_whose_options_read_it_is_said(folder: Path) -> None:
    assert "read with the options of its recording, because those of site refuse it: chatServer: " in done(
        folder, "site", "message_json"
    )


def test_the_recordings_are_listed(folder: Path) -> None:
    rows = [line.split(maxsplit=1) for line in done(folder, "shop").splitlines()[2:]]
    held = {name: events.strip() for name, events in rows}
    assert held["message_chat_customer"] == "message by the contact"
    assert held["message_chat_agent"] == "message by the agent"
    assert done(folder, "duty") == "groupalarm only sends, so it has no recorded webhooks\n"


def test_a_recording_of_ones_own(folder: Path) -> None:
    shipped = Path(__file__).parents[2] / "bridge/platforms/omnidesk/fixtures/inbound/config.json"
    own = folder / "own.json"
    own.write_bytes(shipped.read_bytes())
    assert done(folder, "site", "--file", str(folder / "own.json")).endswith("it holds no event, so no rule is asked\n")


def test_what_cannot_be_simulated(folder: Path) -> None:
    (folder / "own.json").write_text('{"event": 7}')
    for arguments, told in (
        (("shp",), 'no account is called "shp" (did you mean "shop"?)'),
        (("shop", "mesage"), 'helpcrunch has no recording "mesage"'),
        (("shop", "--file", "nowhere.json"), "nowhere.json: No such file or directory"),
        (("shop", "--file", str(folder / "own.json")), "own.json: would be refused (400): "),
        (("shop", "message", "--config", "other.toml"), "other.toml: there is no such file"),
    ):
        (line,) = fails(typed(folder, "simulate", *arguments))
        assert line.startswith(told)


def test_a_rulebook_with_errors_is_not_asked(folder: Path) -> None:
    (folder / "rules/echo.yaml").write_text(RULES.replace("message", "mesage"))
    (line,) = fails(typed(folder, "simulate", "shop", "message"))
    assert line.startswith("rules/echo.yaml:4:9: ")


def test_the_schema_has_every_operation(folder: Path) -> None:
    ran = typed(folder, "schema")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["$schema"].startswith("https://json-schema.org/")
    for adapter in ADAPTERS.values():
        for name in adapter.operations:
            assert f'"{adapter.name}.{name}"' in ran.stdout
