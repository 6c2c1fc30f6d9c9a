"""Stream: a browser reads its mailbox, comes back where it was, and leaves nothing behind."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import Connection

from bridge.app.listening import Patience
from bridge.clock import SetClock
from tests.running import ECHO, PATIENCE, Site, a_bridge, until
from tests.values import NOON

WEBCHAT = '[accounts.web]\nplatform = "webchat"\n'
SESSION = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
QUICK = Patience(heartbeat=0.05, grace=2.0)


async def write(bridge: Site, text: str, session: str = SESSION, number: int = 0) -> None:
    body = {"id": f"message-{number}-{len(text)}", "text": text}
    headers = {"x-chat-session": session}
    async with bridge.client.post(f"{bridge.running.url}/chat/message", json=body, headers=headers) as answer:
        assert answer.status == 202


@asynccontextmanager
async def reading(
    bridge: Site, session: str = SESSION, last: str | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    headers = {"x-chat-session": session} | ({} if last is None else {"Last-Event-ID": last})
    async with bridge.client.get(f"{bridge.running.url}/chat/stream", headers=headers) as answer:
        yield answer


async def entries(answer: aiohttp.ClientResponse, count: int) -> list[tuple[str, str]]:
    """The numbers and texts of the next entries; heartbeats are passed over."""
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            entry = (await answer.content.readuntil(b"\n\n")).decode()
            if entry.startswith(":"):
                continue
            fields = dict(line.split(": ", 1) for line in entry.splitlines() if line)
            assert fields["event"] == "message"
            found.append((fields["id"], json.loads(fields["data"])["text"]))
    return found


async def test_replies_come_as_they_are_made(tmp_path: Path) -> None:
    async with a_bridge(tmp_path, WEBCHAT) as bridge, reading(bridge) as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        for number, text in enumerate(["one", "two\nlines", "drei €"]):
            await write(bridge, text, number=number)
            [(_, said)] = await entries(stream, 1)
            assert said == f"you said {text}"


async def test_a_reader_gets_its_own_mail_only(tmp_path: Path) -> None:
    async with a_bridge(tmp_path, WEBCHAT) as bridge, reading(bridge, OTHER) as other, reading(bridge) as mine:
        await write(bridge, "mine")
        await write(bridge, "others", OTHER)
        assert [text for _, text in await entries(mine, 1)] == ["you said mine"]
        assert [text for _, text in await entries(other, 1)] == ["you said others"]


async def test_who_comes_back_gets_what_came_after_the_last_seen(tmp_path: Path) -> None:
    async with a_bridge(tmp_path, WEBCHAT) as bridge:
        for number in range(5):
            await write(bridge, f"no. {number}", number=number)
        await bridge.settle()
        async with reading(bridge) as stream:
            everything = await entries(stream, 5)
        assert [text for _, text in everything] == [f"you said no. {number}" for number in range(5)]
        async with reading(bridge, last=everything[2][0]) as stream:
            assert await entries(stream, 2) == everything[3:]
            await write(bridge, "new")
            assert [text for _, text in await entries(stream, 1)] == ["you said new"]


async def test_more_mail_than_is_read_at_once_comes_whole_and_in_order(tmp_path: Path) -> None:
    async with a_bridge(tmp_path, f"[rulebook]\nreplies_per_hour = 1000\n{WEBCHAT}") as bridge:
        for begin in range(0, 450, 50):
            await asyncio.gather(*(write(bridge, f"no. {begin + n}", number=begin + n) for n in range(50)))
        await bridge.settle()
        async with reading(bridge) as stream:
            numbers = [int(number) for number, _ in await entries(stream, 450)]
    assert len(set(numbers)) == 450
    assert numbers == sorted(numbers)


async def test_mail_survives_a_restart_and_a_number_of_a_lost_store_reads_all(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    async with a_bridge(tmp_path, WEBCHAT, clock=clock) as bridge:
        await write(bridge, "kept")
        await bridge.settle()
    async with a_bridge(tmp_path, WEBCHAT, clock=clock) as bridge:
        for last in ("0", None, "999999999999"):
            async with reading(bridge, last=last) as stream:
                assert [text for _, text in await entries(stream, 1)] == ["you said kept"]


async def test_a_stream_ends_where_the_store_cannot_be_read(tmp_path: Path) -> None:
    def lose(connection: Connection, items: Sequence[None]) -> list[None]:
        connection.exec_driver_sql("ALTER TABLE mailbox RENAME TO lost")
        return [None]

    async with a_bridge(tmp_path, WEBCHAT, patience=QUICK) as bridge, reading(bridge) as stream:
        await write(bridge, "one")
        await entries(stream, 1)
        await bridge.running.store.write(lose, None)
        async with asyncio.timeout(PATIENCE):
            rest = await stream.read()
    assert rest.replace(b": still here\n\n", b"") == b""


@pytest.mark.parametrize("last", ["-1", "x", "1e3", "9" * 19, "٣", "1 OR 1=1", ""])
async def test_a_last_number_that_is_none_is_refused(tmp_path: Path, last: str) -> None:
    async with a_bridge(tmp_path, WEBCHAT) as bridge, reading(bridge, last=last) as stream:
        assert stream.status == 400
        assert str((await stream.json(content_type=None))["title"]).startswith("Last-Event-ID: ")


@pytest.mark.parametrize(("session", "status"), [("", 401), ("x", 400), ("0" * 200, 400)])
async def test_without_a_session_there_is_no_mailbox(tmp_path: Path, session: str, status: int) -> None:
    async with a_bridge(tmp_path, WEBCHAT) as bridge, reading(bridge, session) as stream:
        assert stream.status == status


@pytest.mark.parametrize("body", [b"x", b"x" * 100_000])
async def test_a_request_for_a_stream_has_no_body(tmp_path: Path, body: bytes) -> None:
    """It would stay in the memory for as long as the stream does."""
    async with a_bridge(tmp_path, WEBCHAT) as bridge:
        url, headers = f"{bridge.running.url}/chat/stream", {"x-chat-session": SESSION}
        async with bridge.client.get(url, headers=headers, data=body) as answer:
            assert answer.status == 413


async def test_who_asks_for_the_head_alone_gets_no_mail_and_is_answered_again(tmp_path: Path) -> None:
    async with a_bridge(tmp_path, WEBCHAT) as bridge:
        await write(bridge, "one")
        head = f"HEAD /chat/stream HTTP/1.1\r\nHost: x\r\nx-chat-session: {SESSION}\r\n\r\n"
        host, port = bridge.running.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(PATIENCE):
            writer.write(head.encode() + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            first, second, alive = (await reader.read()).decode().split("\r\n\r\n")
        writer.close()
        assert first.startswith("HTTP/1.1 200 OK")
        assert "Content-Type: text/event-stream" in first
        assert second.startswith("HTTP/1.1 200 OK")
        assert json.loads(alive) == {"alive": True}


async def test_a_silent_stream_shows_that_it_is_alive(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        a_bridge(tmp_path, WEBCHAT, patience=QUICK) as bridge,
        reading(bridge) as stream,
    ):
        for _ in range(3):
            assert await stream.content.readuntil(b"\n\n") == b": still here\n\n"


async def test_too_many_readers_of_one_mailbox_are_asked_to_wait(tmp_path: Path) -> None:
    """Those that have gone do not count, however long it would take to notice them by a heartbeat."""
    async with a_bridge(tmp_path, WEBCHAT) as bridge:
        readers = [reading(bridge) for _ in range(8)]
        streams = [await reader.__aenter__() for reader in readers]
        assert {stream.status for stream in streams} == {200}
        async with reading(bridge) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        async with reading(bridge, OTHER) as other:
            assert other.status == 200
        for stream in streams[:3]:
            stream.close()

        async def status() -> int:
            async with reading(bridge) as stream:
                return stream.status

        async with asyncio.timeout(PATIENCE):
            while await status() != 200:
                await asyncio.sleep(0.01)
        for reader in readers:
            await reader.__aexit__(None, None, None)


async def test_a_reader_that_has_gone_is_forgotten(tmp_path: Path) -> None:
    """Its handler ends at the next heartbeat: the server has no request under way any more, and closes at once."""
    async with a_bridge(tmp_path, WEBCHAT, patience=Patience(heartbeat=0.05, grace=30)) as bridge:
        async with reading(bridge) as stream:
            assert stream.status == 200
        before = asyncio.all_tasks()
        await until(lambda: not any("_handle_request" in repr(task.get_coro()) for task in asyncio.all_tasks()))
        assert any("_handle_request" in repr(task.get_coro()) for task in before)
        await write(bridge, "nobody reads")
        assert [one.state for one in await bridge.settle()] == ["sent"]


async def test_a_server_that_stops_lets_its_readers_go(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        async with aiohttp.ClientSession() as client:
            async with a_bridge(tmp_path, WEBCHAT, ECHO, patience=Patience(grace=60)) as bridge:
                url = f"{bridge.running.url}/chat/stream"
                stream = await client.get(url, headers={"x-chat-session": SESSION})
            assert await stream.content.read() == b""
            stream.close()


async def test_a_repeated_attempt_puts_no_second_entry(tmp_path: Path) -> None:
    async with a_bridge(tmp_path, WEBCHAT) as bridge:
        for _ in range(3):
            await write(bridge, "once")
        await bridge.settle()
        await write(bridge, "end", number=1)
        await bridge.settle()
        async with reading(bridge) as stream:
            assert [text for _, text in await entries(stream, 2)] == ["you said once", "you said end"]


async def test_mail_that_the_store_cannot_take_now_is_tried_again(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    async with a_bridge(tmp_path, WEBCHAT, clock=clock, patience=QUICK) as bridge:
        [(_, _, file)] = bridge.rows("PRAGMA database_list")
        full = "CREATE TRIGGER full BEFORE INSERT ON mailbox BEGIN SELECT RAISE(ABORT, 'no room'); END"
        with closing(sqlite3.connect(file)) as other:
            other.execute(full)
            await write(bridge, "hello")
            await bridge.until(lambda: bridge.deliveries()[0].delivery.attempts, tick=0)
            [tried] = bridge.deliveries()
            assert (tried.state, tried.reason, tried.detail) == (
                "queued",
                "unavailable",
                "the store could not write: no room",
            )
            other.execute("DROP TRIGGER full")
        assert [one.state for one in await bridge.settle()] == ["sent"]
        async with reading(bridge) as stream:
            assert [text for _, text in await entries(stream, 1)] == ["you said hello"]
