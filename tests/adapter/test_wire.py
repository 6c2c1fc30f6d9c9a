"""One connection: which answer is read from which bytes, in whatever pieces they come, and when nothing may follow."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.failures import NoAnswer
from bridge.adapter.protocol import HttpAnswer
from bridge.adapter.wire import MOST_AROUND, Connection
from tests.loop import run

ORIGIN = "https://a.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MOST = 100


class Line(asyncio.Transport):
    """A transport that leads nowhere: what is written is kept, and to abort is to lose the connection at once."""

    def __init__(self, *, stuck: int = 0) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.stuck = stuck
        with socket.socket() as plug:
            self.connection = Connection(ORIGIN, plug)
        self.connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.stuck

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.ends()

    def ends(self, error: Exception | None = None) -> None:
        if not self.closed:
            self.closed = True
            self.connection.connection_lost(error)

    async def asks(self, most: int = MOST) -> "asyncio.Task[HttpAnswer]":
        until = asyncio.get_running_loop().time() + 3600
        asked = asyncio.create_task(self.connection.ask(b"GET", most=most, until=until))
        await asyncio.sleep(0)
        assert self.written == b"GET"
        self.written = b""
        return asked

    def hears(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.closed:
                self.connection.data_received(piece)


async def heard(*pieces: bytes, most: int = MOST, ends: bool = False) -> tuple[HttpAnswer, bool]:
    """What is answered, and whether another request may follow."""
    line = Line()
    asked = await line.asks(most)
    line.hears(*pieces)
    if ends:
        line.ends()
    answer = await asked
    assert line.connection.reusable is not line.closed
    return answer, line.connection.reusable


def pieces_of(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[first:last] for first, last in pairwise(places)]


BODIES = st.binary(max_size=2 * MOST)
CUTS = st.lists(st.integers(min_value=0, max_value=2000), max_size=20)


@given(BODIES, CUTS, st.sampled_from([b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]), st.booleans())
def test_an_answer_is_read_from_any_pieces(body: bytes, cuts: list[int], interim: bytes, chunked: bool) -> None:
    if chunked:
        half = len(body) // 2
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
        data = b"HTTP/1.1 201 Created\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nY: 2\r\n\r\n"
    else:
        data = b"HTTP/1.1 201 Created\r\nX: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    length = {"transfer-encoding": "chunked"} if chunked else {"content-length": str(len(body))}
    answer, reusable = run(heard(*pieces_of(interim + data, cuts)))
    assert answer == HttpAnswer(status=201, headers={"x": "1", **length}, body=body[:MOST])
    # One that was cut may have been cut before its end came.
    assert reusable or len(body) >= MOST


@given(st.lists(st.sampled_from([b"HTTP/1.1 ", b"200 OK", b"\r\n", b"\r\n\r\n", b"A: b", b"Transfer-Encoding: chunked",
                                 b"Content-Length: ", b"5", b"0", b"\0", b"\xff", b":", b" ", b"Upgrade: x", b"101 S",
                                 b"Connection: upgrade", b"HTTP/0.9"]) | st.binary(max_size=30), max_size=40),
       CUTS)  # fmt: skip
def test_whatever_comes_is_an_answer_or_none(parts: list[bytes], cuts: list[int]) -> None:
    async def attempt() -> None:
        with suppress(NoAnswer):
            answer, _ = await heard(*pieces_of(b"".join(parts), cuts), ends=True)
            assert 0 <= answer.status <= 999
            assert len(answer.body) <= MOST

    run(attempt())


@pytest.mark.parametrize(
    ("data", "status", "body", "reusable"),
    [
        (OK, 200, b"ok", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 101, b"", False),
        (OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200, b"ok", False),
        (OK + b"HTTP/1.1 103 Early Hints\r\n\r\n", 200, b"ok", False),
        (OK + b"\0", 200, b"ok", False),
    ],
)
async def test_only_after_one_whole_answer_may_a_request_follow(
    data: bytes, status: int, body: bytes, reusable: bool
) -> None:
    answer, may_follow = await heard(data)
    assert (answer.status, answer.body, may_follow) == (status, body, reusable)


async def test_what_nobody_asked_for_closes_the_connection() -> None:
    line = Line()
    asked = await line.asks()
    line.hears(OK)
    line.hears(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert (await asked).body == b"ok"
    assert (line.closed, line.connection.reusable) == (True, False)


async def test_an_answer_that_comes_before_all_was_written_is_the_last() -> None:
    line = Line(stuck=1)
    asked = await line.asks()
    line.hears(OK)
    assert (await asked).body == b"ok"
    assert line.closed


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    answer, _ = await heard(b"HTTP/1.1 200 OK\r\n\r\no", b"k", ends=True)
    assert answer == HttpAnswer(status=200, body=b"ok")


@pytest.mark.parametrize("length", [b"Content-Length: 3", b"Transfer-Encoding: chunked"])
async def test_an_answer_that_breaks_off_is_none(length: bytes) -> None:
    with pytest.raises(NoAnswer, match="end of file before message length reached"):
        await heard(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n", ends=True)


async def test_an_answer_with_two_lengths_is_none() -> None:
    with pytest.raises(NoAnswer, match="it is not HTTP"):
        await heard(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")


async def test_as_many_bytes_are_kept_as_are_asked_for() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    assert (await heard(head, most=0)) == (HttpAnswer(status=200, headers={"content-length": "4"}), False)
    answer, reusable = await heard(head + b"abc", most=3)
    assert (answer.body, reusable) == (b"abc", False)
    # What has come whole all the same does no harm.
    answer, reusable = await heard(head + b"abcd", most=3)
    assert (answer.body, reusable) == (b"abc", True)


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 200),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
    ],
)
async def test_what_stands_around_a_body_is_bounded(head: bytes, again: bytes) -> None:
    line = Line()
    asked = await line.asks()
    line.hears(head)
    count = 0
    while not asked.done():
        line.hears(again)
        count += 1
        assert count * len(again) <= MOST_AROUND + 2 * len(again)
        await asyncio.sleep(0)
    with pytest.raises(NoAnswer, match="message head is too large"):
        await asked
    assert line.closed


async def test_who_no_longer_waits_closes_the_connection() -> None:
    line = Line()
    asked = await line.asks()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (line.closed, line.connection.reusable) == (True, False)


@pytest.mark.parametrize("before", [OK, b"HTTP/1.1 204 No Content\r\n\r\n"])
@pytest.mark.parametrize("data", [b"", b"\r\n"])
async def test_an_answer_is_never_taken_for_the_next_too(before: bytes, data: bytes) -> None:
    line = Line()
    asked = await line.asks(most=0)
    line.hears(before)
    await asked
    asked = await line.asks(most=0)
    line.hears(data)
    line.ends()
    with pytest.raises(NoAnswer, match="connection closed before message completed"):
        await asked


async def test_after_an_answer_the_next_is_asked_on_the_same_connection() -> None:
    line = Line()
    for body in (b"ok", b"no"):
        asked = await line.asks()
        line.hears(OK.replace(b"ok", body))
        assert (await asked).body == body
    assert not line.closed
