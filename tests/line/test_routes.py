"""Routes: paths with named parts, and which of two that fit is taken; what HTTP asks of whoever answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from bridge.adapter.protocol import Answer
from bridge.line.respond import respond
from bridge.line.routes import Handler, Parts, Routes, Way
from tests.line.served import API, JSON, MESSAGE, Served, call, least_fields, raw
from tests.running import KEY


def told(name: str) -> Handler:
    """A handler that tells its name and the parts that it was given."""

    async def handler(request: web.BaseRequest, parts: Parts) -> web.StreamResponse:
        return web.json_response([name, dict(parts)])

    return handler


@asynccontextmanager
async def a_server(*ways: tuple[str, str, str]) -> AsyncIterator[URL]:
    """A server of these routes: method, path, and the name that its handler tells."""
    async with serving_at(Routes(Way(method, path, told(name)) for method, path, name in ways)) as base:
        yield base


@asynccontextmanager
async def serving_at(routes: Routes) -> AsyncIterator[URL]:
    server = web.Server(routes.answer, access_log=None)
    runner = web.ServerRunner(server)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield URL.build(scheme="http", host=host, port=port)
    finally:
        await runner.cleanup()


async def asked(
    client: aiohttp.ClientSession, base: URL, method: str, path: str, headers: Mapping[str, str] | None = None
) -> tuple[int, str | None, Sequence[object]]:
    """Status, the header Allow, and what is told."""
    url = base.join(URL(path, encoded=True))
    async with client.request(method, url, headers=headers) as answer:
        body = await answer.read()
        return answer.status, answer.headers.get("Allow"), json.loads(body) if answer.status == 200 and body else []


@pytest.mark.parametrize(
    ("path", "name", "parts"),
    [
        ("/hooks/shop", "hook", {"account": "shop"}),
        ("/hooks/shop/secret", "signed", {"account": "shop", "key": "secret"}),
        ("/hooks/all", "all", {}),
        ("/hooks/a%20b%2Fc", "hook", {"account": "a b/c"}),
        ("/hooks/%252F", "hook", {"account": "%2F"}),
        ("/hooks/%C3%A9", "hook", {"account": "é"}),
        ("/a.b", "dot", {}),
    ],
)
async def test_a_path_is_taken_by_the_route_that_says_most_of_it(
    path: str, name: str, parts: Mapping[str, str]
) -> None:
    ways = (
        ("POST", "/hooks/{account}", "hook"),
        ("POST", "/hooks/{account}/{key}", "signed"),
        ("POST", "/hooks/all", "all"),
        ("POST", "/a.b", "dot"),
    )
    async with a_server(*ways) as base, aiohttp.ClientSession() as client:
        assert await asked(client, base, "POST", path) == (200, None, [name, parts])
        # A second time, as it is remembered.
        assert await asked(client, base, "POST", path) == (200, None, [name, parts])


@pytest.mark.parametrize("path", ["/hooks", "/hooks/", "/hooks/a/b/c", "/hooks/{a}", "/aXb", "/", "/hooks//x"])
async def test_a_path_that_no_route_has_is_not_found(path: str) -> None:
    ways = (("POST", "/hooks/{account}", ""), ("POST", "/hooks/{account}/{key}", ""), ("POST", "/a.b", ""))
    async with a_server(*ways) as base, aiohttp.ClientSession() as client:
        assert await asked(client, base, "POST", path) == (404, None, [])


async def test_routes_that_share_a_path_share_its_methods() -> None:
    ways = (("POST", "/hooks/{account}", "post"), ("GET", "/hooks/all", "get"), ("OPTIONS", "/hooks/all", "options"))
    async with a_server(*ways) as base, aiohttp.ClientSession() as client:
        assert await asked(client, base, "GET", "/hooks/all") == (200, None, ["get", {}])
        assert await asked(client, base, "POST", "/hooks/all") == (200, None, ["post", {"account": "all"}])
        assert await asked(client, base, "OPTIONS", "/hooks/all") == (200, None, ["options", {}])
        assert await asked(client, base, "HEAD", "/hooks/all") == (200, None, [])
        assert await asked(client, base, "PUT", "/hooks/all") == (405, "GET, HEAD, OPTIONS, POST", [])
        assert await asked(client, base, "PUT", "/hooks/shop") == (405, "POST", [])


async def test_an_expectation_that_nobody_knows_is_refused() -> None:
    async with a_server(("POST", "/a", "a")) as base, aiohttp.ClientSession() as client:
        assert (await asked(client, base, "POST", "/a", {"Expect": "the moon"}))[0] == 417
        assert (await asked(client, base, "POST", "/b", {"Expect": "100-continue"}))[0] == 404


async def test_who_does_not_read_the_answers_is_not_answered_further() -> None:
    """They would all be kept in memory."""
    unread: list[int] = []
    long = Answer(body=bytes(16 * 2**20))

    async def handler(request: web.BaseRequest, parts: Parts) -> web.StreamResponse:
        assert request.transport is not None
        unread.append(request.transport.get_write_buffer_size())
        return respond(request, long, 0)

    async with serving_at(Routes([Way("POST", "/a", handler)])) as base:
        reader, writer = await asyncio.open_connection(base.host, base.port)
        with closing(writer):
            writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" * 4)
            for _ in range(4):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                await reader.readexactly(len(long.body))
    assert len(unread) == 4
    assert max(unread) <= 64 * 1024


def _request(served: Served, *headers: str, version: str = "1.1", method: str = "POST") -> tuple[bytes, bytes]:
    """A call that is answered 200: its head and its body."""
    body = json.dumps({**least_fields(served, "checkOriginAndIP"), "ip": "192.0.2.1"}).encode()
    lines = [f"{method} {API}checkOriginAndIP HTTP/{version}", "Host: x", f"apiKey: {KEY}", f"Content-Type: {JSON}"]
    lines += [f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n", body


def test_a_sender_that_waits_to_be_asked_for_its_body_is_asked(served: Served) -> None:
    head, body = _request(served, "Expect: 100-continue")
    with closing(served.plug()) as plug:
        plug.sendall(head)
        go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert plug.recv(len(go_on)) == go_on
        plug.sendall(body)
        answer = HTTPResponse(plug)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["type"]) == (200, "item")


def test_an_answer_says_its_type_its_length_and_when_it_was_made(served: Served) -> None:
    with closing(served.connect()) as connection:
        before = datetime.now(UTC).replace(microsecond=0)
        _, body = _request(served)
        reply = call(connection, API + "checkOriginAndIP", body)
        again = call(connection, API + "checkOriginAndIP", body)
    assert reply.headers["content-type"] == JSON
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert before <= parsedate_to_datetime(reply.headers["date"]) <= datetime.now(UTC)
    assert again.body == reply.body


@pytest.mark.parametrize(
    ("headers", "version", "says"),
    [
        (("Connection: close",), "1.1", b"connection: close"),
        ((), "1.0", b"http/1.0 200 "),
        (("Connection: close",), "1.0", b"http/1.0 200 "),
    ],
)
def test_a_connection_that_the_sender_wants_closed_is_closed(
    served: Served, headers: tuple[str, ...], version: str, says: bytes
) -> None:
    heard = raw(served, b"".join(_request(served, *headers, version=version)))
    head, _, body = heard.partition(b"\r\n\r\n")
    assert says in head.lower()
    assert json.loads(body)["type"] == "item"


def test_a_connection_stays_open_for_a_sender_of_http_1_0_that_asks_for_it(served: Served) -> None:
    head, body = _request(served, "Connection: keep-alive", version="1.0")
    with closing(served.plug()) as plug:
        for _ in range(2):
            plug.sendall(head + body)
            answer = HTTPResponse(plug)
            answer.begin()
            assert answer.getheader("Connection") == "keep-alive"
            assert json.loads(answer.read())["type"] == "item"


def test_only_the_head_is_answered_where_only_it_is_asked_for(served: Served) -> None:
    with closing(served.connect()) as connection:
        reply = call(connection, "/healthz", method="HEAD", headers={"Content-Type": ""})
        assert (reply.status, reply.body) == (200, b"")
        refused = call(connection, MESSAGE, method="HEAD", headers={"Content-Type": ""})
        assert (refused.status, refused.body) == (405, b"")
