"""`replybridge deliveries`: what people and programs see of a store, while no server runs."""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bridge.cli.deliveries import bit_by_bit
from bridge.clock import SystemClock
from bridge.model.conversation import Timer
from bridge.model.delivery import Command, Reason, Reply
from bridge.model.event import Attachment
from bridge.store.ledger import Claim, Ledger
from bridge.store.page import Entry
from bridge.store.store import open_store, visit_store
from tests.cli.typed import typed
from tests.conftest import Unwatched
from tests.end_to_end.terminal import Terminal, fails
from tests.values import a_delivery, an_event

SETTINGS = """
[accounts.site]
platform = "omnidesk"
api_keys = ["key-of-the-site"]
chat_servers = ["http://127.0.0.1:9"]
"""

HOSTILE = "\x1b[2J\x07 \u202eevil [bold]not bold[/bold]"
SHOWN = "\\x1b[2J\\x07 \\u202eevil [bold]not bold[/bold]"


async def write(directory: Path, *entries: Entry) -> None:
    """A store with these deliveries, all about the same event, which the rule `echo` answered."""
    clock = SystemClock()
    now = clock.now()

    def work(connection: Connection, items: Sequence[None]) -> list[None]:
        event = an_event()
        ledger = Ledger(connection, [event], now)
        ledger.keep(ledger.facts(event).conversation)
        ledger.record(event, [{"rule": "echo", "fired": True}])
        for entry in entries:
            ledger.enqueue(entry)
        ledger.write(Claim(worker="w", until=now, full=[("site", "live")]))
        return [None]

    with open_store(f"sqlite:///{directory}/data/bridge.db", clock, Unwatched()) as store:
        await store.write(work, None)


def an_entry(number: int, reason: Reason | None, account: str, made: datetime) -> Entry:
    delivery = a_delivery(
        id=number,
        event=1,
        action=str(number),
        account=account,
        lane=f"lane {number}",
        rule="echo",
        reply=Reply(text=HOSTILE),
        created_at=made,
    )
    detail = f"because of {HOSTILE}" if reason else None
    return Entry(delivery=delivery, state="dead" if reason else "queued", reason=reason, detail=detail)


async def fill(directory: Path) -> None:
    """Four deliveries: dead of two reasons (one is three days old), queued, and dead of an account that is gone."""
    now = SystemClock().now()
    await write(
        directory,
        an_entry(1, "auth", "site", now),
        an_entry(2, "expired", "site", now - timedelta(days=3)),
        an_entry(3, None, "site", now),
        an_entry(4, "refused", "gone", now),
    )


@pytest.fixture
async def shop(tmp_path: Path) -> Path:
    """A folder with a store with deliveries, and no server running."""
    await fill(tmp_path)
    (tmp_path / "bridge.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


async def test_what_was_held_back_says_why(tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text(SETTINGS, encoding="utf-8")
    held = an_entry(1, None, "site", SystemClock().now())
    await write(tmp_path, Entry(delivery=held.delivery, state="cancelled", detail="the same was just said"))
    for command in (["list"], ["show", "1"]):
        done = typed(tmp_path, "deliveries", *command)
        assert (done.returncode, "the same was just said" in done.stdout) == (0, True), done.stdout


def listed(folder: Path, *filters: str) -> list[int]:
    done = typed(folder, "deliveries", "list", "--json", *filters)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line)["delivery"]["id"] for line in done.stdout.splitlines()]


def test_the_list_can_be_narrowed(shop: Path) -> None:
    assert listed(shop) == [4, 3, 2, 1]
    assert listed(shop, "--state", "dead") == [4, 2, 1]
    assert listed(shop, "--account", "site", "--state", "dead") == [2, 1]
    assert listed(shop, "--reason", "expired") == [2]
    assert listed(shop, "--since", "2 days") == [4, 3, 1]
    assert listed(shop, "--most", "1") == [4]
    assert listed(shop, "--state", "sent") == []


def test_the_list_for_a_person(shop: Path) -> None:
    done = typed(shop, "deliveries", "list")
    assert (done.returncode, done.stderr) == (0, "")
    head, rule, *rows = done.stdout.splitlines()
    assert re.split(r"\s{2,}", head.strip()) == ["number", "state", "tries", "account", "rule", "made (UTC)", "why"]
    assert set(rule) == {"─"}
    assert [row.split()[:2] for row in rows] == [["4", "dead"], ["3", "queued"], ["2", "dead"], ["1", "dead"]]
    assert rows[-1].rstrip().endswith(f"auth: because of {SHOWN}")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_list_fits_the_terminal(shop: Path, columns: int) -> None:
    terminal = Terminal(shop, "deliveries", "list", columns=columns)
    assert terminal.end() == 0
    assert max(map(len, terminal.seen.splitlines())) <= columns
    assert "\x1b" not in terminal.seen
    for word in ("number", "queued", "because", "echo"):
        assert word in terminal.seen


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--state", "ded"), "state ded: not one of queued, claimed, sent, unknown, dead, cancelled (did you mean"),
        (("--reason", "oauth"), "reason oauth: not one of rate_limited, auth, "),
        (("--since", "yesterday"), '--since: "yesterday" is not a duration: write a number and '),
        (("--since", "9999999 weeks"), '--since: "9999999 weeks" reaches back to before the calendar begins'),
    ],
)
def test_a_filter_that_means_nothing(shop: Path, arguments: tuple[str, ...], told: str) -> None:
    (line,) = fails(typed(shop, "deliveries", "list", *arguments))
    assert line.startswith(told)


def test_nothing_found_is_said_in_words(shop: Path) -> None:
    done = typed(shop, "deliveries", "list", "--account", "sitte")
    assert done.stdout == 'no deliveries like that; the settings have no account sitte (did you mean "site"?)\n'


def test_show_tells_the_whole_story(shop: Path) -> None:
    done = typed(shop, "deliveries", "show", "1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert lines["delivery"] == "delivery 1, dead"
    assert lines["reason"] == f"reason   auth: because of {SHOWN}"
    assert lines["event"] == "event    1: message in conversation abcdef0123456789"
    assert lines["rules"] == "rules    echo fired"
    assert lines["text"] == f"text     {SHOWN}"
    assert lines["attempts"] == "attempts none yet"
    assert "due" in typed(shop, "deliveries", "show", "3").stdout


async def test_show_tells_that_a_reply_waits_for_the_one_before_it(tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text(SETTINGS, encoding="utf-8")
    ends = SystemClock().now().replace(microsecond=0) + timedelta(hours=1)
    entries = [Entry(delivery=a_delivery(id=n, event=1, action=str(n), expires_at=ends)) for n in (1, 2)]
    await write(tmp_path, *entries)
    told = typed(tmp_path, "deliveries", "show", "2").stdout.splitlines()
    assert "due      after what comes before it in its conversation" in told
    assert f"expires  {ends:%Y-%m-%d %H:%M:%S} UTC" in told


async def test_show_tells_what_a_reply_has_beside_its_text(tmp_path: Path) -> None:
    reply = Reply(
        text="See these",
        private=True,
        attachments=(Attachment(name="a.png", type="image/png", size=70, url=f"https://files.example/{HOSTILE}"),),
        quick_replies=("Yes", "No"),
    )
    await write(tmp_path, Entry(delivery=a_delivery(event=1, reply=reply), state="queued"))
    assert shown(tmp_path) == [
        "text     See these",
        "private  a note that the contact does not see",
        f"files    a.png image/png 70 bytes https://files.example/{SHOWN}",
        "choices  Yes",
        "         No",
    ]


async def test_show_tells_what_a_platform_is_asked_to_do(tmp_path: Path) -> None:
    command = Command(
        operation="edna.client",
        arguments={"phones": ["+1"], "note": HOSTILE, "picture": "A" * 500},
        conversation="site/abc",
        keep={"client": "id", "answer": ""},
        then=Timer(rule="echo", action="0", due=0, since=0, events=(1,)),
    )
    await write(tmp_path, Entry(delivery=a_delivery(event=1, reply=Reply(text=""), command=command), state="queued"))
    assert shown(tmp_path) == [
        f'does     edna.client: phones ["+1"], note {SHOWN}, picture {"A" * 199}…',
        "keeps    client = id, answer = the whole answer (in the memory of site/abc)",
        "then     what rule echo says after it, at 0",
    ]


def shown(directory: Path) -> list[str]:
    """What `deliveries show 1` tells between the rules and the attempts."""
    (directory / "bridge.toml").write_text(SETTINGS, encoding="utf-8")
    done = typed(directory, "deliveries", "show", "1")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("rules    echo fired\n")[1].split("attempts")[0].splitlines()


def test_show_of_what_is_not_there(shop: Path) -> None:
    assert fails(typed(shop, "deliveries", "show", "99")) == [
        "there is no delivery 99; `replybridge deliveries list` shows the newest"
    ]
    assert "valid integer" in " ".join(fails(typed(shop, "deliveries", "show", "one")))


LEFT_ALONE = "left alone, because neither dead nor unknown, or with nothing to send"
NOTHING_LEFT = "nothing to replay: no such delivery is dead or unknown and has something to send"


@pytest.mark.parametrize(
    ("arguments", "told", "left"),
    [
        (("1", "2"), "queued again: 1, 2\n", [4]),
        (
            ("1", "3", "99"),
            f"queued again: 1\n{LEFT_ALONE}: 3 (queued), 99 (no such delivery)\n",
            [4, 2],
        ),
        (("3",), f"{LEFT_ALONE}: 3 (queued)\n", [4, 2, 1]),
        (("--reason", "expired"), "queued again: 2\n", [4, 1]),
        (("--account", "gone"), "queued again: 4\n", [2, 1]),
        (("--since", "2 days"), "queued again: 1, 4\n", [2]),
        (("--all",), "queued again: 1, 2, 4\n", []),
        (
            ("--reason", "network"),
            f"{NOTHING_LEFT}\n",
            [4, 2, 1],
        ),
    ],
)
def test_replay(shop: Path, arguments: tuple[str, ...], told: str, left: list[int]) -> None:
    done = typed(shop, "deliveries", "replay", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    assert listed(shop, "--state", "dead") == left


@pytest.mark.parametrize("command", ["show", "replay", "cancel"])
def test_a_number_that_no_store_can_have(shop: Path, command: str) -> None:
    for number, words in (("0", "greater than or equal to 1"), (str(2**63), "less than or equal to")):
        assert words in " ".join(fails(typed(shop, "deliveries", command, number)))


def test_replay_of_nothing_in_particular(shop: Path) -> None:
    assert fails(typed(shop, "deliveries", "replay")) == ["say which: numbers, --account, --reason, --since, or --all"]
    assert listed(shop, "--state", "dead") == [4, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "given", "told", "left"),
    [
        (("3",), None, "cancelled: 3\n", []),
        (("1", "3", "99"), None, "cancelled: 3\nleft alone, because not queued: 1 (dead), 99 (no such delivery)\n", []),
        (("--all", "--yes"), None, "cancelled: 3\n", []),
        (("--account", "site"), "y\n", "cancel 1 delivery? [y/N]: y\ncancelled: 3\n", []),
        (
            ("--account", "gone"),
            None,
            "nothing to cancel: no such delivery is queued; the settings have no account gone\n",
            [3],
        ),
    ],
)
def test_cancel(shop: Path, arguments: tuple[str, ...], given: str | None, told: str, left: list[int]) -> None:
    done = typed(shop, "deliveries", "cancel", *arguments, given=given)
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    assert listed(shop, "--state", "queued") == left
    assert listed(shop, "--state", "dead") == [4, 2, 1]


@pytest.mark.parametrize("given", ["n\n", ""])
def test_nothing_is_cancelled_without_a_yes(shop: Path, given: str) -> None:
    done = typed(shop, "deliveries", "cancel", "--all", given=given)
    assert done.returncode == 1
    assert listed(shop, "--state", "queued") == [3]


def test_a_small_bit_is_not_taken_for_the_last(shop: Path) -> None:
    """On PostgreSQL those of busy lanes are left out of a bit, and are there for the next."""
    bits = iter([[1, 2], [3], [], [4]])
    with visit_store(f"sqlite:///{shop}/data/bridge.db") as engine:
        assert bit_by_bit(engine, lambda connection: next(bits)) == [1, 2, 3]


def test_cancel_of_nothing_in_particular(shop: Path) -> None:
    assert fails(typed(shop, "deliveries", "cancel")) == ["say which: numbers, --account, --reason, --since, or --all"]
