"""`replybridge check` as a person and as a program see it: place, line, underline, exit code."""

import json
from pathlib import Path

from tests.cli.typed import typed
from tests.end_to_end.server import Server

SETTINGS = "[accounts.chat]\nplatform = 'webchat'\n"
RULES = """rules:
  - name: "привіт"
    on: message
    do:
      - reply: {text: "Привіт 你好 {{ contact.name }}!"}
      - after: 5m
        do:
          - reply: {text: "\\u202Estill there?"}
"""


def test_each_problem_is_shown_with_its_line_and_underlined(tmp_path: Path) -> None:
    done = Server(tmp_path, {"bridge.toml": SETTINGS, "rules/a.yaml": RULES}).command("check")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        'rules/a.yaml:5:37: "contact.name" may be missing in an event of the kind message: give it a default,'
        " {{ contact.name | default('friend') }}, or ask for it in \"when\"",
        '     5 |       - reply: {text: "Привіт 你好 {{ contact.name }}!"}',
        # The two Chinese letters are as wide as four others.
        "       | " + " " * (36 + 2) + "^~~~~~~~~~~~",
        "rules/a.yaml:6:9: warning: nothing cancels this: in 5m it is said whatever happens in the conversation;"
        ' add for example "unless: [contact_message, agent_message, ended]"',
        "     6 |       - after: 5m",
        "       |         ^~~~~",
        "1 error, 1 warning: this rulebook cannot be used until the errors are mended",
    ]


def test_a_program_is_told_the_same(tmp_path: Path) -> None:
    Server(tmp_path, {"bridge.toml": SETTINGS, "rules/a.yaml": RULES})
    done = typed(tmp_path, "check", "--json")
    first, second = json.loads(done.stdout)["problems"]
    assert done.returncode == 1
    assert (first["severity"], first["line"], first["column"]) == ("error", 5, 37)
    assert first["source"] == RULES.splitlines()[4]
    assert first["underline"] == {"column": 37, "length": len("contact.name")}
    assert (second["severity"], second["underline"]) == ("warning", {"column": 9, "length": len("after")})


def test_only_warnings_are_no_reason_to_fail(tmp_path: Path) -> None:
    rules = RULES.replace("{{ contact.name }}", "")
    Server(tmp_path, {"bridge.toml": SETTINGS, "rules/a.yaml": rules})
    done = typed(tmp_path, "check")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 rule, 0 examples: 0 errors, 1 warning")


def test_a_long_line_is_shown_around_the_place_and_hides_no_trick(tmp_path: Path) -> None:
    long = (
        'rules: [{name: r, on: message, do: [{reply: {text: "' + "x" * 500 + "\u202e{{ nobody }}" + "y" * 500 + '"}}]}]'
    )
    Server(tmp_path, {"bridge.toml": SETTINGS, "rules/a.yaml": long})
    done = typed(tmp_path, "check")
    problem, line, underline, _ = done.stdout.splitlines()
    assert '"nobody": no event has this' in problem
    assert len(line) < 300
    start = underline.index("^")
    assert line[start : start + len("nobody")] == "nobody"
    assert "\u202e" not in done.stdout


def test_what_cannot_be_checked_is_another_exit_code(tmp_path: Path) -> None:
    Server(tmp_path, {"bridge.toml": "[accounts.chat]\nplatform = 'webchatt'\n"})
    done = typed(tmp_path, "check")
    assert done.returncode == 2
    assert 'did you mean "webchat"?' in done.stderr
