"""Receive: every field of every operation, at, under and over its limits, and fields that no description foresees."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.platforms.omnidesk.fields import Number
from bridge.platforms.omnidesk.operations import OPERATIONS
from tests.line.served import (
    API,
    JSON,
    SLOW,
    Reply,
    Served,
    ask,
    least_fields,
)
from tests.platforms.omnidesk_calls import a_form


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
    for one in wrong[1:]:
        reply = send(served, operation, {**least_fields(served, operation), field.name: one})
        assert (reply.status, reply.message.partition(":")[0]) == (400, field.name), (one, reply)


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
    changed: dict[str, object] = draw(st.dictionaries(st.sampled_from(names) | ANY_TEXT, ANY_JSON, max_size=4))
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
