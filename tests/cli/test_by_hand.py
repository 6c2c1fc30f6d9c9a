"""`platforms`, `accounts`, `send`, `do`, `groupalarm rooms`: what is typed, against real fakes."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bridge.platforms.registry import ADAPTERS
from tests.cli.typed import typed
from tests.end_to_end.terminal import Terminal, fails
from tests.fakes.groupalarm import ORGANIZATION, TOKEN, GroupAlarm
from tests.fakes.helpcrunch import KEY, HelpCrunch

SETTINGS = """
[server]
public_url = "https://bridge.example.com"

[accounts.shop]
platform = "helpcrunch"
base_url = "{shop}"
api_key = "{key}"
signing_keys = ["a-signing-key"]
agent = 4188

[accounts.duty]
platform = "groupalarm"
base_url = "{duty}"
organization = {organization}
api_token = "{token}"

[accounts.support]
platform = "edna"
base_url = "https://company.example"
login = "integrator"
password = {{ env = "NOBODY_SETS_THIS" }}
agent_login = "bot"
hook_secret = "0123456789abcdef"
"""


@dataclass(frozen=True, kw_only=True)
class Hand:
    """Whoever types the commands, and the platforms at the other end."""

    directory: Path
    shop: HelpCrunch
    duty: GroupAlarm

    async def command(self, *arguments: str) -> CompletedProcess[str]:
        return await asyncio.to_thread(typed, self.directory, *arguments)

    async def done(self, *arguments: str, code: int = 0) -> str:
        """What a command prints that ends with this code; nothing secret may be in it."""
        done = await self.command(*arguments)
        assert (done.returncode, done.stderr) == (code, ""), done.stderr
        for secret in (KEY, TOKEN, "a-signing-key", "0123456789abcdef"):
            assert secret not in done.stdout
        return done.stdout


@pytest.fixture
async def hand(tmp_path: Path) -> AsyncIterator[Hand]:
    async with HelpCrunch() as shop, GroupAlarm() as duty:
        shop.add_chat(17, {"id": 45})
        duty.add_room(3, name="Wache [bold]", eventID=30, assignedUsers=[1, 2])
        duty.add_room(4)
        written = SETTINGS.format(shop=shop.url, key=KEY, duty=duty.url, organization=ORGANIZATION, token=TOKEN)
        (tmp_path / "bridge.toml").write_text(written, encoding="utf-8")
        yield Hand(directory=tmp_path, shop=shop, duty=duty)


# ---------------------------------------------------------------- send


async def test_a_message_is_sent(hand: Hand) -> None:
    said = await hand.done("send", "--via", "shop", "--to", "chat=17", "--markdown", "Hello *you*")
    (message,) = hand.shop.messages
    assert said == f"sent, reference {message['id']}\n"
    assert (message["chat"], message["text"]) == (17, "Hello *you*")


async def test_a_message_that_the_platform_refuses(hand: Hand) -> None:
    said = await hand.done("send", "--via", "shop", "--to", "chat=99", "--json", "Hello", code=1)
    assert (json.loads(said)["outcome"], json.loads(said)["reason"]) == ("failed", "not_found")


async def test_what_cannot_be_sent_is_said_before_anything_is(hand: Hand) -> None:
    send = ("send", "--via", "shop")
    for arguments, told in (
        (("send", "--via", "shp", "x"), 'bridge.toml: no account is called "shp" (did you mean "shop"?)'),
        ((*send, "x"), "to: missing; say whom the message is for, by chat, customer, email, user_id"),
        ((*send, "--to", "chatt=1", "x"), 'to: helpcrunch knows no "chatt" (did you mean "chat"?); it knows chat,'),
        ((*send, "--to", "chat=17", "--quick-reply", "yes", "x"), "helpcrunch cannot send quick replies"),
        (("send", "--via", "support", "x"), "bridge.toml: accounts.support.password: the environment variable NOBODY_"),
    ):
        (line,) = fails(await hand.command(*arguments))
        assert line.startswith(told)
    assert (hand.shop.messages, hand.shop.refused) == ([], [])


# ---------------------------------------------------------------- do


async def test_an_operation_is_done_by_the_only_account_of_its_platform(hand: Hand) -> None:
    said = await hand.done("do", "helpcrunch.assign", "agent=4188", "--to", "chat=17")
    assert said.startswith("done")
    assert hand.shop.changes == [("PUT", "/chats/assignee", {"id": 17, "assignee": 4188})]


async def test_what_an_operation_finds_is_shown(hand: Hand) -> None:
    assert "Wache [bold]" in await hand.done("do", "groupalarm.room", "--to", "room=3")
    found = json.loads(await hand.done("do", "groupalarm.room", "--to", "room=3", "--json"))["found"]
    assert (found["id"], found["event"]) == (3, 30)
    assert "404" in await hand.done("do", "groupalarm.room", "--to", "room=99", code=1)


async def test_an_operation_that_cannot_be_done(hand: Hand) -> None:
    for arguments, told in (
        (("assign",), 'assign: "assign" is not a platform; there is chayns, edna, '),
        (("helpcrnch.assign",), 'helpcrnch.assign: "helpcrnch" is not a platform (did you mean "helpcrunch"?)'),
        (("helpcrunch.asign",), 'helpcrunch.asign: helpcrunch has no operation "asign" (did you mean "assign"?)'),
        (("helpcrunch.assign",), "helpcrunch.assign: agent: missing"),
        (("helpcrunch.assign", "agnt=1", "agent=2"), 'helpcrunch.assign: agnt: unknown key (did you mean "agent"?)'),
        (("helpcrunch.close", "--to", "chatt=1"), 'to: helpcrunch knows no "chatt" (did you mean "chat"?)'),
        (("helpcrunch.close", "--via", "duty"), "account duty is on groupalarm, not on helpcrunch"),
        (("chayns.push", "alert=x"), "no account is on chayns; add [accounts.NAME] with its platform to the settings"),
    ):
        (line,) = fails(await hand.command("do", *arguments))
        assert line.startswith(told)
    assert (hand.shop.changes, hand.shop.refused) == ([], [])


# ---------------------------------------------------------------- rooms


async def test_rooms_are_listed(hand: Hand) -> None:
    head, _, *rows = (await hand.done("groupalarm", "rooms")).splitlines()
    assert head.split() == ["room", "name", "type", "event", "people", "deleted", "on"]
    assert [row.split()[0] for row in rows] == ["3", "4"]
    assert "Wache [bold]" in rows[0]
    listed = json.loads(await hand.done("groupalarm", "rooms", "--account", "duty", "--json"))
    assert [room["id"] for room in listed] == [3, 4]


async def test_rooms_of_an_account_that_has_none(hand: Hand) -> None:
    assert fails(await hand.command("groupalarm", "rooms", "--account", "shop")) == [
        "account shop is on helpcrunch, not on groupalarm"
    ]


# ---------------------------------------------------------------- accounts


async def test_the_accounts_that_are_named_are_told_without_the_secrets_of_others(hand: Hand) -> None:
    shop, duty = (await hand.done("accounts", "shop", "duty")).split("\n\n")
    assert shop.splitlines() == [
        "account  shop on helpcrunch",
        "webhooks https://bridge.example.com/hooks/shop",
        "budget   120 in 1m",
        f"set      base_url {hand.shop.url}",
        "         api_key <secret>",
        '         signing_keys ["<secret>"]',
        "         agent 4188",
    ]
    assert duty.splitlines()[1] == "webhooks none: this account only sends"
    assert fails(await hand.command("accounts")) == [
        "bridge.toml: accounts.support.password: the environment variable NOBODY_SETS_THIS is not set"
    ]
    assert fails(await hand.command("accounts", "shp"))[0].endswith('no account is called "shp" (did you mean "shop"?)')


async def test_credentials_are_checked(hand: Hand) -> None:
    assert await hand.done("accounts", "--check", "shop", "duty") == "shop: ok\nduty: ok\n"
    settings = hand.directory / "bridge.toml"
    settings.write_text(settings.read_text().replace(KEY, "another-key"))
    said = await hand.done("accounts", "--check", "shop", "duty", code=1)
    assert said.startswith("shop: failed (auth): 401: ")
    assert said.endswith("\nduty: ok\n")
    first, second = json.loads(await hand.done("accounts", "--check", "--json", "shop", "duty", code=1))
    assert (first["check"]["reason"], second["check"]["outcome"]) == ("auth", "sent")
    assert hand.shop.messages == []


async def test_a_secret_that_ends_an_address_is_named_not_shown(hand: Hand) -> None:
    settings = hand.directory / "bridge.toml"
    settings.write_text(settings.read_text().replace('{ env = "NOBODY_SETS_THIS" }', '"a-password"'))
    (support,) = json.loads(await hand.done("accounts", "support", "--json"))
    assert support["webhooks"] == ["https://bridge.example.com/hooks/support/<hook_secret>"]
    assert support["set"]["password"] == "<secret>"


# ---------------------------------------------------------------- platforms


def test_the_platforms_are_those_of_the_registry(tmp_path: Path) -> None:
    told = json.loads(typed(tmp_path, "platforms", "--json").stdout)
    assert [one["platform"] for one in told] == list(ADAPTERS)
    for one in told:
        adapter = ADAPTERS[one["platform"]]
        assert one["operations"].keys() == {f"{adapter.name}.{name}" for name in adapter.operations}
        assert (one["can"], bool(one["events"])) == (sorted(adapter.can), bool(adapter.routes))
        assert Path(one["manual"]).is_file()
    listed = typed(tmp_path, "platforms").stdout
    assert all(name in listed for name in ADAPTERS)


def test_one_platform_in_detail(tmp_path: Path) -> None:
    told = typed(tmp_path, "platforms", "helpcrunch").stdout.splitlines()
    assert "keys of `to` chat, customer, email, user_id" in told
    place = told.index("helpcrunch.assign  Gives the chat to an agent.")
    assert told[place + 1].startswith("  agent: whole number")
    assert told[place + 1].endswith("required")
    assert fails(typed(tmp_path, "platforms", "helpcrnch")) == [
        '"helpcrnch" is not a platform (did you mean "helpcrunch"?)'
    ]


@pytest.mark.parametrize("columns", [60, 100])
def test_the_platforms_fit_the_terminal(tmp_path: Path, columns: int) -> None:
    terminal = Terminal(tmp_path, "platforms", columns=columns)
    assert terminal.end() == 0
    table = terminal.seen.split("`replybridge")[0]
    assert max(map(len, table.splitlines())) <= columns
