"""`replybridge broadcasts`, as it is typed."""

import csv
import json
import re
from pathlib import Path

from bridge.store import tally
from tests.broadcasts.test_runs import OFFER, begin, customers, over, shop
from tests.cli.typed import typed
from tests.end_to_end.terminal import fails
from tests.fakes.inbox import Inbox
from tests.running import settings_in

SETTINGS = """
[accounts.shop]
platform = "webhook"
secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLxNw"]
url = "https://shop.example/in"
"""
TWO = (
    OFFER
    + """
  - name: daily
    schedule: {cron: "30 2 * * *", timezone: Europe/Berlin}
    via: shop
    audience: customers
    to: {email: email}
    text: "Hello {{ name | default('friend') }}"
    rate: 60/min
"""
)


def words(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def place(directory: Path, rules: str = TWO, people: str | None = None) -> Path:
    files = {"bridge.toml": SETTINGS, "rules/rules.yaml": rules}
    settings_in(directory, files | {"audiences/customers.csv": people or customers(3)})
    return directory


def test_list_and_next(tmp_path: Path) -> None:
    place(tmp_path)
    listed = words(typed(tmp_path, "broadcasts", "list").stdout)
    assert [row[:2] for row in listed[2:]] == [["offer", "by hand"], ["daily", "30 2 * * * (Europe/Berlin)"]]
    coming = words(typed(tmp_path, "broadcasts", "next", "400").stdout)[2:]
    assert len(coming) == 400
    moved = [row for row in coming if len(row) > 4 and "does not exist" in row[4]]
    assert moved
    assert moved[0][4].endswith("moved to 03:30")
    as_json = json.loads(typed(tmp_path, "broadcasts", "next", "2", "--broadcast", "daily", "--json").stdout)
    assert [one["zone"] for one in as_json] == ["Europe/Berlin"] * 2


def test_what_is_misspelt_is_said(tmp_path: Path) -> None:
    place(tmp_path)
    for words in (["preview", "ofer"], ["send", "ofer"], ["next", "3", "--broadcast", "ofer"]):
        done = typed(tmp_path, "broadcasts", *words)
        assert (done.returncode, done.stderr.strip()) == (2, 'there is no broadcast "ofer" (did you mean "offer"?)')
    for command in ("status", "pause", "resume", "cancel", "retry", "export"):
        done = typed(tmp_path, "broadcasts", command, "7")
        assert done.returncode == 2
        assert "there is no store yet" in done.stderr


def test_preview_shows_and_counts(tmp_path: Path) -> None:
    more = ("USER1@shop.example,Again", "broken", "long@shop.example,A Name That Is Longer Than Any Other")
    place(tmp_path, people=customers(50, *more))
    done = typed(tmp_path, "broadcasts", "preview", "offer", "--few", "60")
    assert "--- the first: email user0@shop.example, line 2\nHello User 0\n" in done.stdout
    assert "Hello A Name That Is Longer Than Any Other\n" in done.stdout
    assert done.stdout.count("--- ") == 51
    assert done.stdout.endswith(
        "51 would get it\n1 would not: the same person once more\n1 would not: bad line\n"
        "audiences/customers.csv:53:1: bad line: the line has 1 column, and the header names 2\n"
    )
    shown = json.loads(typed(tmp_path, "broadcasts", "preview", "offer", "--few", "0", "--json").stdout)
    assert (shown["people"], len(shown["shown"])) == (51, 2)


def test_check_looks_at_broadcasts(tmp_path: Path) -> None:
    wrong = TWO.replace("{{ name | default('friend') }}", "{{ nme }}", 1).replace(
        "to: {email: email}", "to: {email: mail}"
    )
    place(
        tmp_path, wrong + "  - {name: lost, via: shp, audience: customers, text: a, schedule: {at: 2020-01-01T09:00}}\n"
    )
    done = typed(tmp_path, "check")
    assert done.returncode == 1
    assert 'audience customers: audiences/customers.csv:1:1: there is no column "mail"' in done.stdout
    assert '"via: shp" names no account (did you mean "shop"?)' in done.stdout
    assert "it never goes out: 2020-01-01 09:00 (UTC) is in the past" in done.stdout
    place(tmp_path, TWO.replace("{{ name | default('friend') }}", "{{ nme }}", 1))
    assert 'the audience customers has no column "nme" (did you mean "name"?)' in typed(tmp_path, "check").stdout


async def test_a_broadcast_whose_file_is_not_there_is_not_started(tmp_path: Path) -> None:
    async with Inbox() as inbox, shop(tmp_path, inbox, customers(1)) as site:
        (tmp_path / "audiences/customers.csv").unlink()
        [said] = fails(typed(tmp_path, "broadcasts", "send", "offer"))
        assert said == "audiences/customers.csv: cannot be read: No such file or directory"
        assert site.rows("SELECT * FROM runs") == []


async def test_from_send_to_export(tmp_path: Path) -> None:
    def typed_here(*arguments: str) -> str:
        """The bridge's loop stands still meanwhile, because its log would get between what is printed."""
        done = typed(tmp_path, "broadcasts", *arguments)
        return done.stdout + done.stderr

    async with Inbox() as inbox, shop(tmp_path, inbox, customers(60, "broken"), OFFER + "    rate: 10/s\n") as site:
        inbox.answers.extend([400] * 5)
        asked = typed_here("send", "offer", "--to-self", "email=me@shop.example", "--with", "name=Me")
        assert asked == "run 1: offer, only to email me@shop.example; see replybridge broadcasts status 1\n"
        assert (typed_here("send", "offer")).startswith("run 2: offer, to everybody in customers; see")
        await over(site, 1)
        await site.until(lambda: len(inbox.got) >= 20)
        assert (typed_here("pause", "2")).startswith("run 2 is paused")
        assert typed_here("pause", "2") == "run 2 is paused; only one that is planning or running can be paused\n"
        assert "paused: by a person" in typed_here("status", "2")
        assert typed_here("resume", "2") == "run 2 goes on\n"
        going_on = typed_here("status", "2")
        assert "UTC, if it goes on like this" in going_on
        assert "quiet hours" not in going_on
        await over(site, 2)
        assert typed_here("cancel", "2") == (
            "run 2 is done; only one that is asked, planning, running or paused can be cancelled\n"
        )
        failed = json.loads(typed_here("status", "2", "--json"))
        dead = failed["counts"]["dead"]
        assert failed["counts"] == {"sent": 60 - dead, "dead": dead, "cancelled": 1}
        assert typed_here("retry", "2") == f"{dead} will get it again\n"
        await over(site, 2)
        assert typed_here("retry", "2") == "nobody of run 2 is left out because something failed\n"
        lines = list(csv.DictReader((typed_here("export", "2")).splitlines()))
        assert [line["state"] for line in lines].count("sent") == 60
        assert (lines[-1]["line"], lines[-1]["state"]) == ("62", "cancelled")
        assert lines[0]["to"] == '{"email":"user0@shop.example"}'
        await begin(site, "another")
        await site.until(lambda: site.running.store.read_now(lambda c: tally.counts(c, 3)).get("sent", 0) >= 5)
        cancelled = typed_here("cancel", "3")
        found = re.fullmatch(
            r"run 3 is cancelled: (\d+) were out already(?:, \d+ on the way may arrive yet)?; "
            r"(\d+) will not get it\n",
            cancelled,
        )
        assert found is not None, cancelled
        assert int(found[1]) >= 5
        assert int(found[2]) > 20
        assert "there is no run 9; the newest is 3" in typed_here("status", "9")
        listed = words(typed_here("status"))
        assert [row[3] for row in listed[2:]] == ["cancelled", "done", "done"]
