"""`replybridge try`: a script of lines in, the chat out; whatever is typed, it goes on."""

from pathlib import Path

import pytest

from tests.cli.typed import typed

RULES = """rules:
  - name: price
    on: message
    when: {text: {words: [price]}}
    limit: {times: 1, per: conversation, within: 1h}
    do:
      - remember: {asked: true}
      - reply: {text: "99 EUR, {{ contact.name | default('friend') }}", quick_replies: [Buy, No]}
      - after: 10m
        unless: agent_message
        do: [{reply: {text: "Still there?"}}]
    stop: true
  - name: pass it on
    on: message
    burst: 2s
    when: {text: {contains: "?"}}
    do: [{reply: {text: "I pass on: {{ messages | join(' / ') }}"}}]
  - name: files
    on: attachment
    when: {attachment.size: {above: 1 MiB}, attachment.type: application/pdf}
    do: [{remember: {file: "{{ attachment.name }}"}}]
  - name: other events
    on: [visited, typing, ended]
    account: chat
    do: [{reply: {text: "{{ kind }} {{ url | default(state | default('')) }}"}}]
"""
SETTINGS = (
    "[accounts.chat]\nplatform = 'webchat'\n"
    "[accounts.shop]\nplatform = 'webhook'\nsecrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "bridge.toml").write_text(SETTINGS)
    (tmp_path / "rules/a.yaml").write_text(RULES)
    return tmp_path


def said(folder: Path, *lines: str) -> list[list[str]]:
    """What is shown after each line."""
    done = typed(folder, "try", given="".join(f"{line}\n" for line in lines))
    assert (done.returncode, done.stderr) == (0, "")
    heading, *rest = done.stdout.splitlines()
    assert heading.startswith("4 rules, account chat; it is ")
    shown: list[list[str]] = []
    for line in rest:
        if line.startswith("> "):
            shown.append([])
        else:
            shown[-1].append(" ".join(line.split()))
    assert len(shown) == len(lines)
    return shown


def test_each_message_shows_what_fired_and_why_others_did_not(folder: Path) -> None:
    price, again, question = said(folder, "the price?", "price", "a?")
    assert price == [
        "+ price 99 EUR, friend",
        "(choices: Buy, No)",
        "price goes on in 10m, unless agent_message",
        "? pass it on stopped by price (rules/a.yaml:2:5)",
    ]
    assert again[0] == "? price limited: 1 per conversation within 1h; again in 1h"
    assert question == [
        "? pass it on waits until the contact is quiet (burst)",
        '? price text: "a?" has no word of "price"',
    ]


def test_time_goes_on_when_it_is_told_to(folder: Path) -> None:
    _, nothing, _, _, later, end = said(folder, "price", "/wait 599s", "a?", "b?", "/wait 10s", "/wait 1d")
    assert [len(nothing), len(end)] == [1, 1]
    assert later[1::2] == ["+ price Still there?", "+ pass it on I pass on: a? / b?"]
    assert later[4].startswith("it is ")


def test_an_agent_cancels_and_silences(folder: Path) -> None:
    _, agent, waits, later = said(folder, "price", "/agent I can help", "b?", "/wait 10m")
    assert agent == ["? price its follow-up is cancelled"]
    assert waits[0] == "? pass it on waits until the contact is quiet (burst)"
    assert later[1] == "? pass it on silent: an agent wrote 2s ago; again in 14m 58s"
    assert len(later) == 3


def test_whatever_else_may_happen(folder: Path) -> None:
    visit, typing, stopped, end, small, large = said(
        folder,
        "/visit https://shop.example/",
        "/type",
        "/type stopped",
        "/end",
        "/file a.pdf 10 kB",
        "/file a.pdf 2 MiB",
    )
    assert visit[0] == "+ other events visited https://shop.example/"
    assert (typing[0], stopped[0]) == ("+ other events typing started", "+ other events typing stopped")
    assert end[0] == "+ other events ended"
    assert small == ["? files attachment.size: 10000 is not above 1048576"]
    assert large == ["+ files fired, and says nothing"]


def test_who_it_is_and_what_is_remembered(folder: Path) -> None:
    contact, price, memory, new, nothing = said(
        folder, '/contact name="Ada L" plan=gold', "price", "/memory", "/new", "/memory"
    )
    assert contact == ['contact {"name":"Ada L","extra":{"plan":"gold"}}']
    assert price[0] == "+ price 99 EUR, Ada L"
    assert memory == ["asked (conversation) true", "conversation 1 message, 1 waiting"]
    assert new == ["now in a new conversation, with somebody of whom nothing is known"]
    assert nothing == ["/memory: nothing has happened yet in this conversation"]


def test_why_and_on_which_account(folder: Path) -> None:
    nothing, _, why, one, fired, other, account, visit = said(
        folder,
        "/why",
        "price?",
        "/why",
        "/why files",
        "/why price",
        "/why filess",
        "/account shop",
        "/visit https://a.example",
    )
    assert nothing == ["/why: nothing has happened yet"]
    assert why == ["about: contact: price?", "? pass it on stopped by price (rules/a.yaml:2:5)"]
    assert one[1] == "? files is for attachment, not for message (rules/a.yaml:18:5)"
    assert fired[1] == "+ price fired (rules/a.yaml:2:5)"
    assert other == ['there is no rule "filess" (did you mean "files"?)']
    assert account == ["now in account shop, on webhook"]
    assert visit == ["nothing comes of it: no rule is for visited by the contact"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/wiat 3", '/wiat: no such command (did you mean "wait"?)'),
        ("/wait", "write for example /wait 10m"),
        ("/wait 3 parsecs", '/wait: "3 parsecs" is not a duration'),
        ("/wait 999999 weeks", "/wait: at most 366 days"),
        ("/at tomorrow", '/at: "tomorrow" is no moment'),
        ("/at 2001-01-01", "/at: a moment within a year from "),
        ("/at 9999-12-31T23:59:59-23:59", "/at: a moment within a year from "),
        ("/at 0001-01-01T00:00+23:00", "/at: a moment within a year from "),
        ("/agent", "write for example /agent TEXT"),
        ("/visit", "write for example /visit "),
        ("/file x 3 elephants", '/file: "3 elephants" is not a size'),
        ("/type x", "/type: write started or stopped"),
        ("/contact name", "/contact: write KEY=VALUE"),
        ('/contact name="Ada', "/contact: write KEY=VALUE"),
        ("/contact {{x}}=1", "/contact: a key is a word"),
        ("/account sh", "/account: there is chat, shop"),
        ("/", "/: no such command"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_chat_goes_on(folder: Path, line: str, told: str) -> None:
    wrong, price = said(folder, line, "price")
    assert wrong[0].startswith(told)
    assert price[0].startswith("+ price")


def test_rules_are_read_again_and_a_mistake_keeps_the_old(folder: Path) -> None:
    (folder / "rules/b.yaml").write_text("rules: [{name: x, on: message, do: [{reply: {text: more}}]}]")
    assert "5 rules" in typed(folder, "try", given="/reload\n").stdout
    (folder / "rules/b.yaml").unlink()
    assert said(folder, "/reload")[0] == ["4 rules; what was remembered stays"]


def test_what_is_typed_moves_no_cursor_and_ends_nothing(folder: Path) -> None:
    done = typed(
        folder, "try", given=b"\x1b[2J price \xff\xfe\x07\r\n\n//wait?\n" + b"x" * 100_000 + b"\n/quit\nnever\n"
    )
    assert done.returncode == 0
    assert not set(done.stdout) & {"\x1b", "\x07", "\r"}
    assert "+ price" in done.stdout
    assert 'price               text: "/wait?"' in done.stdout
    assert "never" not in done.stdout.partition("/quit")[2]


def test_help_lists_every_command(folder: Path) -> None:
    (lines,) = said(folder, "/help")
    listed = {line.split()[0].lstrip("/") for line in lines}
    assert listed == {
        "visit", "type", "file", "end", "agent", "wait", "at", "why", "memory",
        "contact", "account", "new", "reload", "help", "quit",
    }  # fmt: skip


def test_what_keeps_it_from_beginning(folder: Path) -> None:
    done = typed(folder, "try", "--account", "shp", given="")
    assert (done.returncode, done.stderr) == (2, 'no account is called "shp" (did you mean "shop"?)\n')
    (folder / "rules/a.yaml").write_text(RULES.replace("on: message", "on: mesage"))
    assert typed(folder, "try", given="hi\n").returncode == 2
