"""Receive: bodies that are empty, huge, broken off or packed, and senders that never end."""

import asyncio
import gzip
import json
import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import Connection

from bridge.app.listening import Patience
from bridge.line.bodies import LARGEST_AT_ONCE
from tests.fakes.chat_server import ChatServer
from tests.line.served import (
    JSON,
    LIMITS,
    MAX_ATTACHMENT,
    MAX_BODY,
    MESSAGE,
    Served,
    a_message,
    ask,
    call,
    head_of,
    raw,
    still_served,
)
from tests.running import KEY, PATIENCE, a_bridge, site


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body: not JSON"),
        (b"{", "body: not JSON"),
        (b"null", "body: null is given where a JSON object is expected"),
        (b"[]", "body: a list is given where a JSON object is expected"),
        (b'{"message": "a", "message": "b"}', "message: given more than once"),
        (b'{"message": "a\x00b"}', "body: not JSON"),
        (b'{"message": "\xff\xfe"}', "body: not JSON"),
        (b'{"message": "\\ud800"}', "body: not JSON"),
        (b"[" * 30_000 + b"]" * 30_000, "body: not JSON"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "body: not JSON"),
    ],
)
def test_a_body_that_is_none_is_told(served: Served, body: bytes, said: str) -> None:
    reply = ask(served, MESSAGE, body)
    assert reply.status == 400
    assert reply.message.startswith(said)


def test_a_null_byte_in_a_text_is_refused_by_its_field(served: Served) -> None:
    reply = ask(served, MESSAGE, a_message(served, message="a\0b"))
    assert (reply.status, reply.message) == (400, "message: the control character U+0000 is not taken")


def padded(served: Served, size: int) -> bytes:
    """A message whose body has this many bytes."""
    blanks = size - len(a_message(served))
    return a_message(served).replace(b"{", b"{" + b" " * blanks, 1)


def chunks(data: bytes, size: int = 16_384) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def test_a_body_may_be_as_large_as_the_setting_says(served: Served) -> None:
    """An attachment's is larger; the path of both is the same, so what is no attachment is refused after it came."""
    assert ask(served, MESSAGE, padded(served, MAX_BODY)).status == 200


async def test_the_setting_may_be_small(tmp_path: Path) -> None:
    limits = '[server]\nmax_body = "500 B"\nmax_attachment = "500 B"\n'
    async with ChatServer() as fake, a_bridge(tmp_path, limits + site(fake)) as bridge:
        for size, status in ((500, 400), (501, 413)):
            url, headers = f"{bridge.running.url}{MESSAGE}", {"apiKey": KEY, "Content-Type": JSON}
            async with bridge.client.post(url, data=b"x" * size, headers=headers) as answer:
                assert answer.status == status


def test_a_body_that_is_too_large_is_refused_by_its_length_alone(served: Served) -> None:
    head = (
        f"POST {MESSAGE} HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\nContent-Type: {JSON}\r\n"
        f"Content-Length: {MAX_ATTACHMENT + 1}\r\n\r\n"
    )
    heard = raw(served, head.encode())
    assert heard.startswith(b"HTTP/1.1 413 ")
    said = f"the body has {MAX_ATTACHMENT + 1} bytes; at most {MAX_ATTACHMENT} are taken"
    assert json.loads(heard.partition(b"\r\n\r\n")[2]) == {"status": "error", "message": said}
    still_served(served)


def test_a_chunked_body_is_counted_as_it_comes(served: Served) -> None:
    with closing(served.connect()) as connection:
        reply = call(connection, MESSAGE, chunks(padded(served, MAX_BODY)))
        assert reply.status == 200
        still_served(served, connection, reply)
    head = f"POST {MESSAGE} HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with closing(served.plug()) as plug:
        plug.sendall(head.encode())
        for _ in range(MAX_ATTACHMENT // 16_384 + 1):
            plug.sendall(b"4000\r\n" + b"x" * 16_384 + b"\r\n")
        heard = plug.recv(65_536)
    assert heard.startswith(b"HTTP/1.1 413 ")
    still_served(served)


def test_the_web_chats_bodies_have_the_smaller_bound(served: Served) -> None:
    headers = {"x-chat-session": "0123456789abcdef" * 2}
    body = json.dumps({"id": "message-1", "text": "x"}).encode()
    with closing(served.connect()) as connection:
        assert call(connection, "/chat/message", body + b" " * (MAX_BODY - len(body)), headers=headers).status == 202
    reply = ask(served, "/chat/message", body + b" " * (MAX_BODY + 1 - len(body)), headers=headers)
    assert reply.status == 413


def test_a_bomb_of_zeros_is_counted_unpacked(served: Served) -> None:
    bomb = gzip.compress(b" " * (64 * 2**20))
    assert len(bomb) < MAX_BODY * 2
    reply = ask(served, MESSAGE, bomb, headers={"Content-Encoding": "gzip"})
    assert reply.status == 413


@pytest.mark.parametrize(
    ("coding", "status", "said"),
    [
        ("gzip", 400, "body: not packed by gzip, as its content-encoding says"),
        ("deflate", 400, "body: not packed by deflate, as its content-encoding says"),
        ("br", 415, "content-encoding: br is not taken, only gzip, deflate or none"),
        ("gzip, gzip", 415, "content-encoding: gzip, gzip is not taken, only gzip, deflate or none"),
    ],
)
def test_a_body_that_is_not_packed_as_it_says_is_told(
    served: Served, coding: str, status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The sender is, and not the log: whoever likes to could fill it, without a key."""
    reply = ask(served, MESSAGE, b"this is not packed!!", headers={"Content-Encoding": coding})
    assert (reply.status, reply.message) == (status, said)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_is_packed_and_not_whole_is_not_taken(served: Served, coding: str) -> None:
    """The end of what the customer wrote would be missing, and nobody notice."""
    plain = a_message(served, message="my order is number 4711")
    packed = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    for short in (1, 8, 20, len(packed)):
        reply = ask(served, MESSAGE, packed[:-short], headers={"Content-Encoding": coding})
        assert (reply.status, reply.message) == (400, f"body: what was packed by {coding} is not whole")
    reply = ask(served, MESSAGE, packed + b"x", headers={"Content-Encoding": coding})
    assert (reply.status, reply.message) == (400, f"body: something follows what was packed by {coding}")


def test_nobody_unpacks_what_goes_nowhere(served: Served) -> None:
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    # Each stands for a megabyte; nine gigabytes in all.
    bomb = head + (packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)) * 9_000
    began = time.process_time()
    with closing(served.plug()) as plug:
        plug.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n")
        plug.sendall(f"Content-Length: {len(bomb)}\r\n\r\n".encode())
        assert plug.recv(65_536).startswith(b"HTTP/1.1 404 ")
        # What comes after it is answered once all of it was passed over.
        plug.sendall(bomb + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert plug.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert time.process_time() - began < 1  # 3 where it is unpacked


def test_who_has_no_key_is_told_so_before_the_body_has_come(served: Served) -> None:
    """Nothing is kept for strangers: a packed body of ten kilobytes would be ten megabytes here."""
    head = head_of("Content-Length: 4000").replace(f"apiKey: {KEY}".encode(), b"apiKey: another")
    with closing(served.plug()) as plug:
        plug.sendall(head + b"{")
        heard = plug.recv(65_536)
    assert heard.startswith(b"HTTP/1.1 401 "), heard
    still_served(served)


async def test_more_large_bodies_than_there_is_room_for_are_asked_to_come_again(tmp_path: Path) -> None:
    half = head_of(f"Content-Length: {MAX_ATTACHMENT}") + b" " * (MAX_ATTACHMENT - 1)
    patience = Patience(body=PATIENCE * 2)
    async with ChatServer() as fake, a_bridge(tmp_path, LIMITS + site(fake), patience=patience) as bridge:
        host, port = bridge.running.url.removeprefix("http://").split(":")
        async with asyncio.timeout(PATIENCE):
            plugs = [await asyncio.open_connection(host, int(port)) for _ in range(LARGEST_AT_ONCE + 1)]
            for _, writer in plugs:
                writer.write(half)
            answers = [asyncio.create_task(reader.readuntil(b"\r\n\r\n")) for reader, _ in plugs]
            [told], waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
            assert told.result().startswith(b"HTTP/1.1 429 ")
            assert b"Retry-After: 1" in told.result()
            for (_, writer), answer in zip(plugs, answers, strict=True):
                answer.cancel()
                writer.close()
            await asyncio.wait(waiting)
            # What is gone is forgotten: as many are taken again.
            gone = f'replybridge_refused_total{{status="400"}} {LARGEST_AT_ONCE}.0'
            while gone not in await (await bridge.client.get(f"{bridge.running.url}/metrics")).text():
                pass
            again = [await asyncio.open_connection(host, int(port)) for _ in range(LARGEST_AT_ONCE)]
            body = gzip.compress(json.dumps({"message": "x" * (MAX_ATTACHMENT // 2)}).encode())
            for _, writer in again:
                writer.write(head_of(f"Content-Encoding: gzip\r\nContent-Length: {len(body)}") + body[:-1])
            for reader, writer in again:
                writer.write(body[-1:])
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
                writer.close()


async def test_who_is_still_sending_when_the_server_stops_is_asked_to_send_again(tmp_path: Path) -> None:
    async with ChatServer() as fake, asyncio.timeout(PATIENCE):
        async with a_bridge(tmp_path, LIMITS + site(fake)) as bridge:
            host, port = bridge.running.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            # What says that it may come on is the sign that it is waited for.
            writer.write(head_of("Expect: 100-continue\r\nContent-Length: 100"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            writer.write(b'{"half": ')
        told = await reader.read()
        writer.close()
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in told
    assert b"the server is stopping; send it again" in told


async def test_large_bodies_count_until_they_are_answered(tmp_path: Path) -> None:
    over = threading.Event()

    def wait(connection: Connection, items: Sequence[None]) -> Sequence[None]:
        over.wait(PATIENCE)
        return items

    async with ChatServer() as fake, a_bridge(tmp_path, LIMITS + site(fake)) as bridge:

        async def upload(number: int) -> int:
            query = {"chatServer": fake.url, "chatSessionID": f"session-{number:04}", "chatAccountToken": "tok1234567"}
            form = aiohttp.FormData()
            form.add_field("file", b"x" * (MAX_ATTACHMENT - 1000), filename="a.txt")
            url = f"{bridge.running.url}/api/v2/chat/addAttachment"
            async with bridge.client.post(url, data=form, params=query, headers={"apiKey": KEY}) as answer:
                return answer.status

        store = bridge.running.store
        slow = store.write(wait, None)
        while store.waiting:
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            waiting = [asyncio.create_task(upload(number)) for number in range(LARGEST_AT_ONCE)]
            while store.waiting < LARGEST_AT_ONCE:
                await asyncio.sleep(0)
            assert await upload(LARGEST_AT_ONCE) == 429
            over.set()
            assert await asyncio.gather(*waiting) == [200] * LARGEST_AT_ONCE
            await slow
            assert await upload(LARGEST_AT_ONCE) == 200


def bare(plain: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", bare),
        ("identity", bytes),
    ],
)
def test_a_packed_body_is_taken(served: Served, coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(a_message(served, message=f"packed by {coding} {pack.__name__}"))
    assert ask(served, MESSAGE, packed, headers={"Content-Encoding": coding}).status == 200


def test_a_body_that_breaks_off_leaves_nothing_behind(served: Served) -> None:
    head = (
        f"POST {MESSAGE} HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\nContent-Type: {JSON}\r\nContent-Length: 4000\r\n\r\n"
    )
    heard = raw(served, head.encode() + a_message(served), then_close=True)
    assert b" 500 " not in heard
    still_served(served)


@pytest.mark.parametrize(
    "chunk",
    [b"zz\r\n{}\r\n", b"-5\r\n{}", b"5\r\n{}\r\n0\r\n\r\n", b"ffffffffffffffffffff\r\n{}", b"2;x\r\n{}xx0\r\n\r\n"],
)
def test_chunks_that_are_none_are_told(served: Served, chunk: bytes) -> None:
    heard = raw(served, head_of("Transfer-Encoding: chunked") + chunk, then_close=True)
    assert heard == b"" or heard.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ", b"HTTP/1.1 408 ")), heard
    still_served(served)


def test_a_chunk_that_is_broken_after_the_request_began_is_a_body_that_never_came(served: Served) -> None:
    """The web server does not tell a handler that is reading already; the time for the body runs out."""
    with closing(served.plug()) as plug:
        plug.sendall(head_of("Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
        still_served(served)
        plug.sendall(b"zz\r\n1}\r\n")
        heard = plug.recv(65_536)
    assert heard.startswith(b"HTTP/1.1 408 "), heard
    still_served(served)


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST", b"POST /api/v2/chat/x HTTP/1.1\r\nHost: x\r\napi", b"\r\n\r\n"],
    ids=["nothing", "method", "header", "blank lines"],
)
def test_who_never_ends_the_headers_is_let_go(served: Served, begun: bytes) -> None:
    assert raw(served, begun) == b""
    still_served(served)


def test_who_dribbles_headers_is_let_go_all_the_same(served: Served) -> None:
    with closing(served.plug()) as plug:
        plug.sendall(b"GET / HTTP/1.1\r\n")
        plug.settimeout(0.05)
        gone = False
        for number in range(100):
            try:
                plug.sendall(f"x-{number}: y\r\n".encode())
                gone = plug.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                gone = True
            if gone:
                break
        assert gone
        assert number < 60
    still_served(served)


@pytest.mark.parametrize("coding", ["Content-Length: 4000", "Transfer-Encoding: chunked"])
def test_who_never_ends_the_body_is_told_and_let_go(served: Served, coding: str) -> None:
    with closing(served.plug()) as plug:
        plug.sendall(head_of(coding) + (b"1\r\n{\r\n" if "chunked" in coding else b"{"))
        heard = plug.recv(65_536)
    assert heard.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in heard.lower()
    assert json.loads(heard.partition(b"\r\n\r\n")[2])["message"] == "the body did not come within 1 seconds"
    still_served(served)


def test_many_slow_senders_hold_up_nobody(served: Served) -> None:
    head = f"POST {MESSAGE} HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\nContent-Length: 4000\r\n\r\n"
    plugs = [served.plug() for _ in range(50)]
    for plug in plugs:
        plug.sendall(head.encode())
    still_served(served)
    for plug in plugs:
        assert plug.recv(65_536).startswith(b"HTTP/1.1 408 ")
        plug.close()
    still_served(served)


def times_refused(served: Served) -> float:
    """How many webhooks were turned away."""
    with closing(served.connect()) as connection:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("replybridge_refused_total{"))


def test_a_sender_that_goes_away_in_the_middle_of_the_body_is_no_failure_of_ours(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    before = times_refused(served)
    head = f"POST {MESSAGE} HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\nContent-Type: {JSON}\r\nContent-Length: 99\r\n\r\n"
    with closing(served.plug()) as plug:
        plug.sendall(head.encode() + b'{"half"')
    end = time.monotonic() + 60
    while times_refused(served) == before:
        assert time.monotonic() < end
    still_served(served)
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []
