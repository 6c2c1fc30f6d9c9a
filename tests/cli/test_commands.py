"""The command as people and programs meet it: real processes, what they print and how they end."""

import json
import re
import socket
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.typed import typed
from tests.end_to_end.server import ROOT, Server
from tests.end_to_end.terminal import Terminal, fails

SETTINGS = """
[accounts.site]
platform = "omnidesk"
api_keys = ["key-of-the-site"]
chat_servers = ["http://127.0.0.1:9"]
"""
RULES = """
rules:
  - name: echo
    on: message
    do:
      - reply: {text: "you said {{ text }}"}
    examples:
      - message: hi
        expect: {reply: {is: you said hi}}
"""
FILES = {"bridge.toml": SETTINGS, "rules/echo.yaml": RULES}
# ---------------------------------------------------------------- what goes wrong at the start


def test_broken_settings_are_told_all_at_once(tmp_path: Path) -> None:
    server = Server(tmp_path, {"bridge.toml": '[log]\nlevel = "loud"\n[accounts.site]\nplatform = "omnidesc"\n'})
    for done in (server.command("serve"), typed(tmp_path, "check")):
        assert fails(done) == [
            "bridge.toml: log.level: must be 'debug', 'info', 'warning' or 'error'",
            'bridge.toml: accounts.site.platform: "omnidesc" is not a platform (did you mean "omnidesk"?)',
        ]


def test_a_settings_file_that_is_not_there(tmp_path: Path) -> None:
    assert fails(typed(tmp_path, "serve", "--config", "nowhere.toml")) == ["nowhere.toml: there is no such file"]


def test_broken_rules_keep_the_server_from_starting(tmp_path: Path) -> None:
    server = Server(tmp_path, {**FILES, "rules/wrong.yaml": "rules:\n  - name: x\n    on: mesage\n"})
    (line,) = fails(server.command("serve"))
    assert line.startswith('rules/wrong.yaml:3:9: "on" must be one of message, ')
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    server = Server(tmp_path, FILES)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", server.port))
        taken.listen()
        done = server.command("serve")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"server.listen: cannot listen on 127.0.0.1:{server.port}: another program listens there; "
        "stop it, or choose another port"
    )


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    server = Server(tmp_path, {**FILES, "bridge.toml": SETTINGS + '[store]\nurl = "sqlite:///rules/echo.yaml/b.db"\n'})
    (line,) = fails(server.command("serve"))
    assert line.startswith(f"{tmp_path}/rules/echo.yaml")


@pytest.mark.parametrize(
    "arguments", [("deliveries", "list"), ("deliveries", "show", "1"), ("deliveries", "replay", "1")]
)
def test_there_is_no_store_yet(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    Server(tmp_path, FILES)
    (line,) = fails(typed(tmp_path, *arguments))
    assert line.endswith("there is no store yet; `replybridge serve` makes one")
    assert not (tmp_path / "data").exists()


# ---------------------------------------------------------------- a server that runs


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("running"), FILES)
    server.start()
    yield server
    server.kill()


def test_a_second_server_on_the_same_file(running: Server) -> None:
    (line,) = fails(running.command("serve"))
    assert line == f"{running.directory}/data/bridge.db: another replybridge is serving from this file; stop it first"


def test_looking_while_a_server_runs(running: Server) -> None:
    listed = typed(running.directory, "deliveries", "list")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "no deliveries yet\n", "")


def test_a_server_writes_json_lines_and_stops_when_asked(tmp_path: Path) -> None:
    server = Server(tmp_path, FILES)
    server.start()
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert lines[0]["message"] == "ready"
    assert lines[0]["listen"] == server.url
    assert lines[0]["webhooks"] == {"site": [f"{server.url}/api/v2/chat/"]}
    assert (lines[0]["pages"], lines[0]["rules"]) == ({}, 1)
    assert "key-of-the-site" not in server.log


def test_what_a_server_keeps_is_not_for_all_who_have_a_login(running: Server) -> None:
    kept = [*(running.directory / "data").rglob("*")]
    assert {path.name for path in kept} >= {"bridge.db", "bridge.db-wal", "rulebook", "rules"}
    assert [path for path in kept if path.stat().st_mode & 0o007] == []


def test_a_server_without_rules_warns_that_nobody_is_answered(tmp_path: Path) -> None:
    """It may have been started in another folder than the one meant."""
    server = Server(tmp_path, {"bridge.toml": SETTINGS})
    server.start()
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    warned = [line for line in lines if line["level"] == "warning"]
    assert [(line["message"], line["rules"]) for line in warned] == [
        ("there are no rules, so nothing will be answered", str(tmp_path / "rules"))
    ]


def test_a_person_at_a_terminal_is_greeted_and_stops_it_with_ctrl_c(tmp_path: Path) -> None:
    for folder in ("rules", "templates"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    terminal = Terminal(tmp_path, "serve")
    shown = terminal.read_until("all is sound\n")
    port = re.findall(r"listens at  http://127.0.0.1:(\d+)\n", shown)[0]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    greeting = readme.split("```text greeting\n")[1].split("```")[0]
    assert shown.strip() + "\n" == greeting.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    terminal.press_ctrl_c()
    assert terminal.end() == 0
    assert "stopping" in terminal.seen


def test_the_addresses_to_register_are_those_of_the_public_url(tmp_path: Path) -> None:
    settings = '[server]\npublic_url = "https://bridge.example.com"\n[accounts.chat]\nplatform = "webchat"\n' + SETTINGS
    Server(tmp_path, {**FILES, "bridge.toml": settings})
    terminal = Terminal(tmp_path, "serve")
    shown = terminal.read_until("all is sound\n")
    assert "  web chat    https://bridge.example.com/\n" in shown
    assert "  webhooks    https://bridge.example.com/api/v2/chat/  (account site)\n" in shown
    assert "  rules       1 rule from rules/, templates from templates/\n" in shown
    terminal.press_ctrl_c()
    assert terminal.end() == 0


# ---------------------------------------------------------------- check


def test_check_of_what_is_sound(tmp_path: Path) -> None:
    server = Server(tmp_path, FILES)
    done = server.command("check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 rule, 1 example: all sound\n", "")
    done = typed(tmp_path, "check", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"problems": [], "rules": 1, "examples": 1})


def test_check_where_there_are_no_rules(tmp_path: Path) -> None:
    Server(tmp_path, {"bridge.toml": SETTINGS})
    done = typed(tmp_path, "check")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("rules:1:1: there is no such folder; make it, or say in rulebook.rules where")
    (tmp_path / "rules").mkdir()
    done = typed(tmp_path, "check")
    told = "0 rules, 0 examples: there are no rules in rules, so nothing will be answered\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


def test_check_of_what_is_not(tmp_path: Path) -> None:
    wrong = RULES.replace("you said hi", "something else") + "      - {message: ho, expect: nothing}\n"
    Server(tmp_path, {"bridge.toml": SETTINGS, "rules/wrong.yaml": wrong})
    done = typed(tmp_path, "check")
    assert (done.returncode, done.stderr) == (1, "")
    *lines, summary = done.stdout.splitlines()
    problems = [line for line in lines if line.startswith("rules/")]
    assert summary == "2 errors, 0 warnings: this rulebook cannot be used until the errors are mended"
    assert len(problems) == 2
    assert all(re.match(r"rules/\w+\.yaml:\d+:\d+: example of ", line) for line in problems)
    done = typed(tmp_path, "check", "--json")
    found = json.loads(done.stdout)["problems"]
    assert done.returncode == 1
    assert [f"{p['file']}:{p['line']}:{p['column']}: {p['message']}" for p in found] == problems
    assert {p["severity"] for p in found} == {"error"}


# ---------------------------------------------------------------- the command itself


def test_the_version(tmp_path: Path) -> None:
    done = typed(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"replybridge {version('replybridge')}\n", "")


def test_help_names_the_command_as_people_type_it(tmp_path: Path) -> None:
    done = Server(tmp_path, {}).command("--help")
    assert done.returncode == 0
    assert "Usage: replybridge [OPTIONS] COMMAND" in done.stdout
    for name in ("serve", "check", "deliveries"):
        assert name in done.stdout


def test_a_word_that_is_no_command(tmp_path: Path) -> None:
    assert "No such command 'serv'" in " ".join(fails(typed(tmp_path, "serv")))
