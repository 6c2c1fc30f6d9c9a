"""A platform that answers badly, through the whole line: the outcome is right, nothing is lost, nobody else waits."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.listening import Patience
from tests.fakes.chat_server import ChatServer
from tests.fakes.sockets import Behaviour, Connection, Server, answer, closes, hangs, polite, serving
from tests.running import Site, a_bridge, site

OTHER_KEY = "the-other-key"


async def closes_at_once(connection: Connection) -> None:
    """Takes the connection and not a byte of the request."""
    connection.reset()


async def closes_within(connection: Connection) -> None:
    await connection.reader.readuntil(b"\r\n\r\n")


async def resets_after(connection: Connection) -> None:
    await connection.request()
    connection.reset()


def says(data: bytes) -> Behaviour:
    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.say(data)

    return behave


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"


async def never_ends(connection: Connection) -> None:
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
    for _ in range(1000):
        await connection.say(b"x" * 10_000)


def after(times: int, bad: Behaviour) -> Behaviour:
    """Bad to the first so many connections; after that everything is taken."""

    async def behave(connection: Connection) -> None:
        await (bad if connection.number <= times else polite)(connection)

    return behave


@asynccontextmanager
async def two_accounts(
    directory: Path, behave: Behaviour, timeout: str = "20s", **options: object
) -> AsyncIterator[tuple[Site, Site, Server]]:
    """A bridge with the account "bad", whose chat server does `behave`, and the account "fine"."""
    async with ChatServer() as fine, serving(behave) as server:
        bad = site(server.url, "bad", api_keys=[OTHER_KEY], timeout=timeout, max_in_flight=2, **options)
        patience = Patience(grace=0.2)
        async with a_bridge(directory, bad + site(fine), chat_server=fine.url, patience=patience) as bridge:
            yield replace(bridge, chat_server=server.url, headers={"apiKey": OTHER_KEY}), bridge, server
        assert fine.refused == []


def texts(server: Server) -> list[str]:
    """What the requests that were read whole say."""
    return [json.loads(request.partition(b"\r\n\r\n")[2])["message"] for request in server.requests]


@pytest.mark.parametrize(
    ("behave", "outcome", "reason"),
    [
        (closes_at_once, "unknown", "network"),
        (closes_within, "unknown", "network"),
        (closes, "unknown", "network"),
        (resets_after, "unknown", "network"),
        (says(HALF), "unknown", "network"),
        (says(b"220 mail.example ready\r\n"), "unknown", "network"),
        (hangs, "unknown", "timeout"),
        (says(answer(b"busy", status="503 Busy")), "failed", "unavailable"),
    ],
)
@pytest.mark.parametrize("on_unknown", ["resend", "hold"])
async def test_trouble_that_passes(
    tmp_path: Path, behave: Behaviour, outcome: str, reason: str, on_unknown: str
) -> None:
    """Nobody knows whether it arrived, so the account's policy decides; the healthy account does not notice."""
    timeout = "1s" if behave is hangs else "20s"
    async with two_accounts(tmp_path, after(2, behave), timeout, on_unknown=on_unknown) as (bad, fine, server):
        await bad.say("one")
        await fine.say("hello")
        deliveries = await bad.settle()
        first = bad.story(1).tries[0]
        assert (first.outcome, first.reason) == (outcome, reason)
        if outcome == "unknown" and on_unknown == "hold":
            assert [one.state for one in deliveries] == ["unknown", "sent"]
            assert len(bad.story(1).tries) == 1
        else:
            assert [one.state for one in deliveries] == ["sent", "sent"]
            assert texts(server)[-1] == "you said one"
        assert len(fine.story(2).tries) == 1


@pytest.mark.parametrize(
    ("behave", "state", "reason"),
    [
        (says(answer(b"x" * 10_000_000)), "sent", None),
        (never_ends, "sent", None),
        (says(answer(b"", status="404 Not Found")), "dead", "not_found"),
        (says(answer(b"\xff\0" * 9, status="418 \xff")), "dead", "refused"),
    ],
)
async def test_an_answer_is_read_as_far_as_it_says_something(
    tmp_path: Path, behave: Behaviour, state: str, reason: str | None
) -> None:
    async with two_accounts(tmp_path, behave) as (bad, fine, server):
        await bad.say("one")
        await fine.say("hello")
        first, second = await bad.settle()
        assert (first.state, first.reason, second.state) == (state, reason, "sent")
        assert (texts(server), len(bad.story(1).tries)) == (["you said one"], 1)
        assert len(bad.story(1).tries[0].answer or "") <= 300


async def test_a_redirect_to_another_host_is_refused_and_not_followed(tmp_path: Path) -> None:
    async with serving(polite) as trap:
        redirect = answer(b"", f"Location: {trap.url}/messageForCustomer", status="307 Temporary Redirect")
        async with two_accounts(tmp_path, says(redirect)) as (bad, _, server):
            await bad.say("one")
            [first] = await bad.settle()
            assert (first.state, first.reason) == ("dead", "refused")
            assert (len(server.requests), trap.connections) == (1, 0)


async def test_nobody_listens_until_somebody_does(tmp_path: Path) -> None:
    """Certainly never sent: it is tried again whatever the policy, and sent once."""
    async with serving(polite) as gone:
        pass
    async with ChatServer() as fine:
        bad = site(gone.url, "bad", api_keys=[OTHER_KEY], on_unknown="hold")
        async with a_bridge(tmp_path, bad + site(fine), chat_server=fine.url) as bridge:
            there = replace(bridge, chat_server=gone.url, headers={"apiKey": OTHER_KEY})
            await there.say("one")
            await bridge.until(lambda: len(bridge.story(1).tries) == 3)
            assert {(one.outcome, one.reason) for one in bridge.story(1).tries} == {("failed", "network")}
            async with ChatServer(port=int(gone.url.rpartition(":")[2])) as back:
                assert [one.state for one in await bridge.settle()] == ["sent"]
                assert [one["message"] for one in back.received] == ["you said one"]


async def test_all_of_it_at_once_loses_nothing_and_delays_nobody(tmp_path: Path) -> None:
    """Connections that go wrong in turn, more replies than places: all arrive in the end, those of others at once."""
    trouble = [closes_at_once, closes_within, closes, says(HALF), hangs, resets_after, never_ends, polite]

    async def behave(connection: Connection) -> None:
        await trouble[connection.number % len(trouble)](connection)

    async with two_accounts(tmp_path, behave, "1s") as (bad, fine, server):
        sessions = [f"conversation-{number}" for number in range(12)]
        await asyncio.gather(*(bad.say(session, chatSessionID=session) for session in sessions))
        await asyncio.gather(*(fine.say("x", chatSessionID=session) for session in sessions))
        ours = [one.delivery.id for one in fine.deliveries() if one.delivery.account == "site"]
        await fine.until(lambda: all(fine.story(number).listed.state == "sent" for number in ours), tick=0)
        assert {one.state for one in await bad.settle(tick=0.2)} == {"sent"}
        assert set(texts(server)) == {f"you said {session}" for session in sessions}
