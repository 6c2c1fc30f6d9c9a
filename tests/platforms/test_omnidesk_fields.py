"""Every field of the nine operations, at, under and over its limits.

The limits are written down here a second time, from the API's description, so that the table of the code is checked.
"""

from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.platforms.omnidesk.operations import OPERATIONS
from tests.platforms.omnidesk_calls import FIELDS, MESSAGE, SESSION, a_call, a_form, a_webhook, parse, refusal

DESCRIBED: Mapping[str, Mapping[str, tuple[str, bool, int | None, int | None, str, str]]] = {
    "requestChatConfig": {
        "chatServer": ("string", True, 5, None, r"^[a-zA-Z0-9\.\:\/\-]+$", ""),
        "chatAccountToken": ("string", True, 10, None, "^[a-zA-Z0-9]+$", ""),
    },
    "notifyUserNewChatMessage": {
        "chatServer": ("string", True, 5, None, r"^[a-zA-Z0-9\.\:\/\-]+$", ""),
        "chatSessionID": ("string", True, 10, 65, r"^\+?[a-zA-Z0-9\-]+$", ""),
        "chatAccountToken": ("string", True, 10, None, "^[a-zA-Z0-9]+$", ""),
        "channelID": ("number", False, 1, None, "", "8"),
        "message": ("string", True, 1, None, "", ""),
        "url": ("string", False, 1, None, "", ""),
        "messageNumber": ("number", False, 1, 50, "", "1"),
        "usedPredefinedUserInput": ("string", False, 1, None, "", "false"),
        "additionalData": ("string", False, 1, None, "", ""),
        "externalAddressOverwrite": ("string", False, 1, None, "", ""),
        "customerName": ("string", False, 0, None, "^[a-zA-Z 0-9]+$", ""),
        "emailAddress": ("string, email", False, 0, None, "", ""),
        "phoneNumber": ("string", False, 0, None, r"^\+[0-9]+$", ""),
    },
    "notifyUserNewChatEvent": {
        "chatServer": ("string", True, 5, None, r"^[a-zA-Z0-9\.\:\/\-]+$", ""),
        "chatSessionID": ("string", True, 10, None, r"^[a-zA-Z0-9\-]+$", ""),
        "event": ("one of startedtyping, stoppedtyping, expandedchat, minimizedchat", True, 0, None, "", ""),
    },
    "notifyUserVisited": {
        "chatServer": ("string", True, 5, None, r"^[a-zA-Z0-9\.\:\/\-]+$", ""),
        "chatSessionID": ("string", True, 10, None, r"^[a-zA-Z0-9\-]+$", ""),
        "url": ("string", True, 4, None, "", ""),
    },
    "notifyUserEndChat": {
        "chatServer": ("string", True, 5, None, r"^[a-zA-Z0-9\.\:\/\-]+$", ""),
        "chatSessionID": ("string", True, 10, None, r"^[a-zA-Z0-9\-]+$", ""),
    },
    "addAttachment": {
        "chatServer": ("string", True, 5, None, r"^[a-zA-Z0-9\.\:\/\-]+$", ""),
        "chatSessionID": ("string", True, 10, None, r"^\+?[a-zA-Z0-9\-]+$", ""),
        "chatAccountToken": ("string", True, 10, None, "^[a-zA-Z0-9]+$", ""),
        "phoneNumber": ("string", False, 0, None, r"^\+?[0-9]+$", ""),
        "messageNumber": ("number", False, None, None, "", ""),
    },
    "checkOriginAndIP": {
        "chatServer": ("string", True, 5, None, r"^[a-zA-Z0-9\.\:\/\-]+$", ""),
        "chatAccountToken": ("string", True, 10, None, "^[a-zA-Z0-9]+$", ""),
        "origin": ("string", True, 1, None, r"^[a-zA-Z0-9\.\-]+$", ""),
        "ip": ("string", True, 5, None, "", ""),
    },
    "whitelistedDomainsAndBlacklistedIPs": {},
    "requestChatQueue": {"chatAccountToken": ("string", True, 10, None, "^[a-zA-Z0-9]+$", "")},
}
"""Type, required, min, max, pattern, default."""

PAIRS = [(operation, name) for operation, fields in DESCRIBED.items() for name in fields]
REQUIRED = [(operation, name) for operation, name in PAIRS if DESCRIBED[operation][name][1]]
OPTIONAL = [(operation, name) for operation, name in PAIRS if not DESCRIBED[operation][name][1]]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"


def test_the_table_says_what_the_description_says() -> None:
    ours = {
        operation.name: {f.name: (f.type, f.required, f.least, f.most, f.pattern, f.default) for f in operation.fields}
        for operation in OPERATIONS.values()
    }
    assert ours == DESCRIBED
    assert [o.name for o in OPERATIONS.values() if o.file] == ["addAttachment"]
    assert [o.name for o in OPERATIONS.values() if o.method == "GET"] == ["whitelistedDomainsAndBlacklistedIPs"]


@pytest.mark.parametrize("operation", FIELDS)
def test_the_least_is_taken(operation: str) -> None:
    events = parse(a_call(operation)).events
    silent = {"requestChatConfig", "checkOriginAndIP", "whitelistedDomainsAndBlacklistedIPs", "requestChatQueue"}
    assert len(events) == (0 if operation in silent else 1)


@pytest.mark.parametrize(("operation", "name"), REQUIRED)
def test_a_required_field_is_missed_by_name(operation: str, name: str) -> None:
    assert refusal(a_call(operation, **{name: None})) == (400, f"{name}: missing")
    assert refusal(a_call(operation, **{name: ""})) == (400, f"{name}: is empty, and required")


@pytest.mark.parametrize(("operation", "name"), OPTIONAL)
def test_an_optional_field_may_be_empty(operation: str, name: str) -> None:
    bare, empty = parse(a_call(operation)).events[0], parse(a_call(operation, **{name: ""})).events[0]
    assert empty.raw[name] == ""
    assert (empty.contact, empty.url, empty.channel) == (bare.contact, bare.url, bare.channel)


@pytest.mark.parametrize(("operation", "name"), [p for p in PAIRS if p[0] != "addAttachment"])
@pytest.mark.parametrize("value", [[1], {"a": 1}, ["text"]])
def test_json_of_a_wrong_type_is_refused(operation: str, name: str, value: object) -> None:
    status, message = refusal(a_call(operation, **{name: value}))
    assert status == 400
    assert message.startswith(f"{name}: ")
    assert "is given where a" in message


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("message", 5, "message: a number is given where a text is expected"),
        ("message", True, "message: a boolean is given where a text is expected"),
        ("usedPredefinedUserInput", 1, "usedPredefinedUserInput: a number is given where a text is expected"),
        ("channelID", True, "channelID: a boolean is given where a number is expected"),
        ("channelID", 8.5, 'channelID: "8.5" is not a whole number of at most 15 digits'),
        ("channelID", 1e300, 'channelID: "1e+300" is not a whole number of at most 15 digits'),
        ("channelID", "eight", 'channelID: "eight" is not a whole number of at most 15 digits'),
        ("channelID", "٨", 'channelID: "٨" is not a whole number of at most 15 digits'),
        ("messageNumber", 2**53 + 1, 'messageNumber: "9007199254740993" is not a whole number of at most 15 digits'),
        ("messageNumber", "1" * 16, 'messageNumber: "1111111111111111" is not a whole number of at most 15 digits'),
        ("channelID", 0, "channelID: 0 is too small: at least 1"),
        ("messageNumber", "0", "messageNumber: 0 is too small: at least 1"),
        ("messageNumber", -3, "messageNumber: -3 is too small: at least 1"),
        ("chatSessionID", "abc", 'chatSessionID: "abc" is too short: at least 10 characters'),
        ("chatSessionID", "a" * 66, f'chatSessionID: "{"a" * 40}..." is too long: 66 characters, at most 65 are taken'),
        ("chatServer", "http", 'chatServer: "http" is too short: at least 5 characters'),
        ("chatServer", "a_b.example", 'chatServer: "a_b.example" may hold only letters, digits and . : / -'),
        ("chatAccountToken", "short", "chatAccountToken: the value is too short: at least 10 characters"),
        ("chatAccountToken", "with space in", "chatAccountToken: the value may hold only letters and digits"),
        ("phoneNumber", "380441234567", 'phoneNumber: "380441234567" must be a + and digits'),
        ("emailAddress", "anna.example", 'emailAddress: "anna.example" is not an e-mail address'),
        ("customerName", "Anna <b>", 'customerName: "Anna <b>" may hold only letters, digits, blanks and \' ’ . -'),
        ("message", "a\0b", "message: the control character U+0000 is not taken"),
        ("url", "a\x1b[2J", "url: the control character U+001B is not taken"),
        ("additionalData", "\x7f", "additionalData: the control character U+007F is not taken"),
        ("note", "\x85", '"note": the control character U+0085 is not taken'),
        ("no\x07te", "", "a field's name: the control character U+0007 is not taken"),
    ],
)
def test_a_refusal_says_the_field_the_value_and_what_is_taken(name: str, value: object, complaint: str) -> None:
    assert refusal(a_call(MESSAGE, **{name: value})) == (400, complaint)


@pytest.mark.parametrize("value", [8, 8.0, "8", "8.0"])
def test_a_number_may_come_as_a_text(value: object) -> None:
    assert parse(a_call(MESSAGE, channelID=value)).events[0].channel == "8"


@pytest.mark.parametrize("number", [1, 50, 51, 4000])
def test_more_than_fifty_messages_are_taken(number: int) -> None:
    assert parse(a_call(MESSAGE, messageNumber=number)).events[0].repeat_within is None


@pytest.mark.parametrize("value", [True, False, "true", "false", "anything"])
def test_predefined_input_is_a_text_or_a_boolean(value: object) -> None:
    assert parse(a_call(MESSAGE, usedPredefinedUserInput=value)).events[0].raw["usedPredefinedUserInput"] == value


@pytest.mark.parametrize(
    "name", ["José", "O'Brien", "O’Neil", "Anne-Marie", "Dr. Ні", "अनिता", "นภา", "李 小龙", "Zoë 2"]
)
def test_a_name_is_taken_in_every_script(name: str) -> None:
    assert parse(a_call(MESSAGE, customerName=name)).events[0].contact.name == name


@pytest.mark.parametrize("name", ["a\n", "a_b", "a/b", "a@b", "😀", "½", "a\u00a0b", "a\u202eb", "{{a}}"])
def test_a_name_is_no_more_than_a_name(name: str) -> None:
    assert refusal(a_call(MESSAGE, customerName=name))[1].startswith("customerName: ")


@pytest.mark.parametrize("operation", [o for o, fields in DESCRIBED.items() if "chatSessionID" in fields])
def test_a_plus_is_taken_only_where_the_description_has_it(operation: str) -> None:
    call = a_call(operation, chatSessionID="+380441234567")
    if operation in (MESSAGE, "addAttachment"):
        assert parse(call).events[0].conversation == "+380441234567"
        assert refusal(a_call(operation, chatSessionID="++80441234567"))[0] == 400
    else:
        assert refusal(call)[1] == 'chatSessionID: "+380441234567" may hold only letters, digits and -'


@pytest.mark.parametrize("event", ["startedtypingX", "Xminimizedchat", "startedtyping\n", "StartedTyping", "started"])
def test_the_four_events_are_all(event: str) -> None:
    assert "is not one of startedtyping, stoppedtyping" in refusal(a_call("notifyUserNewChatEvent", event=event))[1]


@pytest.mark.parametrize(("operation", "name"), [p for p in PAIRS if DESCRIBED[p[0]][p[1]][4]])
def test_a_line_feed_never_follows_a_pattern(operation: str, name: str) -> None:
    good = str({"customerName": "Anna", "phoneNumber": "+38044123"}.get(name, FIELDS[operation].get(name)))
    assert refusal(a_call(operation, **{name: good + "\n"}))[1].startswith(f"{name}: ")


@given(st.text(LETTERS + DIGITS + "-", max_size=80))
def test_a_conversation_id_of_any_length(session: str) -> None:
    call = a_call(MESSAGE, chatSessionID=session)
    if 10 <= len(session) <= 65:
        assert parse(call).events[0].conversation == session
    else:
        assert refusal(call)[1].startswith("chatSessionID: ")


@given(st.integers(0, 260))
def test_our_own_bound_where_the_description_has_none(length: int) -> None:
    call = a_call("notifyUserEndChat", chatSessionID="s" * length)
    if 10 <= length <= 255:
        assert parse(call).events[0].conversation == "s" * length
    else:
        assert refusal(call)[0] == 400


@given(st.integers(1, 40), st.integers(1, 30))
def test_a_message_is_bounded_by_max_text(length: int, limit: int) -> None:
    call = a_call(MESSAGE, message="ї" * length)
    if length <= limit:
        assert parse(call, max_text=limit).events[0].text == "ї" * length
    else:
        too_long = f"message: {length} characters, at most {limit} are taken (max_text)"
        assert refusal(call, max_text=limit) == (400, too_long)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_message_number_of_any_size(number: int) -> None:
    call = a_call(MESSAGE, messageNumber=number)
    if 1 <= number <= 2**53:
        assert parse(call).events[0].key.startswith("message:")
    else:
        assert refusal(call)[1].startswith("messageNumber: ")


@given(st.text(max_size=60))
def test_any_text_is_a_message_or_refused(text: str) -> None:
    call = a_webhook(MESSAGE, orjson.dumps({**FIELDS[MESSAGE], "message": text}))
    control = any((ord(c) < 32 and c not in "\t\n\r") or 127 <= ord(c) < 160 for c in text)
    if text and not control:
        assert parse(call).events[0].text == text
    else:
        assert refusal(call)[1].startswith("message: ")


@given(st.text(LETTERS + "-_.:/ \n", min_size=1, max_size=30), st.sampled_from(["json", "form"]))
def test_both_bodies_are_judged_alike(value: str, form: str) -> None:
    fields = {**{k: str(v) for k, v in FIELDS["notifyUserVisited"].items()}, "chatSessionID": value}
    content_type, body = a_form(fields) if form == "form" else ("application/json", orjson.dumps(fields))
    call = a_webhook("notifyUserVisited", body, content_type)
    if len(value) >= 10 and set(value) <= set(LETTERS + DIGITS + "-"):
        assert parse(call).events[0].conversation == value
    else:
        assert refusal(call)[1].startswith("chatSessionID: ")


def test_the_defaults() -> None:
    event = parse(a_call(MESSAGE)).events[0]
    assert (event.channel, event.url, event.conversation) == ("8", None, SESSION)
