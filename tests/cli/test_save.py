"""`replybridge test --save`: a conversation that a server recorded becomes a test, which passes."""

from pathlib import Path

import pytest

from tests.cli.typed import typed
from tests.loop import run
from tests.running import SESSION, a_site

RULES = """
rules:
  - name: price
    on: message
    when: {text: {words: [price]}}
    do:
      - reply: {text: "99 EUR, {{ contact.name | default('friend') }}.\\nSecond line: \\"quoted\\" # no comment"}
      - after: 10m
        unless: [agent_message, ended]
        do: [{reply: {text: "Still there?"}}]
  - name: burst
    on: message
    burst: 2s
    when: {text: {contains: "?"}}
    do: [{reply: {text: "Passed on: {{ messages | length }}"}}]
  - name: over
    on: ended
    do: [{remember: {over: true}}, {reply: {text: "Bye", via: crm}}]
"""

CRM = """
[accounts.crm]
platform = "webhook"
secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
identity = { session = "conversation.id" }
"""


async def recorded(tmp_path: Path) -> None:
    """A conversation of all sorts, and another one."""
    async with a_site(tmp_path, RULES, more=CRM) as (site, _):
        await site.say("Hi, I am ada lovelace, Ada@Lovelace.example, +44 (20) 7946-0000. The price?")
        await site.settle()
        await site.until(lambda: len(site.deliveries()) == 3, tick=30)
        await site.settle(tick=1)
        await site.call("notifyUserVisited", url="https://shop.example/?mail=ada@lovelace.example")
        await site.call("notifyUserNewChatEvent", event="startedtyping")
        await site.say("one {{ 7*7 }} \u2028 \U0001f600 order 10072")
        await site.say("other", chatSessionID="other-session")
        site.clock.advance(61.5)
        await site.call("notifyUserEndChat")
        await site.settle()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run(recorded(tmp_path))
    return tmp_path


def test_it_is_written_beside_the_rules_and_passes(folder: Path) -> None:
    done = typed(folder, "test", "--save", f"site/{SESSION}", "--to", "case.test.yaml")
    assert (done.returncode, done.stdout) == (0, "rules/case.test.yaml: a test of 7 events\n"), done.stderr
    assert "with the rules as they are it passes\n" in done.stderr
    text = (folder / "rules/case.test.yaml").read_text(encoding="utf-8")
    assert "someone1@example.com" in text
    assert "+1 555 010000" in text
    for personal in ("lovelace.example", "7946"):
        assert personal not in text
    assert typed(folder, "test").returncode == 0
    again = typed(folder, "test", "--save", f"site/{SESSION}", "--to", "case.test.yaml")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "rules/case.test.yaml is there already and is left as it is: name another file\n"


def test_what_it_says(folder: Path) -> None:
    done = typed(folder, "test", "--save", SESSION, "--as-is")
    assert done.returncode == 0
    # How late a timer is woken differs from run to run.
    assert [line for line in done.stdout.splitlines()[2:] if not line.startswith("      - wait: ")] == [
        "tests:",
        '  - name: "conversation 1 of 2026-03-27 12:00"',
        "    at: 2026-03-27T12:00:00.000+00:00",
        '    account: "site"',
        "    steps:",
        '      - message: "Hi, I am ada lovelace, Ada@Lovelace.example, +44 (20) 7946-0000. The price?"',
        '      - expect: {reply: [{is: "99 EUR, friend.\\nSecond line: \\"quoted\\" # no comment"}]}',
        '      - expect: {reply: [{is: "Passed on: 1"}]}',
        '      - expect: {reply: [{is: "Still there?"}]}',
        '      - visited: "https://shop.example/?mail=ada@lovelace.example"',
        '      - typing: "started"',
        '      - message: "one {{ 7*7 }} \\u2028 \U0001f600 order 10072"',
        '      - expect: "nothing"',
        "      - ended: true",
        '      - expect: {reply: [{is: "Bye", via: "crm"}]}',
    ]


def test_what_cannot_be_saved(folder: Path) -> None:
    for arguments, told in (
        (("--save", "nobody"), 'no conversation "nobody" is recorded'),
        (("--save", f"shop/{SESSION}"), f'no conversation "shop/{SESSION}" is recorded'),
        (("--save", SESSION, "--to", "case.yaml"), "--to case.yaml: a file of tests is called NAME.test.yaml"),
        (("--save", SESSION, "--to", "no/where/case.test.yaml"), "--to no/where/case.test.yaml: there is no folder"),
        (("--as-is",), "--to and --as-is go with --save"),
    ):
        done = typed(folder, "test", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(told)
