"""The web chat's adapter: recordings in, values out; and the page's files as they are served."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapter.account import Account
from bridge.adapter.protocol import Answer, Notice, Standing, Webhook
from bridge.errors import Refused
from bridge.model.delivery import Failed, Reply
from bridge.model.event import Attachment
from bridge.platforms import webchat
from bridge.platforms.webchat import adapter
from bridge.platforms.webchat.account import WebchatAccount
from bridge.platforms.webchat.inbound import OPERATIONS
from tests.values import a_delivery

FOLDER = Path(webchat.__file__).parent
INBOUND = sorted(p for p in (FOLDER / "fixtures/inbound").glob("*.json") if not p.name.endswith(".events.json"))
OUTBOUND = sorted((FOLDER / "fixtures/outbound").glob("*.json"))
ACCOUNT = WebchatAccount(name="webchat")
STANDING = Standing(online=None, open=0, waiting=0)
SESSION = "a3" * 32
CONVERSATION = sha256(SESSION.encode()).hexdigest()[:32]
ID = "5f0c7d1e9a2b4c6d8e0f1a2b3c4d5e6f"
HEADERS = {
    "host": "chat.example.com",
    "origin": "https://chat.example.com",
    "content-type": "application/json",
    "x-chat-session": SESSION,
}


def webhook(operation: str = "message", body: object = None, **headers: str) -> Webhook:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Webhook(
        method="POST",
        path=f"/chat/{operation}",
        operation=operation,
        headers={name: value for name, value in sent.items() if value},
        body=raw,
        received_at=datetime(2026, 3, 27, 8, tzinfo=UTC),
    )


def a_file(name: str = "a.pdf", url: str = "https://files.example/a.pdf") -> Attachment:
    return Attachment(name=name, url=url)


def answered(notice: Notice, standing: Standing = STANDING) -> Answer:
    answer = notice.answer(standing) if callable(notice.answer) else notice.answer
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(text="a", attachments=(Attachment(name="a"),)), "attachments.0.url: it is an address that begins"),
        (Reply(text="a", attachments=(a_file(url="javascript:alert(1)"),)), "attachments.0.url: it is an address"),
        (Reply(text="a", attachments=(a_file(), a_file(url="//evil.example/"))), "attachments.1.url: it is an address"),
        (Reply(text="a", attachments=(a_file(name=" "),)), "attachments.0.name: it is a text of 1 to 300"),
        (Reply(text="a", attachments=(a_file(),) * 21), "attachments: 21, at most 20 are shown"),
        (Reply(text="a", quick_replies=("yes", " ")), "quick_replies.1: it is a text of 1 to 200"),
        (Reply(text="a", quick_replies=("x" * 201,)), "quick_replies.0: it is a text of 1 to 200"),
        (Reply(text="a", quick_replies=("yes",) * 21), "quick_replies: 21, at most 20 are shown"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(reply: Reply, words: str) -> None:
    with pytest.raises(StopIteration) as end:
        next(adapter.send(a_delivery(to={"visitor": CONVERSATION}, reply=reply), ACCOUNT))
    assert isinstance(end.value.value, Failed)
    assert end.value.value.permanent
    assert end.value.value.detail.startswith(words)


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({"x_chat_session": ""}, 401, "x-chat-session is missing"),
        ({"x_chat_session": "a" * 31}, 400, "32 to 128"),
        ({"x_chat_session": "a" * 129}, 400, "32 to 128"),
        ({"x_chat_session": "A" * 64}, 400, "lower-case"),
        ({"x_chat_session": "a" * 64 + "\n"}, 400, "hexadecimal"),
        ({"content_type": ""}, 415, "application/json"),
        ({"content_type": "text/plain"}, 415, "text/plain"),
        ({"content_type": "application/x-www-form-urlencoded"}, 415, "application/json"),
        ({"origin": "https://evil.example"}, 403, "evil.example"),
        ({"origin": "null"}, 403, "null"),
        ({"origin": "https://chat.example.com.evil.example"}, 403, "allowed_origins"),
        ({"origin": "https://chat.example.com:444"}, 403, "allowed_origins"),
        ({"origin": "file://chat.example.com"}, 403, "allowed_origins"),
        ({"origin": "https://", "host": ""}, 403, "allowed_origins"),
    ],
)
def test_a_request_that_is_not_our_pages_is_refused(headers: dict[str, str], status: int, says: str) -> None:
    with pytest.raises(Refused) as refused:
        adapter.verify(webhook(**headers), ACCOUNT)
    assert refused.value.status == status
    assert says in refused.value.message
    assert SESSION not in refused.value.message


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": ""},
        {"origin": "HTTPS://CHAT.example.com", "host": "Chat.Example.Com"},
        {"content_type": "application/json; charset=utf-8"},
        {"x_chat_session": "a" * 32},
        {"x_chat_session": "a" * 128},
        {"origin": "https://www.example.com"},
    ],
)
def test_our_pages_request_is_let_in(headers: dict[str, str]) -> None:
    account = WebchatAccount(name="webchat", allowed_origins=["https://WWW.example.com"])
    adapter.verify(webhook(**headers), account)
    assert re.fullmatch(r"[0-9a-f]{32}", adapter.mailbox(webhook(**headers), account))


def test_the_mailbox_is_the_conversation_and_hides_the_session() -> None:
    request = webhook(body={"id": ID, "text": "hi"})
    (event,) = adapter.parse(request, ACCOUNT).events
    assert adapter.mailbox(request, ACCOUNT) == event.conversation == CONVERSATION
    assert SESSION not in repr(event)


@pytest.mark.parametrize(
    "headers", [{"x_chat_session": ""}, {"x_chat_session": "zz"}, {"origin": "https://evil.example"}]
)
def test_no_mailbox_without_a_session_or_for_another_origin(headers: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        adapter.mailbox(webhook(**headers), ACCOUNT)
    assert refused.value.status in (400, 401, 403)


GOOD: dict[str, dict[str, object]] = {
    "message": {"id": ID, "text": "hi"},
    "typing": {"id": ID, "state": "started"},
    "visited": {"id": ID, "url": "https://shop.example/"},
    "end": {"id": ID},
}


@pytest.mark.parametrize(
    ("operation", "change", "says"),
    [
        ("message", {"text": ""}, "text: is blank"),
        ("message", {"text": " \n\t"}, "text: is blank"),
        ("message", {"text": "a\0b"}, "text: the character U+0000 cannot be stored"),
        ("message", {"text": "x" * 4001}, "text: 4001 characters, at most 4000 are taken"),
        ("message", {"text": 7}, "text: Input should be a valid string"),
        ("message", {"id": "short"}, "id: "),
        ("message", {"id": "x" * 65}, "id: "),
        ("message", {"id": "a b c d e f"}, "id: "),
        ("message", {"email": "nobody"}, "email: "),
        ("message", {"email": "a@" + "b" * 253}, "email: "),
        ("message", {"name": "a\nb"}, "name: "),
        ("message", {"name": "x" * 101}, "name: "),
        ("message", {"language": "english please"}, "language: "),
        ("message", {"colour": "red"}, "colour: Extra inputs"),
        ("typing", {"state": "paused"}, "state: "),
        ("visited", {"url": "javascript:alert(1)"}, "url: "),
        ("visited", {"url": "https://a/" + "x" * 2048}, "url: "),
        ("visited", {"url": "https:///path"}, "url: "),
        ("end", {"id": None}, "id: "),
    ],
)
def test_a_bad_field_is_named(operation: str, change: dict[str, object], says: str) -> None:
    with pytest.raises(Refused) as refused:
        adapter.parse(webhook(operation, {**GOOD[operation], **change}), ACCOUNT)
    assert refused.value.status == 400
    assert refused.value.message.startswith(says)


def test_fields_at_their_limits_are_taken() -> None:
    body = {"id": "x" * 64, "text": "🙂" * 4000, "name": "n" * 100, "email": "a@" + "b" * 252, "language": "zh-Hant-TW"}
    (event,) = adapter.parse(webhook(body=body), ACCOUNT).events
    assert (event.text, event.contact.name, event.contact.email) == (body["text"], body["name"], body["email"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"id": "\\ud800"}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        adapter.parse(webhook(body=body), ACCOUNT)
    assert refused.value.status == 400


def test_an_unknown_operation_is_not_found_and_the_nearest_is_named() -> None:
    with pytest.raises(Refused) as refused:
        adapter.parse(webhook("mesage", GOOD["message"]), ACCOUNT)
    assert (refused.value.status, refused.value.message) == (
        404,
        'operation: "mesage" is unknown (did you mean "message"?)',
    )


def test_the_same_id_is_the_same_event_and_another_visitors_is_not() -> None:
    def key(session: str, name: str) -> str:
        return adapter.parse(webhook(body={"id": name, "text": "yes"}, x_chat_session=session), ACCOUNT).events[0].key

    assert key(SESSION, ID) == key(SESSION, ID)
    assert len({key(SESSION, ID), key(SESSION, "another-id"), key("b4" * 32, ID)}) == 3


def test_a_visit_is_answered_with_what_the_page_shows() -> None:
    account = WebchatAccount(name="webchat", title="Acme", max_text=500)
    notice = adapter.parse(webhook("visited", GOOD["visited"]), account)
    answer = answered(notice, replace(STANDING, online=False))
    assert json.loads(answer.body) == {"ok": True, "title": "Acme", "max_text": 500, "online": False}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)
fields = st.fixed_dictionaries(
    {}, optional={name: st.text() | values for name in ("id", "text", "name", "email", "language", "url", "state", "x")}
)
bodies = st.binary() | fields.map(lambda body: json.dumps({"id": ID, **body}).encode())


def taken(operation: str, body: bytes) -> Notice | Refused:
    try:
        return adapter.parse(webhook(operation, body), ACCOUNT)
    except Refused as refused:
        return refused


@given(operation=st.sampled_from([*OPERATIONS]) | st.text(), body=bodies)
def test_any_body_is_an_event_or_a_refusal(operation: str, body: bytes) -> None:
    result = taken(operation, body)
    if isinstance(result, Refused):
        assert 400 <= result.status < 500
        assert len(adapter.refuse(result.status, result.message).body) < 2000
        return
    (event,) = result.events
    assert event.kind == OPERATIONS[operation].kind
    assert event.key.startswith(f"{operation}:{CONVERSATION}:")
    assert "\0" not in json.dumps(event.raw, ensure_ascii=False)
    assert SESSION not in repr(event)


@given(text=st.text(min_size=1).filter(str.strip).filter(lambda t: "\0" not in t))
def test_what_was_typed_is_the_events_text(text: str) -> None:
    (event,) = adapter.parse(webhook(body={"id": ID, "text": text}), ACCOUNT).events
    assert event.text == text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"title": ""}, "title"),
        ({"max_text": 0}, "max_text"),
        ({"max_text": "many"}, "max_text"),
        ({"allowed_origins": ["chat.example.com"]}, 'write scheme and host, for example "https://chat.example.com"'),
        ({"allowed_origins": ["https://chat.example.com/page"]}, "is not an origin"),
        ({"platform": "edna"}, "platform"),
        ({"titel": "Acme"}, "titel"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        WebchatAccount(**{"name": "webchat", **options})


PAGES = {route.path: route.page for route in adapter.routes if route.what == "page"}


def test_every_file_of_the_page_is_served_as_it_is() -> None:
    files = {("/" if path.name == "index.html" else f"/chat/{path.name}"): path for path in (FOLDER / "page").iterdir()}
    assert {path: page.body for path, page in PAGES.items() if page} == {p: f.read_bytes() for p, f in files.items()}
    assert {page.content_type for page in PAGES.values() if page} == {
        "text/html; charset=utf-8",
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
    }


def test_the_page_needs_nothing_that_is_not_served() -> None:
    html = (FOLDER / "page/index.html").read_text()
    needed = {f"/{path}" for path in re.findall(r'(?:src|href)="(?!data:)([^"]+)"', html)}
    for script in (FOLDER / "page").glob("*.js"):
        needed |= {f"/chat/{name}" for name in re.findall(r'from "\./([^"]+)"', script.read_text())}
    assert needed == set(PAGES) - {"/"}


def test_the_page_obeys_its_own_policy() -> None:
    page = PAGES["/"]
    assert page is not None
    policy = page.headers["content-security-policy"].split("; ")
    assert {
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    } <= set(policy)
    assert {name: page.headers[name] for name in ("x-content-type-options", "referrer-policy", "cache-control")} == {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    assert not re.search(rb"\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|<style", page.body)
    for path in (FOLDER / "page").glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", path.read_text())


def test_the_document_names_every_option_and_operation() -> None:
    document = (FOLDER / "doc.md").read_text()
    own = set(WebchatAccount.model_fields) - (set(Account.model_fields) - {"platform"})
    assert [name for name in sorted(own | set(OPERATIONS)) if f"`{name}`" not in document] == []
