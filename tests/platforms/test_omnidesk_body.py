"""Bodies: three forms and the samples' mixture; each name once; whatever else comes is refused, never an accident."""

import base64
import json
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.adapter.protocol import Notice, Upload, Webhook
from bridge.errors import Refused
from bridge.platforms.omnidesk import adapter
from bridge.platforms.omnidesk.body import check_others, read_body
from tests.platforms.omnidesk_calls import (
    FIELDS,
    MESSAGE,
    NOON,
    SESSION,
    TOKEN,
    a_call,
    a_form,
    a_webhook,
    an_account,
    parse,
    refusal,
)

FORM = "application/x-www-form-urlencoded"
LEAST = {name: str(value) for name, value in FIELDS[MESSAGE].items()}
PART = b'--b0undary\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
END = b"--b0undary--\r\n"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", orjson.dumps(LEAST)),
        ("Application/JSON; charset=utf-8", orjson.dumps(LEAST)),
        ("multipart/form-data", json.dumps(LEAST, indent=2).encode()),
        (FORM, urlencode(LEAST).encode()),
        a_form(LEAST),
        ('multipart/form-data; boundary="b0undary"', a_form(LEAST)[1]),
    ],
)
def test_the_forms_of_a_body(content_type: str, body: bytes) -> None:
    event = parse(a_webhook(MESSAGE, body, content_type)).events[0]
    assert event.raw == LEAST
    assert event.text == "How much is it?"


@pytest.mark.parametrize(
    ("content_type", "body", "status", "complaint"),
    [
        ("", b"{}", 415, "content-type: missing; send multipart/form-data"),
        ("text/plain", b"{}", 415, 'content-type: "text/plain" is not taken; send multipart/form-data'),
        ("multipart/form-data", b"a=b", 400, "content-type: multipart/form-data without a boundary"),
        ("multipart/form-data; boundary=", b"--", 400, "content-type: multipart/form-data without a boundary"),
        ('multipart/form-data; boundary="a\tb"', b"--", 400, "content-type: the boundary "),
        ("multipart/form-data; boundary=" + "x" * 71, b"--", 400, "content-type: the boundary "),
        ("multipart/form-data; boundary=x", b"", 400, "body: not multipart/form-data: "),
        ("multipart/form-data; boundary=x", b"{}", 400, "body: not multipart/form-data: "),
        ("multipart/form-data; boundary=b0undary", PART % (b"a", b"", b"1"), 400, "body: not multipart/form-data: "),
        ("multipart/form-data; boundary=b0undary", PART % (b"a", b"", b"\xff") + END, 400, "a: not UTF-8"),
        ("multipart/form-data; boundary=b0undary", PART % (b"a", b"", b"") * 65 + END, 400, "a: given more than once"),
        ("application/json", b"", 400, "body: not JSON: "),
        ("application/json", b"[]", 400, "body: a list is given where a JSON object is expected"),
        ("application/json", b'{"a": %s}' % (b"9" * 5000), 400, "body: not JSON: "),
        ("application/json", b'{"a": NaN}', 400, "body: not JSON: "),
        ("application/json", b'{"a": "\xff"}', 400, "body: not JSON: "),
        ("application/json", b'{"a": "\\ud800"}', 400, "body: not JSON: "),
        (FORM, b"message=\xff", 400, "body: not UTF-8"),
        (FORM, b"message=%ff", 400, "body: not UTF-8"),
        (FORM, b"message=100%", 400, "body: a % that no two hexadecimal digits follow"),
        (FORM, b"message=%u041f", 400, "body: a % that no two hexadecimal digits follow"),
        (FORM, b"&".join(b"f%d=" % n for n in range(65)), 400, "body: more than 64 fields"),
    ],
)
def test_a_body_that_is_not_what_it_says(content_type: str, body: bytes, status: int, complaint: str) -> None:
    given_status, message = refusal(a_webhook(MESSAGE, body, content_type))
    assert given_status == status
    assert message.startswith(complaint)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"message": "a", "message": "b"}'),
        ("application/json", b'{"message": 1, "message": 1}'),
        ("application/json", b'{"message": "a \\" b", "me\\u0073sage": "b"}'),
        ("application/json", b'{"rest": {"message": 1, "message": 2}}'),
        ("application/json", b'{"rest": [[{"message": 1, "message": %s}]]}' % (b"9" * 300)),
        ("multipart/form-data", b' {"message": "a", "message": "a"}'),
        (FORM, b"message=a&url=b&message=a"),
        ("multipart/form-data; boundary=b0undary", PART % (b"message", b"", b"a") * 2 + END),
        (
            "multipart/form-data; boundary=b0undary",
            PART % (b"message", b"", b"a") + PART % (b"message", b'; filename="a"', b"a") + END,
        ),
    ],
)
def test_a_field_is_given_once(content_type: str, body: bytes) -> None:
    assert refusal(a_webhook(MESSAGE, body, content_type)) == (400, "message: given more than once")


@pytest.mark.parametrize(("size", "taken"), [(2**20, True), (2**20 + 1, False)])
def test_all_fields_together_are_bounded(size: int, taken: bool) -> None:
    body = orjson.dumps({**FIELDS[MESSAGE], "more": ""})
    body = body[:-2] + b"x" * (size - len(body)) + body[-2:]
    if taken:
        assert len(parse(a_webhook(MESSAGE, body)).events) == 1
    else:
        assert refusal(a_webhook(MESSAGE, body)) == (413, f"body: {size} bytes of fields, at most 1048576 are taken")


def test_a_file_comes_on_top_of_that() -> None:
    file = base64.b64encode(bytes(2**20)).decode()
    query = {name: str(value) for name, value in FIELDS["addAttachment"].items()}
    call = a_webhook("addAttachment", orjson.dumps({"file": file}), query=query)
    assert len(parse(call).uploads[0].content) == 2**20
    call = a_webhook("addAttachment", orjson.dumps({"file": "YQ==", "more": file}), query=query)
    assert refusal(call)[0] == 413
    call = a_webhook("addAttachment", b"file=" + file.encode(), FORM, query=query)
    assert refusal(call)[1].endswith("send a large file as multipart/form-data")


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(0, 9) | st.lists(st.text(max_size=2))))
def test_a_json_object_is_read_as_it_was_written(fields: dict[str, object]) -> None:
    for body in (orjson.dumps(fields), json.dumps(fields, indent=1).encode()):
        assert read_body("application/json", body).fields == fields


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(0, 9), min_size=1),
    st.text(max_size=3) | st.integers(0, 9),
    st.data(),
)
def test_a_json_key_that_stands_twice_is_always_seen(
    fields: dict[str, object], again: object, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(fields)))
    body = json.dumps(fields)[:-1] + f", {json.dumps(name)}: {json.dumps(again)}}}"
    with pytest.raises(Refused, match="given more than once"):
        read_body("application/json", body.encode())


def test_fields_that_the_description_does_not_name_are_kept() -> None:
    raw = parse(a_call(MESSAGE, sentAt={"ms": [1, None, True]}, note="x\ty")).events[0].raw
    assert (raw["sentAt"], raw["note"]) == ({"ms": [1, None, True]}, "x\ty")


@pytest.mark.parametrize("depth", [20, 21, 150, 900, 1500])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_bounded(depth: int, left: str, right: str) -> None:
    nested = left * depth + "1" + right * depth
    body = orjson.dumps(FIELDS[MESSAGE])[:-1] + f', "deep": {nested}}}'.encode()
    if depth <= 20:
        assert "deep" in parse(a_webhook(MESSAGE, body)).events[0].raw
    else:
        status, message = refusal(a_webhook(MESSAGE, body))
        assert status == 400
        assert "nested more than 20 deep" in message or "not JSON" in message


def test_the_number_of_json_fields_is_bounded() -> None:
    few, many = ({f"f{n}": "" for n in range(count)} for count in (60, 61))
    assert len(parse(a_call(MESSAGE, **few)).events[0].raw) == 64
    assert refusal(a_call(MESSAGE, **many)) == (400, "body: 65 fields, at most 64 are taken")


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
def test_an_encoded_part_is_refused(encoding: bytes) -> None:
    part = PART % (b"message", b"\r\nContent-Transfer-Encoding: " + encoding, b"YQ==")
    complaint = f'message: the Content-Transfer-Encoding "{encoding.decode()}" is not taken'
    assert refusal(a_webhook(MESSAGE, part + END, "multipart/form-data; boundary=b0undary")) == (400, complaint)


def test_a_part_may_name_its_content_type() -> None:
    more = b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit"
    parts = b"".join(PART % (n.encode(), more, v.encode()) for n, v in LEAST.items())
    call = a_webhook(MESSAGE, parts + END, "multipart/form-data; boundary=b0undary")
    assert parse(call).events[0].raw == LEAST


def test_a_file_name_may_come_in_the_older_form() -> None:
    body = PART % (b"file", b"; filename*=utf-8''%D0%A6%D1%96%D0%BD%D0%B0%20%FF.png", b"PNG") + END
    query = {name: str(value) for name, value in FIELDS["addAttachment"].items()}
    call = a_webhook("addAttachment", body, "multipart/form-data; boundary=b0undary", query=query)
    assert parse(call).uploads == (Upload(name="Ціна \ufffd.png", content=b"PNG"),)


def test_a_file_is_no_message() -> None:
    body = PART % (b"message", b'; filename="m.txt"', b"hello") + END
    call = a_webhook(MESSAGE, body, "multipart/form-data; boundary=b0undary")
    assert refusal(call) == (400, "message: a file is given where a text is expected")


CONTENT_TYPES = st.sampled_from(
    ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=b", FORM, "text/plain"]
) | st.text(max_size=60)
BODIES = (
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [b"--b\r\n", b"--b--", b"\r\n", b"\n", b'Content-Disposition: form-data; name="message"', b": "]
        )
        | st.binary(max_size=9)
    ).map(b"".join)
    | st.lists(st.sampled_from([*b'{}[]",:', *b"\\u0041e-1\xc3\xa9 \n"]).map(lambda n: bytes([n]))).map(b"".join)
    | st.dictionaries(
        st.sampled_from([*LEAST, "channelID", "x"]), st.none() | st.integers() | st.text() | st.booleans()
    ).map(lambda fields: json.dumps({**LEAST, **fields}).encode())
)
TEXTS = st.text(st.characters(), max_size=20)


@settings(max_examples=300)
@given(
    st.sampled_from([*FIELDS, ""]) | TEXTS,
    CONTENT_TYPES,
    BODIES,
    st.dictionaries(st.sampled_from([*FIELDS["addAttachment"], "apiKey", "messageNumber"]) | TEXTS, TEXTS, max_size=4),
)
@example(MESSAGE, "multipart/form-data; boundary=\ud800", b"--", {})
@example(
    "addAttachment",
    "application/json",
    b'{"file": "\xc3\xa9"}',
    {k: str(v) for k, v in FIELDS["addAttachment"].items()},
)
@example(MESSAGE, "application/json", b'{"a":' * 990, {})
@example("\ud800", "", b"", {"\ud800": "\ud800"})
def test_whatever_comes_is_a_notice_or_a_refusal(
    operation: str, content_type: str, body: bytes, query: dict[str, str]
) -> None:
    webhook = Webhook(
        method="POST",
        path="/api/v2/chat/",
        operation=operation,
        query=query,
        headers={"content-type": content_type},
        body=body,
        received_at=NOON,
    )
    notice, refused = Notice(), None
    try:
        notice = adapter.parse(webhook, an_account())
    except Refused as refusal_of_it:
        refused = refusal_of_it
    for event in notice.events:
        assert orjson.dumps(event.raw)
    if refused is not None:
        assert 400 <= refused.status < 500
        said = orjson.loads(adapter.refuse(refused.status, refused.message).body)
        assert said["status"] == "error"
        assert len(said["message"]) < 500


@given(st.binary(max_size=60), TEXTS)
def test_whatever_file_comes_is_kept_byte_by_byte(content: bytes, name: str) -> None:
    query = {k: str(v) for k, v in FIELDS["addAttachment"].items()}
    quoted = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22").encode("utf-8", "replace")
    body = PART % (b"file", b'; filename="' + quoted + b'"', content) + END
    call = a_webhook("addAttachment", body, "multipart/form-data; boundary=b0undary", query=query)
    upload = parse(call).uploads[0]
    assert upload.content == content
    assert 0 < len(upload.name.encode()) <= 255
    assert upload.name.isprintable()
    assert not set(upload.name) & set("/\\")
    assert upload.name not in (".", "..")


def test_the_ids_of_the_samples() -> None:
    assert (len(SESSION), len(TOKEN), base64.b64decode("Ynl0ZXM=")) == (17, 13, b"bytes")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(TEXTS.filter(bool), TEXTS, min_size=1, max_size=5), st.sampled_from(["&", "&&"]))
def test_a_urlencoded_form_is_read_as_it_was_written(fields: dict[str, str], between: str) -> None:
    body = between.join(urlencode({name: value}) for name, value in fields.items())
    assert read_body(FORM, body.encode()).fields == fields


PIECES = st.sampled_from(
    [
        b"--b0undary",
        b"--",
        b"\r\n",
        b"\n",
        b'Content-Disposition: form-data; name="a"',
        b'; filename="f"',
        b"a",
        b"\xff",
    ]
)
FORMS = st.dictionaries(st.sampled_from("ab-"), st.text("a-\r\n b0undary\u0457", max_size=12)).map(
    lambda f: a_form(f)[1]
)


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_of_several_wrong_fields_the_first_is_told(names: tuple[str, str]) -> None:
    with pytest.raises(Refused, match=f'^"{names[0]}": the control character U\\+0000 is not taken$'):
        check_others(dict.fromkeys(names, "\0"), frozenset())


@settings(max_examples=300)
@given(FORMS | st.lists(PIECES | FORMS, max_size=12).map(b"".join))
@example(a_form({"a": "x"})[1] + a_form({"a": "y"})[1])
@example(a_form({f"f{number}": "x" for number in range(64)})[1])
@example(a_form({f"f{number}": "x" for number in range(65)})[1])
@example(PART % (b"a", b"", b"\xff") + END)
@example(PART % (b"a", b"", b"x") * 2 + END)
@example(PART % (b"a", b"", b"x\r\n--b0undaryx") + END)
@example(PART % (b"a", b"", b"x") + END[:-2])
@example(PART % (b"a", b"", b"x"))
def test_the_short_way_through_a_form_reads_what_the_long_way_reads(body: bytes) -> None:
    def told(content_type: str) -> object:
        try:
            return read_body(content_type, body)
        except Refused as refusal:
            return refusal.status, refusal.message

    # A parameter that means nothing leads to the parser that understands everything.
    assert told("multipart/form-data; boundary=b0undary") == told("multipart/form-data; boundary=b0undary; a=b")
