"""`replybridge deliveries`: what people and programs see of a store, while no server runs."""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bridge.clock import SystemClock
from bridge.model.delivery import Reason, Reply
from bridge.store.ledger import Claim, Ledger
from bridge.store.store import open_store
from tests.conftest import Unwatched
from tests.end_to_end.server import Server
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


async def fill(directory: Path) -> None:
    """Four deliveries: dead of two reasons (one is three days old), queued, and dead of an account that is gone."""
    clock = SystemClock()
    now = clock.now()
    dead: tuple[tuple[Reason | None, str, datetime], ...] = (
        ("auth", "site", now),
        ("expired", "site", now - timedelta(days=3)),
        (None, "site", now),
        ("refused", "gone", now),
    )

    def work(connection: Connection, items: Sequence[None]) -> list[None]:
        event = an_event()
        ledger = Ledger(connection, [event], now)
        facts = ledger.facts(event)
        ledger.record(event, facts.conversation, [{"rule": "echo", "fired": True}])
        for number, (reason, account, made) in enumerate(dead, 1):
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
            ledger.enqueue(delivery, dead=reason, detail=f"because of {HOSTILE}" if reason else None)
        ledger.write(Claim(worker="w", until=now, full=("site",)))
        return [None]

    with open_store(f"sqlite:///{directory}/data/bridge.db", clock, Unwatched()) as store:
        await store.write(work, None)


@pytest.fixture
async def shop(tmp_path: Path) -> Server:
    """A store with deliveries, and no server running."""
    await fill(tmp_path)
    return Server(tmp_path, {"bridge.toml": SETTINGS})


def listed(server: Server, *filters: str) -> list[int]:
    done = server.command("deliveries", "list", "--json", *filters)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line)["delivery"]["id"] for line in done.stdout.splitlines()]


def test_the_list_can_be_narrowed(shop: Server) -> None:
    assert listed(shop) == [4, 3, 2, 1]
    assert listed(shop, "--state", "dead") == [4, 2, 1]
    assert listed(shop, "--account", "site", "--state", "dead") == [2, 1]
    assert listed(shop, "--reason", "expired") == [2]
    assert listed(shop, "--since", "2 days") == [4, 3, 1]
    assert listed(shop, "--most", "1") == [4]
    assert listed(shop, "--state", "sent") == []


def test_the_list_for_a_person(shop: Server) -> None:
    done = shop.command("deliveries", "list")
    assert (done.returncode, done.stderr) == (0, "")
    head, rule, *rows = done.stdout.splitlines()
    assert re.split(r"\s{2,}", head.strip()) == ["number", "state", "tries", "account", "rule", "made (UTC)", "why"]
    assert set(rule) == {"─"}
    assert [row.split()[:2] for row in rows] == [["4", "dead"], ["3", "queued"], ["2", "dead"], ["1", "dead"]]
    assert rows[-1].rstrip().endswith(f"auth: because of {SHOWN}")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_list_fits_the_terminal(shop: Server, columns: int) -> None:
    terminal = Terminal(shop.directory, "deliveries", "list", columns=columns)
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
def test_a_filter_that_means_nothing(shop: Server, arguments: tuple[str, ...], told: str) -> None:
    (line,) = fails(shop.command("deliveries", "list", *arguments))
    assert line.startswith(told)


def test_nothing_found_is_said_in_words(shop: Server) -> None:
    done = shop.command("deliveries", "list", "--account", "sitte")
    assert done.stdout == 'no deliveries like that; the settings have no account sitte (did you mean "site"?)\n'


def test_show_tells_the_whole_story(shop: Server) -> None:
    done = shop.command("deliveries", "show", "1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert lines["delivery"] == "delivery 1, dead"
    assert lines["reason"] == f"reason   auth: because of {SHOWN}"
    assert lines["event"] == "event    1: message in conversation abcdef0123456789"
    assert lines["rules"] == "rules    echo fired"
    assert lines["text"] == f"text     {SHOWN}"
    assert lines["attempts"] == "attempts none yet"
    assert "due" in shop.command("deliveries", "show", "3").stdout


def test_show_of_what_is_not_there(shop: Server) -> None:
    assert fails(shop.command("deliveries", "show", "99")) == [
        "there is no delivery 99; `replybridge deliveries list` shows the newest"
    ]
    assert "valid integer" in " ".join(fails(shop.command("deliveries", "show", "one")))


@pytest.mark.parametrize(
    ("arguments", "told", "left"),
    [
        (("1", "2"), "queued again: 1, 2\n", [4]),
        (("1", "3", "99"), "queued again: 1\nleft alone, because neither dead nor unknown: 3, 99\n", [4, 2]),
        (("3",), "left alone, because neither dead nor unknown: 3\n", [4, 2, 1]),
        (("--reason", "expired"), "queued again: 2\n", [4, 1]),
        (("--account", "gone"), "queued again: 4\n", [2, 1]),
        (("--since", "2 days"), "queued again: 1, 4\n", [2]),
        (("--all",), "queued again: 1, 2, 4\n", []),
        (("--reason", "network"), "nothing to replay: no such delivery is dead or unknown\n", [4, 2, 1]),
    ],
)
def test_replay(shop: Server, arguments: tuple[str, ...], told: str, left: list[int]) -> None:
    done = shop.command("deliveries", "replay", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    assert listed(shop, "--state", "dead") == left


def test_replay_of_nothing_in_particular(shop: Server) -> None:
    assert fails(shop.command("deliveries", "replay")) == ["say which: numbers, --account, --reason, --since, or --all"]
    assert listed(shop, "--state", "dead") == [4, 2, 1]
