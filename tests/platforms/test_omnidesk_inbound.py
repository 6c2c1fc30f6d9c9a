"""Who may call, what a call becomes, when it is a repeat, and what is answered."""

import base64
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.protocol import Awaited, Standing
from bridge.errors import Refused
from bridge.platforms.omnidesk import adapter
from bridge.platforms.omnidesk.answers import ticket
from bridge.platforms.omnidesk.attachment import safe_name
from tests.platforms.omnidesk_calls import (
    FIELDS,
    JSON,
    KEY,
    MESSAGE,
    SERVER,
    SESSION,
    TOKEN,
    a_call,
    a_form,
    a_webhook,
    an_account,
    answered,
    parse,
    refusal,
)

ATTACHMENT = {name: str(value) for name, value in FIELDS["addAttachment"].items()}
TEN_SECONDS = timedelta(seconds=10)


def test_the_key_is_in_the_header_or_in_the_query() -> None:
    both = a_webhook(MESSAGE, headers={"apikey": "header"}, query={"apiKey": "query"})
    assert adapter.credential(both) == "header"
    assert adapter.credential(a_webhook(MESSAGE, headers={}, query={"apiKey": "query"})) == "query"
    assert adapter.credential(a_webhook(MESSAGE, headers={})) is None
    assert [secret.reveal() for secret in an_account(api_keys=["a", "b"]).credentials()] == ["a", "b"]


@pytest.mark.parametrize("key", [KEY, "the-other-key"])
def test_any_of_the_keys_opens(key: str) -> None:
    adapter.verify(a_webhook(MESSAGE, headers={"apikey": key}), an_account(api_keys=[KEY, "the-other-key"]))


@pytest.mark.parametrize("headers", [{}, {"apikey": ""}, {"apikey": KEY + " "}, {"apikey": "\udcff"}])
def test_no_other_key_does(headers: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        adapter.verify(a_webhook(MESSAGE, headers=headers), an_account())
    assert caught.value.status == 401
    assert KEY not in caught.value.message


def test_an_unknown_operation_is_told_the_nine() -> None:
    status, message = refusal(a_webhook("notifyUserEndChats"))
    assert status == 404
    assert '(did you mean "notifyUserEndChat"?)' in message
    assert all(name in message for name in FIELDS)


def test_each_operation_has_its_method() -> None:
    assert refusal(a_webhook("whitelistedDomainsAndBlacklistedIPs", method="POST"))[0] == 405
    assert refusal(a_webhook(MESSAGE, method="GET")) == (405, f"{MESSAGE}: POST is expected, not GET")
    assert answered(parse(a_webhook("whitelistedDomainsAndBlacklistedIPs", method="HEAD")))["type"] == "item"


@pytest.mark.parametrize("operation", [name for name, fields in FIELDS.items() if "chatServer" in fields])
def test_a_chat_server_that_may_not_be_called_back_is_refused(operation: str) -> None:
    message = 'chatServer: "https://evil.example" is not allowed; to allow it, add it to chat_servers'
    assert refusal(a_call(operation, chatServer="https://evil.example")) == (400, message)


@pytest.mark.parametrize("operation", [name for name, fields in FIELDS.items() if "chatAccountToken" in fields])
def test_a_token_is_checked_where_tokens_are_configured(operation: str) -> None:
    parse(a_call(operation), chat_account_tokens=["other1234567", TOKEN])
    status, message = refusal(a_call(operation), chat_account_tokens=["other1234567"])
    assert (status, message) == (400, "chatAccountToken: not one of the account's chat_account_tokens")


def test_a_numbered_message_is_the_same_for_ever() -> None:
    first = parse(a_call(MESSAGE, messageNumber=2)).events[0]
    again = parse(a_call(MESSAGE, messageNumber="2", customerName="Anna")).events[0]
    assert (first.key, first.repeat_within) == (again.key, None)
    others: list[dict[str, object]] = [{"messageNumber": 3}, {"message": "yes"}, {"chatSessionID": "another-session"}]
    keys = {parse(a_call(MESSAGE, **{"messageNumber": 2, **other})).events[0].key for other in others}
    assert len(keys | {first.key}) == 4


def test_without_a_number_the_whole_content_counts_for_ten_seconds() -> None:
    first, again = parse(a_call(MESSAGE)).events[0], parse(a_call(MESSAGE)).events[0]
    assert (first.key, first.repeat_within) == (again.key, TEN_SECONDS)
    assert parse(a_call(MESSAGE, customerName="Anna")).events[0].key != first.key


def test_a_repeat_has_another_boundary() -> None:
    fields = {name: str(value) for name, value in FIELDS["notifyUserVisited"].items()}
    keys = set()
    for boundary in ("one", "two"):
        content_type, body = a_form(fields, boundary)
        keys.add(parse(a_webhook("notifyUserVisited", body, content_type)).events[0].key)
    assert len(keys) == 1


def test_operations_never_share_a_key() -> None:
    operations = [name for name, fields in FIELDS.items() if "chatSessionID" in fields]
    events = [parse(a_call(name)).events[0] for name in operations]
    assert [event.key.partition(":")[0] for event in events] == [event.kind for event in events]
    assert len({event.key for event in events}) == len(operations)
    assert {event.repeat_within for event in events} == {TEN_SECONDS}


@given(st.text("abc-", min_size=10, max_size=20))
def test_a_ticket_is_stable_and_exact_in_any_reader(session: str) -> None:
    sent = answered(parse(a_call(MESSAGE, chatSessionID=session)))
    assert sent == {"type": "result", "message": "Message sent.", "ticketID": ticket(session)}
    assert 0 < sent["ticketID"] < 2**53


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"ticketID": 7001, "message": "Message sent."}, 7001),
        ({"ticketID": 2**53 + 1}, 2**53 + 1),
        ({"ticketID": "7001"}, None),
        ({"ticketID": True}, None),
        ({"message": "Message sent."}, None),
        ({}, None),
        (None, None),
        ("7001", None),
    ],
)
def test_a_message_is_answered_with_the_ticket_that_omnidesk_told(found: object, told: int | None) -> None:
    answer = parse(a_call(MESSAGE), ticket_within="1500ms").answer
    assert isinstance(answer, Awaited)
    assert (answer.operation, answer.within) == ("omnidesk.forward", 1.5)
    said = answer.answer(found)
    assert (said.status, said.content_type) == (200, JSON)
    expected = {"type": "result", "message": "Message sent.", "ticketID": told or ticket(SESSION)}
    assert orjson.loads(said.body) == expected
    assert (said == answer.otherwise) is (told is None)


def test_only_messages_wait_for_a_ticket_and_only_where_the_account_says_so() -> None:
    for within in ("0", "3s"):
        notices = {name: parse(a_call(name), ticket_within=within) for name in FIELDS}
        waiting = {name for name, notice in notices.items() if isinstance(notice.answer, Awaited)}
        assert waiting == ({MESSAGE} if within == "3s" else set())


@pytest.mark.parametrize(("online", "shown"), [(True, True), (False, False), (None, True)])
def test_config_and_queue_tell_how_the_account_stands(online: bool | None, shown: bool) -> None:
    standing = Standing(online=online, open=3, waiting=1)
    config = answered(parse(a_call("requestChatConfig"), greeting="Вітаємо!", max_text=500), standing)
    assert config == {"type": "item", "item": {"online": shown, "greeting": "Вітаємо!", "maxMessageLength": 500}}
    queue = answered(parse(a_call("requestChatQueue")), standing)
    assert queue == {"type": "item", "item": {"open": 3, "waiting": 1, "online": shown}}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("shop.example", True),
        ("SHOP.example.", True),
        ("www.shop.example", True),
        ("a.b.shop.example", True),
        ("xn--kse-qla.example", True),
        ("evilshop.example", False),
        ("shop.example.evil.example", False),
        ("example", False),
        ("sub.xn--kse-qla.example", False),
        ("a..shop.example", False),
        (".shop.example", False),
        ("-", False),
    ],
)
def test_an_origin_is_looked_up_in_the_whitelist(origin: str, allowed: bool) -> None:
    item = answered(
        parse(
            a_call("checkOriginAndIP", origin=origin),
            whitelisted_domains=["Shop.example", "*.shop.example.", "käse.example"],
        )
    )["item"]
    assert item == {"allowed": allowed, "originAllowed": allowed, "ipAllowed": True}
    assert answered(parse(a_call("checkOriginAndIP", origin=origin)))["item"]["allowed"] is True


@pytest.mark.parametrize(
    ("ip", "allowed"),
    [
        ("203.0.113.9", False),
        ("::ffff:203.0.113.9", False),
        ("::ffff:cb00:7109", False),
        ("198.51.100.1", False),
        ("2001:db8::7", False),
        ("2001:0DB8:0:0::7", False),
        ("192.0.2.9", False),
        ("203.0.114.9", True),
        ("2001:db8::8", True),
    ],
)
def test_an_address_is_looked_up_in_the_blacklist(ip: str, allowed: bool) -> None:
    blacklist = ["203.0.113.0/24", "198.51.100.1", "2001:db8::7", "::ffff:192.0.2.0/120"]
    item = answered(parse(a_call("checkOriginAndIP", ip=ip), blacklisted_ips=blacklist))["item"]
    assert item == {"allowed": allowed, "originAllowed": True, "ipAllowed": allowed}
    lists = answered(parse(a_call("whitelistedDomainsAndBlacklistedIPs"), blacklisted_ips=blacklist))["item"]
    assert lists["blacklistedIPs"] == ["203.0.113.0/24", "198.51.100.1", "2001:db8::7", "192.0.2.0/24"]


@pytest.mark.parametrize("ip", ["localhost", "1.2.3.4.5", "203.0.113.0/24", "01.02.03.04", "12345", "1.2.3.4\n"])
def test_what_is_no_address_is_refused(ip: str) -> None:
    assert refusal(a_call("checkOriginAndIP", ip=ip))[1].endswith("is not an IPv4 or IPv6 address")


def test_an_attachment_may_be_described_in_the_body_too() -> None:
    content_type, body = a_form({**ATTACHMENT, "file": base64.b64encode(b"picture").decode()})
    for query in ({}, ATTACHMENT, {"chatServer": SERVER}):
        notice = parse(a_webhook("addAttachment", body, content_type, query=query))
        assert notice.uploads[0].content == b"picture"
        assert notice.events[0].raw == ATTACHMENT
    different = {"chatSessionID": "another-session"}
    complaint = "chatSessionID: the query and the body say different things"
    assert refusal(a_webhook("addAttachment", body, content_type, query=different)) == (400, complaint)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{}", "file: missing; send a part"),
        (b'{"file": ""}', "file: missing; send a part"),
        (b'{"file": 5}', "file: a number is given where base64 is expected"),
        (b'{"file": "not base64"}', "file: not base64; "),
        (b'{"file": "YWJj\\nYWJj"}', "file: not base64; "),
        (b'{"file": "\xc3\xa9"}', "file: not base64; "),
    ],
)
def test_an_attachment_needs_its_file(body: bytes, complaint: str) -> None:
    status, message = refusal(a_webhook("addAttachment", body, JSON, query=ATTACHMENT))
    assert status == 400
    assert message.startswith(complaint)


def test_the_key_never_gets_into_an_event() -> None:
    body = b'{"file": "Ynl0ZXM="}'
    event = parse(a_webhook("addAttachment", body, headers={"content-type": JSON}, query={**ATTACHMENT, "apiKey": KEY}))
    assert KEY not in repr(event)
    assert KEY not in repr(parse(a_call(MESSAGE, apiKey=KEY)).events[0])


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("photo.png", "photo.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\me.jpg", "me.jpg"),
        ("a\0b\n\u202egnp.exe", "abgnp.exe"),
        ("..", "attachment"),
        ("", "attachment"),
        (" . ", "attachment"),
        ("ї" * 200 + ".png", "ї" * 125 + ".png"),
        ("x" * 300, "x" * 255),
        ("a." + "y" * 300, "a." + "y" * 253),
    ],
)
def test_a_file_name_is_only_a_name(given_name: str, kept: str) -> None:
    assert safe_name(given_name) == kept


def test_a_refusal_is_worded_as_the_api_does() -> None:
    answer = adapter.refuse(400, 'message: "\ud800" is odd')
    assert (answer.status, answer.body) == (400, b'{"status":"error","message":"message: \\"?\\" is odd"}')
