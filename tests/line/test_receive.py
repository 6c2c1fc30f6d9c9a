"""Receive: whatever comes over the wire gets a clear answer, and the next caller is served.

One bridge for all tests of this file, in a thread of its own; it is spoken to through plain sockets, because a
well-behaved client cannot misbehave.
"""

import asyncio
import base64
import gzip
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bridge.app import Patience, bridge
from bridge.platforms.omnidesk.fields import Number
from bridge.platforms.omnidesk.operations import OPERATIONS
from tests.fakes.chat_server import ChatServer
from tests.platforms.omnidesk_calls import FIELDS, a_form
from tests.running import ECHO, KEY, settings_in, site

LIMITS = '[server]\nmax_body = "64 KiB"\nmax_attachment = "256 KiB"\n'
WEBCHAT = '[accounts.web]\nplatform = "webchat"\n'
PATIENCE = Patience(head=0.5, body=0.5, linger=0.2, grace=0.5)
MAX_BODY, MAX_ATTACHMENT = 64 * 1024, 256 * 1024
API = "/api/v2/chat/"
MESSAGE = API + "notifyUserNewChatMessage"
JSON = "application/json"
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """Where the bridge listens, and the chat server that it may call."""

    host: str
    port: int
    chat_server: str

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=10)

    def plug(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=10)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    ready: list[Served] = []
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with ChatServer() as fake:
            directory = tmp_path_factory.mktemp("served")
            written = {"bridge.toml": LIMITS + site(fake) + WEBCHAT, "rules/echo.yaml": ECHO}
            async with bridge(settings_in(directory, written), patience=PATIENCE) as running:
                host, port = running.url.removeprefix("http://").split(":")
                ready.append(Served(host=host, port=int(port), chat_server=fake.url))
                started.set()
                await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20)
    yield ready[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(20)
    assert not thread.is_alive()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """What a refusal says, in the shape of its platform or as problem details."""
        return str(self.json.get("message") or self.json.get("title"))


def call(
    connection: http.client.HTTPConnection,
    path: str,
    body: Any = None,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    given = {"apiKey": KEY, "Content-Type": JSON, **(headers or {})}
    connection.request(method, path, body, {name: value for name, value in given.items() if value})
    answer = connection.getresponse()
    return Reply(
        status=answer.status,
        headers={name.lower(): value for name, value in answer.getheaders()},
        body=answer.read(),
    )


def good(connection: http.client.HTTPConnection) -> None:
    lists = call(connection, API + "whitelistedDomainsAndBlacklistedIPs", method="GET", headers={"Content-Type": ""})
    assert (lists.status, lists.json["type"]) == (200, "item")


def still_served(
    served: Served, connection: http.client.HTTPConnection | None = None, reply: Reply | None = None
) -> None:
    """The next call is answered: on a new connection, and on the same one where HTTP leaves it open."""
    if connection is not None and (reply is None or reply.headers.get("connection", "").lower() != "close"):
        good(connection)
    with closing(served.connect()) as fresh:
        good(fresh)


def ask(served: Served, path: str, body: Any = None, **more: Any) -> Reply:
    """One call, checked: no failure of ours, an answer in JSON, and the next caller is served."""
    with closing(served.connect()) as connection:
        reply = call(connection, path, body, **more)
        assert reply.status < 500, reply
        assert reply.headers["content-type"].split(";")[0] in (JSON, "application/problem+json"), reply
        json.loads(reply.body)
        still_served(served, connection, reply)
    return reply


def raw(served: Served, data: bytes, *, then_close: bool = False) -> bytes:
    """Send these bytes and read until the server closes; `then_close` ends our side first."""
    with closing(served.plug()) as plug:
        plug.sendall(data)
        if then_close:
            plug.shutdown(socket.SHUT_WR)
        heard = b""
        while chunk := plug.recv(65536):
            heard += chunk
    return heard


# --- Every field of every operation, at its limits -------------------------------------------------------------------


def least_fields(served: Served, operation: str) -> dict[str, object]:
    fields = dict(FIELDS[operation])
    if "chatServer" in fields:
        fields["chatServer"] = served.chat_server
    return fields


def send(served: Served, operation: str, fields: Mapping[str, object]) -> Reply:
    """The operation as its sender would: fields as JSON, those of an attachment in the query."""
    said = {name: value for name, value in fields.items() if value is not None}
    if operation != "addAttachment":
        return ask(served, API + operation, json.dumps(said).encode())
    query = urlencode({name: str(value) for name, value in said.items()}, errors="surrogatepass")
    body = json.dumps({"file": base64.b64encode(b"a file").decode()}).encode()
    return ask(served, f"{API}{operation}?{query}", body)


def of_length(served: Served, name: str, length: int) -> str:
    """A value of this field that is right in everything but perhaps its length."""
    match name:
        case "chatServer":
            return (served.chat_server + "/" + "a" * length)[:length]
        case "emailAddress":
            return "a" * (length - 2) + "@b"
        case "phoneNumber":
            return "+" + "1" * (length - 1)
        case "url":
            return ("https://shop.example/" + "a" * length)[:length]
        case "ip" | "event":
            return "198.51.100.7" if name == "ip" else "startedtyping"
    return "a" * length


TEXTS = [
    pytest.param(operation.name, field, id=f"{operation.name}-{field.name}")
    for operation in OPERATIONS.values()
    for field in operation.fields
    if not isinstance(field, Number) and field.name not in ("event", "ip")
]
NUMBERS = [
    pytest.param(operation.name, field, id=f"{operation.name}-{field.name}")
    for operation in OPERATIONS.values()
    for field in operation.fields
    if isinstance(field, Number)
]


@pytest.mark.parametrize(("operation", "field"), TEXTS)
def test_every_text_is_taken_up_to_its_limits_and_not_beyond(served: Served, operation: str, field: Any) -> None:
    most = min(field.most or field.bound, 10_000 if field.name == "message" else field.bound)
    if operation == "addAttachment":
        # Its fields stand in the request's first line, which has a bound of its own.
        most = min(most, 4000)
    right = [max(field.least, 1), most]
    if field.name == "chatServer":
        # Shorter ones are right by the description, and not this account's.
        right = [len(served.chat_server), most]
    if field.name in ("emailAddress", "phoneNumber"):
        right = [max(3, field.least), most]
    for length in right:
        reply = send(
            served, operation, {**least_fields(served, operation), field.name: of_length(served, field.name, length)}
        )
        assert reply.status == 200, (length, reply)
    wrong = [most + 1] + [field.least - 1] * (field.least > 1)
    for length in wrong:
        reply = send(
            served, operation, {**least_fields(served, operation), field.name: of_length(served, field.name, length)}
        )
        if operation == "addAttachment" and length == 4001:
            continue
        assert (reply.status, reply.message.partition(":")[0]) == (400, field.name), (length, reply)


@pytest.mark.parametrize(("operation", "field"), NUMBERS)
def test_every_number_is_taken_from_its_least_on(served: Served, operation: str, field: Number) -> None:
    least = field.least if field.least is not None else -5
    for value in (least, str(least), least + 1, 10**14):
        assert send(served, operation, {**least_fields(served, operation), field.name: value}).status == 200
    wrong: list[object] = ["", "x", "1.5", "1e3", "9" * 400]
    if field.least is not None:
        wrong += [least - 1, str(least - 1)]
    if operation != "addAttachment":
        wrong += [1.5, True, [], {}, 10**30, 1e300]
    for value in wrong[1:]:
        reply = send(served, operation, {**least_fields(served, operation), field.name: value})
        assert (reply.status, reply.message.partition(":")[0]) == (400, field.name), (value, reply)


REQUIRED = [
    pytest.param(operation.name, field.name, id=f"{operation.name}-{field.name}")
    for operation in OPERATIONS.values()
    for field in operation.fields
    if field.required
]


@pytest.mark.parametrize(("operation", "name"), REQUIRED)
def test_what_is_required_and_missing_is_named(served: Served, operation: str, name: str) -> None:
    for value in (None, ""):
        reply = send(served, operation, {**least_fields(served, operation), name: value})
        assert reply.status == 400
        assert reply.message.startswith(f"{name}: ")


ANY_TEXT = st.text(st.characters(codec=None), max_size=60) | st.text("\0\r\n\t{}%&=\"'\\é\u202e", max_size=20)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
POSTS = sorted(name for name, operation in OPERATIONS.items() if operation.method == "POST")


@st.composite
def a_call(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """An operation whose fields are right but for some: replaced, left out, or added."""
    operation = draw(st.sampled_from(POSTS))
    names = [field.name for field in OPERATIONS[operation].fields]
    changed = draw(st.dictionaries(st.sampled_from(names) | ANY_TEXT, ANY_JSON, max_size=4))
    return operation, changed


@settings(SLOW, max_examples=300)
@given(told=a_call())
def test_any_fields_get_a_clear_answer(served: Served, told: tuple[str, dict[str, object]]) -> None:
    operation, changed = told
    fields = {**least_fields(served, operation), **changed}
    if operation == "addAttachment":
        assume(all(isinstance(value, str | int | None) for value in fields.values()))
    reply = send(served, operation, fields)
    assert reply.status in (200, 400), reply
    if reply.status == 400:
        assert ": " in reply.message
        assert len(reply.message) < 400
        assert reply.message.isprintable()


@SLOW
@given(query=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4))
def test_what_is_only_asked_for_takes_any_query(served: Served, query: dict[str, str]) -> None:
    path = API + "whitelistedDomainsAndBlacklistedIPs?" + urlencode(query, errors="surrogatepass")
    assert ask(served, path, method="GET", headers={"Content-Type": ""}).status == 200


@SLOW
@given(operation=st.sampled_from(POSTS), name=ANY_TEXT, value=ANY_TEXT, other=ANY_TEXT)
def test_any_form_gets_a_clear_answer(served: Served, operation: str, name: str, value: str, other: str) -> None:
    fields = {str(name): str(value) for name, value in least_fields(served, operation).items()}
    content_type, multipart = a_form({**fields, "customerName": "Ann"})
    hostile = f"{name}\r\n{value}".encode(errors="surrogatepass")
    multipart = multipart.replace(b"Ann", hostile).replace(
        b"\r\n--", other.encode(errors="surrogatepass") + b"\r\n--", 1
    )
    assert ask(served, API + operation, multipart, headers={"Content-Type": content_type}).status in (200, 400)
    form = urlencode({**fields, name: value, value: other}, errors="surrogatepass")
    reply = ask(served, API + operation, form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert reply.status in (200, 400), reply


@SLOW
@given(body=st.binary(max_size=400), content_type=st.sampled_from([
    JSON, "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=b", "text/plain",
    "application/json; charset=utf-16", "", "multipart/form-data; boundary=", "multipart/mixed; boundary=b", "\xff",
]), operation=st.sampled_from(POSTS))  # fmt: skip
def test_any_bytes_get_a_clear_answer(served: Served, operation: str, body: bytes, content_type: str) -> None:
    reply = ask(served, API + operation, body, headers={"Content-Type": content_type})
    assert reply.status in (400, 415), reply


@SLOW
@given(body=ANY_JSON, operation=st.sampled_from(["message", "typing", "visited", "end", "nothing", "%00", "%ff"]),
       content_type=st.sampled_from([JSON, "text/plain", "\xff", "application/json\xff"]),
       session=st.sampled_from(["0123456789abcdef" * 2, "x", "\xff\xfe", "0" * 4000]),
       origin=st.sampled_from(["", "https://evil.example", "\xff", "null"]))  # fmt: skip
def test_the_web_chat_answers_anything_clearly(
    served: Served, body: object, operation: str, content_type: str, session: str, origin: str
) -> None:
    headers = {"Content-Type": content_type, "x-chat-session": session, "Origin": origin, "apiKey": ""}
    reply = ask(served, f"/chat/{operation}", json.dumps(body).encode(), headers=headers)
    assert reply.status in (400, 401, 403, 404, 415), reply
    assert reply.headers["content-type"] == "application/problem+json"


# --- Bodies ----------------------------------------------------------------------------------------------------------


def a_message(served: Served, **changes: object) -> bytes:
    return json.dumps({**least_fields(served, "notifyUserNewChatMessage"), **changes}).encode()


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


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_not_packed_as_it_says_is_told(served: Served, encoding: str) -> None:
    heard = raw(
        served,
        f"POST {MESSAGE} HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\nContent-Type: {JSON}\r\nConnection: close\r\n"
        f"Content-Encoding: {encoding}\r\nContent-Length: 20\r\n\r\nthis is not packed!!".encode(),
    )
    assert heard.split()[:2] in ([b"HTTP/1.1", b"400"], [b"HTTP/1.0", b"400"]), heard
    still_served(served)


def test_a_packed_body_is_taken(served: Served) -> None:
    packed = gzip.compress(a_message(served, message="packed"))
    assert ask(served, MESSAGE, packed, headers={"Content-Encoding": "gzip"}).status == 200


# --- Senders that break off, or never end ----------------------------------------------------------------------------


def head_of(coding: str) -> bytes:
    """A message's headers, with how its body is told from what follows."""
    lines = (f"POST {MESSAGE} HTTP/1.1", "Host: x", f"apiKey: {KEY}", f"Content-Type: {JSON}", coding)
    return "\r\n".join((*lines, "", "")).encode()


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
    assert json.loads(heard.partition(b"\r\n\r\n")[2])["message"] == "the body did not come within 0.5 seconds"
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


# --- Paths, methods, headers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/api/v2/chat", "/api/v2/chat/", "/api/v2/chat/a/b", "/hooks/nobody", "/hooks/nobody/secret",
        "/attachments/x", "/%00", "/%ff", "/..%2f..%2fetc/passwd", "/a%0d%0aX-Injected:%20yes",
        "//",
        "/" + "x" * 4000, "/" + quote("ключ") * 50,
    ],
)  # fmt: skip
def test_an_unknown_path_is_told_in_one_clear_sentence(served: Served, path: str) -> None:
    reply = ask(served, path, method="GET", headers={"Content-Type": ""})
    assert reply.status == 404 or (path == "/api/v2/chat/" and reply.status == 404), reply
    assert "x-injected" not in reply.headers
    if path.startswith("/nothing"):
        assert reply.json == {"title": "there is nothing at /nothing", "status": 404}
    assert len(reply.body) < 400


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", MESSAGE, "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("POST", "/attachments/token/name", "GET, HEAD"),
        ("PATCH", "/chat/message", "OPTIONS, POST"),
        ("TRACE", "/metrics", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_with_the_right_ones(served: Served, method: str, path: str, allowed: str) -> None:
    reply = ask(served, path, method=method)
    assert (reply.status, reply.headers["allow"]) == (405, allowed)
    assert reply.json == {"title": f"{method} is not taken here, only {allowed}", "status": 405}


def test_a_known_operation_by_the_wrong_method_is_told_in_the_apis_shape(served: Served) -> None:
    reply = ask(served, MESSAGE, method="GET")
    assert (reply.status, reply.json) == (
        405,
        {"status": "error", "message": "notifyUserNewChatMessage: POST is expected, not GET"},
    )
    reply = ask(served, API + "whitelistedDomainsAndBlacklistedIPs", b"{}")
    assert reply.status == 405


@pytest.mark.parametrize("operation", ["notifyUserNewChatMesage", "%00", "%ff", "x" * 3000, "%22%3Cscript%3E", "ключ"])
def test_an_unknown_operation_is_told_with_the_nearest(served: Served, operation: str) -> None:
    reply = ask(served, API + quote(operation, safe="%"), b"{}")
    assert reply.status == 404
    assert reply.message.startswith("operation: ")
    if operation == "notifyUserNewChatMesage":
        assert 'did you mean "notifyUserNewChatMessage"?' in reply.message


@SLOW
@given(path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60), query=st.binary(max_size=30))
def test_any_path_is_answered(served: Served, path: str, query: bytes) -> None:
    with closing(served.plug()) as plug:
        head = f"POST /api/v2/chat/{path}?".encode() + query.translate(None, b" \r\n") + b" HTTP/1.1\r\nHost: x\r\n"
        plug.sendall(head + f"apiKey: {KEY}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        heard = b""
        while chunk := plug.recv(65_536):
            heard += chunk
    assert heard[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.0 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 ", b"HTTP/1.1 415 "), (
        heard
    )


@SLOW
@given(name=st.sampled_from(["apiKey", "Content-Type", "Origin", "Last-Event-ID", "x-chat-session", "Cookie", "Expect",
                             "Content-Length", "Transfer-Encoding", "Upgrade", "Host", "Range", "X-Forwarded-For"]),
       value=st.binary(max_size=60), path=st.sampled_from([MESSAGE, "/chat/message", "/chat/stream", "/", "/healthz"]),
       method=st.sampled_from(["GET", "POST", "OPTIONS", "HEAD"]))  # fmt: skip
def test_any_header_is_answered(served: Served, name: str, value: bytes, path: str, method: str) -> None:
    head = f"{method} {path} HTTP/1.1\r\n{name}: ".encode() + value.translate(None, b"\r\n")
    heard = raw(served, head + b"\r\nConnection: close\r\n\r\n", then_close=True)
    assert b"HTTP/1.1 5" not in heard[:12], heard
    assert b"HTTP/1.0 5" not in heard[:12], heard


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(5000)) + b"\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\x00/ HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ],
    ids=["path", "header", "headers", "version", "TLS", "NUL", "both lengths", "negative", "two lengths"],
)
def test_what_is_not_http_is_refused_and_forgotten(served: Served, head: bytes) -> None:
    with closing(served.plug()) as plug:
        try:
            plug.sendall(head)
            heard = plug.recv(65_536)
        except ConnectionError:
            heard = b""
    assert heard == b"" or heard.split(b" ")[1] in (b"400", b"404", b"431"), heard
    still_served(served)


def test_a_key_may_be_hostile_and_is_just_wrong(served: Served) -> None:
    for key in ("x" * 4000, "\xff\xfe", "' OR 1=1 --", "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")):
        reply = ask(served, MESSAGE, b"{}", headers={"apiKey": key})
        assert (reply.status, reply.json) == (401, {"status": "error", "message": "the key is wrong"})


def test_who_asks_before_sending_is_told_what_is_taken(served: Served) -> None:
    with closing(served.connect()) as connection:
        reply = call(connection, MESSAGE, method="OPTIONS", headers={"WebHook-Request-Origin": "crm.example"})
    assert reply.status == 204
    assert reply.headers["allow"] == "POST, OPTIONS"
    assert reply.headers["webhook-allowed-origin"] == "crm.example"


def test_pipelined_requests_are_answered_in_their_order(served: Served) -> None:
    path = API + "checkOriginAndIP"
    requests = b""
    for number in range(3):
        body = json.dumps({**least_fields(served, "checkOriginAndIP"), "ip": f"bad {number}"}).encode()
        last = "Connection: close\r\n" if number == 2 else ""
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\nContent-Type: {JSON}\r\n{last}"
        requests += f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    heard = raw(served, requests)
    assert [heard.find(f"bad {number}".encode()) for number in range(3)] == sorted(
        heard.find(f"bad {number}".encode()) for number in range(3)
    )
    assert heard.count(b"HTTP/1.1 400 ") == 3
