"""`replybridge test` as a person and as a program see it."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.typed import typed
from tests.lab.playing import ROOT

RULES = """rules:
  - name: price
    on: message
    when: {text: {words: [price]}}
    do: [{reply: {text: "A chair is 99 EUR."}}]
    examples: [{message: price, expect: {reply: {contains: "99"}}}]
  - name: pass it on
    on: message
    burst: 2s
    when: {text: {contains: "?"}}
    do: [{reply: {text: "I pass it on."}}]
"""
TESTS = """tests:
  - name: the price
    at: 2026-03-27T10:00
    steps:
      - message: "What is the price?\\u001b[2J"
      - expect: {reply: {contains: 9 €}}
  - name: hello
    steps:
      - message: hello
      - expect: nothing
"""
SETTINGS = "[rulebook]\ntimezone = 'Europe/Kyiv'\n[accounts.chat]\nplatform = 'webchat'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "bridge.toml").write_text(SETTINGS)
    (tmp_path / "rules/a.yaml").write_text(RULES)
    (tmp_path / "rules/a.test.yaml").write_text(TESTS)
    return tmp_path


def test_a_failure_is_shown_with_what_was_wanted_what_came_and_what_was_near(folder: Path) -> None:
    done = typed(folder, "test")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        'rules/a.test.yaml:6:9: test "the price" failed at 2026-03-27 10:00:00 Europe/Kyiv:\n'
        "  expected a reply that contains '9 €'; the reply was 'A chair is 99 EUR.'\n"
        "    contact             What is the price?\\x1b[2J\n"
        "  + price               A chair is 99 EUR.\n"
        '  - expected reply      {contains: "9 €"}\n'
        "  ? pass it on          waits until the contact is quiet (burst)\n"
        "\n"
        "2 tests, 1 example: 1 failed\n"
        "1 of 2 rules fired, but never\n"
        "  pass it on (rules/a.yaml:7:5)\n"
    )


def test_all_pass(folder: Path) -> None:
    (folder / "rules/a.test.yaml").write_text(TESTS.replace("9 €", "99 EUR"))
    done = typed(folder, "test")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "2 tests, 1 example: all passed")


def test_only_some(folder: Path) -> None:
    done = typed(folder, "test", "HELLO")
    assert (done.returncode, done.stdout) == (0, "1 test: all passed\n")
    assert typed(folder, "test", "a.test").returncode == 1
    done = typed(folder, "test", "hallo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'no test has "hallo" in its name or file (did you mean "hello"?)\n'


def test_a_program_is_told_the_same(folder: Path) -> None:
    done = typed(folder, "test", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["passed"], told["steps"]) == (1, False, 4)
    assert told["coverage"] == {"rules": 2, "unfired": ["pass it on"]}
    assert told["examples"] == {"tried": 1, "wrong": []}
    price, hello = told["tests"]
    assert hello == {"name": "hello", "file": "rules/a.test.yaml", "line": 7, "steps": 2, "passed": True}
    assert price["failed_at"] == {"line": 6, "column": 9, "moment": "2026-03-27T08:00:00Z"}
    assert price["wrong"] == ["expected a reply that contains '9 €'; the reply was 'A chair is 99 EUR.'"]
    assert {"mark": "+", "who": "price", "text": "A chair is 99 EUR."} in price["diff"]


def test_an_example_that_fails_is_a_failure_too(folder: Path) -> None:
    (folder / "rules/a.yaml").write_text(RULES.replace('"99"', '"98"'))
    (folder / "rules/a.test.yaml").unlink()
    done = typed(folder, "test")
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == [
        "rules/a.yaml:6:16: example of \"price\": expected a reply that contains '98';"
        " the reply was 'A chair is 99 EUR.'",
        "0 tests, 1 example: 1 failed",
    ]


def test_what_cannot_be_tried(folder: Path) -> None:
    (folder / "rules/a.test.yaml").write_text(TESTS.replace("message: hello", "mesage: hello"))
    done = typed(folder, "test")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        'rules/a.test.yaml:9:9: unknown key "mesage" (did you mean "message"?)',
        "     9 |       - mesage: hello",
        "       |         ^~~~~~",
        "1 error: the tests cannot be tried until they are mended",
    ]
    (folder / "rules/a.test.yaml").write_text(TESTS + "  - {name: x, account: chatt, steps: [expect: nothing]}\n")
    assert 'there is no account "chatt" (did you mean "chat"?)' in typed(folder, "test").stderr
    (folder / "rules/a.yaml").write_text("rules: 7")
    assert typed(folder, "test").returncode == 2


def test_the_samples_pass_as_a_newcomer_has_them(tmp_path: Path) -> None:
    folders = f"[rulebook]\nrules = '{ROOT}/rules'\ntemplates = '{ROOT}/templates'\n"
    (tmp_path / "bridge.toml").write_text(folders)
    for command in ("test", "try"):
        done = typed(tmp_path, command, given="")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("the settings have no account")
    (tmp_path / "bridge.toml").write_text(folders + "[accounts.chat]\nplatform = 'webchat'\n")
    done = typed(tmp_path, "test")
    assert done.returncode == 0, done.stdout
    first, second = done.stdout.splitlines()
    assert first.endswith(": all passed")
    assert "but never" not in second


def test_the_manual_shows_what_is_shown(folder: Path) -> None:
    manual = (ROOT / "rules/README.md").read_text(encoding="utf-8")
    chapter = manual.split("\n## Tests\n", 1)[1]
    (shown,) = re.findall(r"```text test\n(.*?)```", chapter, re.DOTALL)
    (folder / "bridge.toml").write_text("[accounts.chat]\nplatform = 'webchat'\n")
    (folder / "rules/a.yaml").write_text(re.findall(r"```yaml\n(.*?)```", chapter, re.DOTALL)[0])
    (folder / "rules/a.test.yaml").unlink()
    steps = "[{message: What is the price?},\n        {expect: {reply: {contains: 98 €}}}]"
    (folder / "rules/price.test.yaml").write_text(f"# A mistake.\ntests:\n  - name: the price\n    steps: {steps}\n")
    assert typed(folder, "test").stdout.startswith(shown.replace(":5:9:", ":5:10:"))
