"""The door, against real sockets: what it sends, what it takes, and what it says when there is no answer."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.adapter.failures import DoorError, NeverSent, NoAnswer
from bridge.adapter.http import MOST, USER_AGENT, Door
from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.clock import SetClock
from bridge.errors import BridgeError
from tests.fakes.sockets import Behaviour, Connection, answer, closes, hangs, polite, self_signed, serving
from tests.values import NOON

QUICK = timedelta(seconds=1)
"""For calls that have to run into their time-out; connecting gets half of it."""
PATIENT = timedelta(seconds=20)
SECRET = "hush-hush"


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door(SetClock(NOON)) as opened:
        yield opened


def a_call(url: str, *, safe: bool = False) -> HttpCall:
    """A call with a secret in its query and in a header, neither of which may show in an error."""
    headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
    return HttpCall(method="POST", url=f"{url}/v1/messages?key={SECRET}", headers=headers, body=b'{"a":1}', safe=safe)


async def fail(door: Door, call: HttpCall, timeout: timedelta = PATIENT) -> DoorError:
    with pytest.raises(DoorError) as caught:
        await door.call(call, timeout=timeout)
    assert SECRET not in repr(caught.value) + caught.value.detail
    return caught.value


async def test_a_request_arrives_as_it_was_meant(door: Door) -> None:
    async with serving(polite) as server:
        got = await door.call(a_call(server.url), timeout=PATIENT)
        assert got == HttpAnswer(status=200, headers={"content-length": "2"}, body=b"ok")
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        assert (first, body) == (f"POST /v1/messages?key={SECRET} HTTP/1.1", b'{"a":1}')
        assert {line.split(": ")[0].lower(): line.split(": ")[1] for line in lines} == {
            "authorization": f"Bearer {SECRET}",
            "content-type": "application/json",
            "content-length": "7",
            "accept": "*/*",
            "user-agent": USER_AGENT,
            "host": server.url.removeprefix("http://"),
        }
        await door.call(HttpCall(method="GET", url=server.url), timeout=PATIENT)
        assert server.requests[1].startswith(b"GET / HTTP/1.1\r\n")
        assert server.connections == 1


# What certainly was never sent.


async def test_a_refused_connection_was_never_sent(door: Door) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        error = await fail(door, a_call(url))
    assert isinstance(error, NeverSent)
    assert error.reason == "network"
    assert error.detail.startswith(f"{url}: cannot connect: Connection refused")


async def test_a_connection_that_nobody_takes_was_never_sent(door: Door) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        error = await fail(door, a_call(f"http://127.0.0.1:{full.getsockname()[1]}"), QUICK)
        for one in waiting:
            one.close()
    assert (type(error), error.reason) == (NeverSent, "timeout")


async def test_an_unknown_name_was_never_sent(door: Door) -> None:
    error = await fail(door, a_call("http://no-such-host.invalid"))
    assert isinstance(error, NeverSent)
    assert error.reason in ("network", "timeout")


async def speaks_no_tls(connection: Connection) -> None:
    await connection.say(b"220 mail.example ready\r\n")
    await connection.gone()


async def silent(connection: Connection) -> None:
    await connection.gone()


@pytest.mark.parametrize(("behave", "reason"), [(speaks_no_tls, "network"), (silent, "timeout")])
async def test_a_failed_handshake_was_never_sent(door: Door, behave: Behaviour, reason: str) -> None:
    async with serving(behave) as server:
        error = await fail(
            door, a_call(server.url.replace("http:", "https:")), QUICK if reason == "timeout" else PATIENT
        )
    assert (type(error), error.reason) == (NeverSent, reason)


async def test_only_a_trusted_certificate_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, trusted = self_signed(tmp_path)
    async with serving(polite, tls=context) as server:
        async with Door(SetClock(NOON)) as door:
            error = await fail(door, a_call(server.url))
        assert isinstance(error, NeverSent)
        assert error.detail == f"{server.url}: cannot connect: the certificate is not trusted: self-signed certificate"
        assert server.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        async with Door(SetClock(NOON)) as door:
            assert (await door.call(a_call(server.url), timeout=PATIENT)).status == 200
            other_name = server.url.replace("127.0.0.1", "localhost")
            assert isinstance(await fail(door, a_call(other_name)), NeverSent)


async def test_a_system_without_authorities_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with pytest.raises(BridgeError, match=r"No CA certificates .* install the system's ca-certificates"):
        async with Door(SetClock(NOON)):
            pass


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("", "not a URL: input is empty"),
        ("/v1/messages", "not a URL: relative URL without a base"),
        ("http://", "not a URL: empty host"),
        ("http://[::1", "not a URL: invalid IPv6 address"),
        ("http://127.0.0.1:99999/", "not a URL: invalid port number"),
        ("http://a b/", "not a URL: invalid international domain name"),
        ("file:///etc/passwd", "a URL begins with http:// or https://, not with file:"),
        ("ftp://files.example/", "a URL begins with http:// or https://, not with ftp:"),
        (f"http://me:{SECRET}@127.0.0.1/", "http://127.0.0.1: a URL with a user name or password is never called"),
    ],
)  # fmt: skip
async def test_a_bad_url_was_never_sent(door: Door, url: str, detail: str) -> None:
    error = await fail(door, HttpCall(method="POST", url=url))
    assert (type(error), error.reason, error.detail) == (NeverSent, "invalid", detail)


@pytest.mark.parametrize("value", [f"{SECRET}\n", f"{SECRET}\r\nX-Admin: yes", f"{SECRET}\0", f"{SECRET}\ud800"])
async def test_a_header_that_cannot_be_sent_is_refused_without_its_value(door: Door, value: str) -> None:
    async with serving(polite) as server:
        error = await fail(door, HttpCall(method="GET", url=server.url, headers={"apikey": value}))
    assert (type(error), error.reason, server.connections) == (NeverSent, "invalid", 0)
    assert "apikey" in error.detail


async def test_an_address_that_is_not_allowed_is_not_called() -> None:
    asked: list[str] = []

    def allow(origin: str) -> bool:
        asked.append(origin)
        return "127.0.0.1" not in origin

    async with Door(SetClock(NOON), allow=allow) as door, serving(polite) as server:
        port = server.url.rpartition(":")[2]
        for spelling in ("127.0.0.1", "2130706433", "0x7f.1"):
            error = await fail(door, a_call(f"http://{spelling}:{port}"))
            assert (type(error), error.reason) == (NeverSent, "refused")
        assert asked == [server.url] * 3
        assert server.connections == 0


# What may have been received.


async def resets(connection: Connection) -> None:
    await connection.request()
    connection.reset()


def says(data: bytes, *, then_hangs: bool = False) -> Behaviour:
    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.say(data)
        if then_hangs:
            await connection.gone()

    return behave


HALF = b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf"


@pytest.mark.parametrize(
    ("behave", "reason", "detail"),
    [
        (closes, "network", "no whole answer: connection closed before message completed"),
        (resets, "network", "no whole answer: Connection reset by peer"),
        (hangs, "timeout", "no whole answer: operation timed out"),
        (
            says(b"HTTP/1.1 200 OK\r\nContent-"),
            "network",
            "no whole answer: connection closed before message completed",
        ),
        (
            says(b"SSH-2.0-OpenSSH_9.2\r\n\0\xff" * 9),
            "network",
            "no whole answer: it is not HTTP: Expected HTTP/, RTSP/ or ICE/",
        ),
        (says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 700_000), "network", "no whole answer: message head is too large"),
        (
            says(b"HTTP/1.1 100 Continue\r\n\r\n" * 9, then_hangs=True),
            "timeout",
            "no whole answer: operation timed out",
        ),
        (says(HALF), "network", "no whole answer: end of file before message length reached"),
        (says(HALF, then_hangs=True), "timeout", "no whole answer: operation timed out"),
    ],
)
async def test_sent_and_no_whole_answer(door: Door, behave: Behaviour, reason: str, detail: str) -> None:
    async with serving(behave) as server:
        error = await fail(door, a_call(server.url), QUICK if reason == "timeout" else PATIENT)
        assert (type(error), error.reason, error.detail) == (NoAnswer, reason, f"{server.url}: {detail}")
        assert len(server.requests) == 1, "what may have been received is not sent again"


async def test_closed_without_reading_is_not_taken_for_never_sent(door: Door) -> None:
    async def behave(connection: Connection) -> None:
        await connection.reader.readexactly(1)

    async with serving(behave) as server:
        assert isinstance(await fail(door, a_call(server.url)), NoAnswer)
        assert server.connections == 1


async def test_a_connection_that_is_dropped_at_once_is_not_waited_for(door: Door) -> None:
    async def behave(connection: Connection) -> None:
        connection.reset()

    async with serving(behave) as server:
        # Whether the request was on its way by then, is a matter of chance.
        assert (await fail(door, a_call(server.url))).reason == "network"


async def test_a_connection_that_the_server_has_closed_is_not_used_again(door: Door) -> None:
    async def once(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer())
        connection.writer.write_eof()
        await connection.gone()  # the client has noticed; before that nobody can tell what becomes of a request

    async with serving(once) as server:
        for number in range(1, 11):
            assert (await door.call(a_call(server.url), timeout=PATIENT)).status == 200
            await server.left.acquire()
            assert (server.connections, len(server.requests)) == (number, number)


async def test_a_request_read_from_a_used_connection_is_not_sent_again(door: Door) -> None:
    async def answers_only_the_first(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer())
        await connection.request()

    async with serving(answers_only_the_first) as server:
        assert (await door.call(a_call(server.url), timeout=PATIENT)).status == 200
        assert isinstance(await fail(door, a_call(server.url)), NoAnswer)
        assert (server.connections, len(server.requests)) == (1, 2)


# What is taken of an answer.


async def endless(connection: Connection) -> None:
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await connection.say(b"400\r\n" + b"x" * 1024 + b"\r\n")


@pytest.mark.parametrize("behave", [endless, says(answer(b"x" * 10_000_000))])
async def test_an_answer_is_cut(door: Door, behave: Behaviour) -> None:
    async with serving(behave) as server:
        got = await door.call(a_call(server.url), timeout=PATIENT)
        assert (got.status, got.body) == (200, b"x" * MOST)
        await server.left.acquire()  # the rest is not read: the connection is given up


async def test_a_compressed_answer_is_not_blown_up(door: Door) -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    async with serving(says(answer(bomb, "Content-Encoding: gzip"))) as server:
        assert (await door.call(a_call(server.url), timeout=PATIENT)).body == bomb


async def test_a_redirect_is_not_followed_and_a_cookie_not_kept(door: Door) -> None:
    async with serving(polite) as trap:

        async def redirects(connection: Connection) -> None:
            while True:
                await connection.request()
                location, cookie = f"Location: {trap.url}", "Set-Cookie: a=1; Path=/"
                await connection.say(answer(b"", location, cookie, status="307 Temporary Redirect"))

        async with serving(redirects) as server:
            for _ in range(2):
                got = await door.call(a_call(server.url), timeout=PATIENT)
                assert (got.status, got.headers["location"]) == (307, trap.url)
            assert b"cookie" not in server.requests[1].lower()
            assert trap.connections == 0


async def test_headers_that_are_not_text_are_left_out(door: Door) -> None:
    async with serving(says(answer(b"ok", "X-Odd: \xe9", "X-Even: 1"))) as server:
        got = await door.call(a_call(server.url), timeout=PATIENT)
        assert got == HttpAnswer(status=200, headers={"content-length": "2", "x-even": "1"}, body=b"ok")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Fri, 27 Mar 2026 12:01:30 GMT", "90"),
        ("Fri, 27 Mar 2026 11:00:00 GMT", "0"),
        ("007", "7"),
        ("soon", "soon"),
    ],
)
async def test_retry_after_is_given_in_seconds(door: Door, header: str, seconds: str) -> None:
    async with serving(says(answer(b"", f"Retry-After: {header}", status="429 Slow Down"))) as server:
        assert (await door.call(a_call(server.url), timeout=PATIENT)).headers["retry-after"] == seconds


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(polite) as proxy, serving(polite) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with Door(SetClock(NOON)) as door:
            assert (await door.call(a_call(server.url), timeout=PATIENT)).status == 200
        assert (proxy.connections, server.connections) == (0, 1)


# Nothing is left behind.


async def cancelled_calls(count: int) -> int:
    """How many connections are left of so many calls that were cancelled while they waited for their answers."""
    async with serving(hangs) as server, Door(SetClock(NOON)) as door:
        calls = [asyncio.create_task(door.call(a_call(server.url), timeout=QUICK)) for _ in range(count)]
        while len(server.requests) < count:
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(end) for end in ended] == [asyncio.CancelledError] * count
        async with asyncio.timeout(60):
            for _ in range(count):
                await server.left.acquire()
        return server.connections - count


async def test_a_cancelled_call_leaves_no_connection_behind() -> None:
    assert await cancelled_calls(30) == 0
