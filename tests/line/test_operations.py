"""Operations: ordered by rules, done like deliveries, remembered where they are for."""

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import Connection

from bridge.model.delivery import Command, Reply
from bridge.store.ledger import Claim, Ledger
from bridge.store.page import Entry
from tests.fakes.chat_server import ChatServer, Say
from tests.fakes.helpcrunch import KEY, HelpCrunch
from tests.fakes.omnidesk import KEY as DESK_KEY
from tests.fakes.omnidesk import Omnidesk
from tests.running import SESSION, TOKEN, Site, a_bridge, site
from tests.values import a_delivery

MAKE = """
rules:
  - name: new-customer
    on: message
    do:
      - helpcrunch.create_customer:
          name: "{{ text }}"
          remember: {customer: id}
          then: [{reply: {text: "customer {{ memory.customer }}"}}]
      - reply: {text: one moment}
"""


@asynccontextmanager
async def a_shop(directory: Path, rules: str = MAKE, *, on_unknown: str = "resend") -> AsyncIterator[
    tuple[Site, HelpCrunch, ChatServer]
]:  # fmt: skip
    async with ChatServer() as chat, HelpCrunch() as crunch:
        crunch.add_chat(17, {"id": 5, "email": "ann@shop.example"})
        shop = (
            f'\n[accounts.shop]\nplatform = "helpcrunch"\napi_key = "{KEY}"\nagent = 4188\n'
            f'base_url = "{crunch.url}"\nidentity = {{ email = "contact.email" }}\non_unknown = "{on_unknown}"\n'
        )
        async with a_bridge(directory, site(chat) + shop, rules, chat_server=chat.url) as bridge:
            yield bridge, crunch, chat


def said(chat: ChatServer) -> list[object]:
    return [one["message"] for one in chat.received]


async def test_what_was_found_is_remembered_and_the_rest_follows(tmp_path: Path) -> None:
    async with a_shop(tmp_path) as (bridge, crunch, chat):
        await bridge.say("Ann")
        await bridge.until(lambda: len(chat.received) == 2)
        assert said(chat) == ["one moment", "customer 45"]
        assert [(method, path) for method, path, _ in crunch.changes] == [("POST", "/customers")]
        made, *_ = await bridge.settle()
        assert (made.state, made.delivery.account, made.reference) == ("sent", "shop", None)
        assert bridge.story(1).tries[0].detail == "45"


async def test_an_operation_is_tried_again_and_its_followers_wait(tmp_path: Path) -> None:
    async with a_shop(tmp_path) as (bridge, crunch, _):
        crunch.answers.extend([Say(status=503), Say(status=503)])
        await bridge.say("Ann")
        await bridge.say("Bob", messageNumber=2)
        await bridge.until(lambda: len(crunch.changes) == 2, tick=0.2)
        assert [body["name"] for _, _, body in crunch.changes] == ["Ann", "Bob"]
        assert len(bridge.story(1).tries) >= 2


@pytest.mark.parametrize(("on_unknown", "state", "times"), [("resend", "sent", 2), ("hold", "unknown", 1)])
async def test_of_an_operation_nobody_asks_what_came_of_it(
    tmp_path: Path, on_unknown: str, state: str, times: int
) -> None:
    """Only of replies can HelpCrunch be asked."""
    async with a_shop(tmp_path, on_unknown=on_unknown) as (bridge, crunch, _):
        crunch.answers.append("reset")
        await bridge.say("Ann")
        made, *_ = await bridge.settle()
        assert (made.state, len(crunch.changes), made.delivery.unsure_since) == (state, times, None)


async def order(bridge: Site, command: Command, account: str = "shop") -> None:
    """A command as it would stand in the store after the settings or the program have changed."""

    def work(connection: Connection, items: Sequence[None]) -> list[object]:
        ledger = Ledger(connection, [], bridge.clock.now())
        ledger.enqueue(
            Entry(delivery=a_delivery(account=account, command=command, reply=Reply(text=""), to={"chat": 17}))
        )
        return [ledger.write(Claim(worker="nobody", until=bridge.clock.now() - timedelta(seconds=1)))]

    await bridge.running.store.write(work, None)


@pytest.mark.parametrize(
    ("operation", "arguments", "detail"),
    [
        ("helpcrunch.assign", {"agent": "x"}, "helpcrunch.assign: agent: "),
        ("helpcrunch.assign", {}, "helpcrunch.assign: agent: Field required"),
        ("helpcrunch.assign", {"agent": 1, "team": 2}, "helpcrunch.assign: team: Extra inputs are not permitted"),
        ("helpcrunch.tag", {"tags": ["vip", ""]}, "helpcrunch.tag: tags.1"),
        (
            "helpcrunch.asign",
            {},
            'the account shop cannot do helpcrunch.asign (did you mean "helpcrunch.assign"?)',
        ),
        ("edna.assign", {"agent": 1}, 'the account shop cannot do edna.assign (did you mean "helpcrunch.assign"?)'),
        ("", {}, "the account shop cannot do "),
    ],
)
async def test_what_cannot_be_done_is_dead_and_names_the_argument(
    tmp_path: Path, operation: str, arguments: dict[str, object], detail: str
) -> None:
    async with a_shop(tmp_path) as (bridge, crunch, _):
        await order(bridge, Command(operation=operation, arguments=arguments))
        [dead] = await bridge.settle()
        assert (dead.state, dead.reason, crunch.changes) == ("dead", "invalid", [])
        assert dead.detail is not None
        assert dead.detail.startswith(detail)


FILE = """
rules:
  - name: pass-on
    on: attachment
    do: [{omnidesk.forward: {via: desk}}]
"""
PNG = base64.b64decode("iVBORw0KGgo=") + b"pixels"


@pytest.mark.parametrize(("most", "fate"), [("64 KiB", "sent"), ("8 B", "dead")])
async def test_a_kept_file_is_read_for_a_call(tmp_path: Path, most: str, fate: str) -> None:
    """The bound is that of the settings when it is passed on: here it was lowered in between."""
    async with ChatServer() as chat, Omnidesk() as omnidesk:
        desk = f'[accounts.desk]\nplatform = "omnidesk"\nbase_url = "{omnidesk.url}"\napi_key = "{DESK_KEY}"\n'
        settings = site(chat) + desk
        omnidesk.answers.append(Say(status=503))
        async with a_bridge(tmp_path, settings, FILE, chat_server=chat.url) as bridge:
            form = aiohttp.FormData()
            form.add_field("file", PNG, filename="a.png", content_type="image/png")
            query = {"chatServer": chat.url, "chatSessionID": SESSION, "chatAccountToken": TOKEN}
            url = f"{bridge.running.url}/api/v2/chat/addAttachment"
            async with bridge.client.post(url, data=form, params=query, headers=dict(bridge.headers)) as answer:
                assert answer.status == 200
            await bridge.until(lambda: bridge.deliveries()[0].delivery.attempts)
            clock = bridge.clock
        limited = f'[server]\nmax_attachment = "{most}"\n' + settings
        async with a_bridge(tmp_path, limited, FILE, chat_server=chat.url, clock=clock) as bridge:
            [done] = await bridge.settle()
            assert done.state == fate
            assert omnidesk.files == [("a.png", PNG)] * (2 if fate == "sent" else 1)
            if fate == "dead":
                assert done.detail is not None
                assert "too large to be passed on" in done.detail
