"""Receive: paths, methods and headers; whatever comes gets a clear answer, and the next caller is served."""

import json
import logging
from contextlib import closing
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.line.served import (
    API,
    JSON,
    MESSAGE,
    SLOW,
    Served,
    ask,
    call,
    least_fields,
    raw,
    still_served,
)
from tests.running import KEY


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/api/v2/chat", "/api/v2/chat/", "/api/v2/chat/a/b", "/hooks/nobody/secret",
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
def test_what_is_not_http_is_refused_and_forgotten(
    served: Served, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Scanners send it all the time: the log is not for that."""
    with closing(served.plug()) as plug:
        try:
            plug.sendall(head)
            heard = plug.recv(65_536)
        except ConnectionError:
            heard = b""
    assert heard == b"" or heard.split(b" ")[1] in (b"400", b"404", b"431"), heard
    still_served(served)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_key_may_be_hostile_and_is_just_wrong(served: Served) -> None:
    for key in ("x" * 4000, "\xff\xfe", "' OR 1=1 --", "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")):
        reply = ask(served, MESSAGE, b"{}", headers={"apiKey": key})
        assert (reply.status, reply.json) == (401, {"status": "error", "message": "apiKey: wrong; no account has it"})


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
