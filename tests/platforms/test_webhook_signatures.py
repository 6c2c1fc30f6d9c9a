"""Signatures: the vectors of the standards, rotation, the tolerated time, and what hostile headers come to."""

import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.secret import Secret
from bridge.adapter.signatures import check_standard, is_signed_sha1, sign_standard, standard_key
from bridge.errors import Refused

SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER = Secret("another secret")
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": ID, "webhook-timestamp": "1614265330", "webhook-signature": SIGNATURE}


def refused(headers: dict[str, str], body: bytes = BODY, now: datetime = AT) -> str:
    with pytest.raises(Refused) as caught:
        check_standard(headers, body, [OTHER, SECRET], now)
    assert caught.value.status == 401
    return caught.value.message.partition(":")[0]


def test_the_vector_of_the_reference_library() -> None:
    assert sign_standard([SECRET], ID, AT, BODY) == HEADERS
    assert check_standard(HEADERS, BODY, [SECRET], AT) == ID
    assert check_standard(HEADERS, BODY, [OTHER, SECRET], AT) == ID


def test_any_signature_by_any_secret_will_do() -> None:
    both = sign_standard([OTHER, SECRET], ID, AT, BODY)
    assert both["webhook-signature"].endswith(f" {SIGNATURE}")
    assert check_standard(both, BODY, [SECRET], AT) == check_standard(both, BODY, [OTHER], AT) == ID
    newer = {**HEADERS, "webhook-signature": f"v1a,AAAA v2,x {SIGNATURE}"}
    assert check_standard(newer, BODY, [SECRET], AT) == ID


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_are_tolerated(seconds: int) -> None:
    assert check_standard(HEADERS, BODY, [SECRET], AT + timedelta(seconds=seconds)) == ID
    assert refused(HEADERS, now=AT + timedelta(seconds=seconds * 1.004)) == "webhook-timestamp"


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"webhook-id": ""}, "webhook-id"),
        ({"webhook-id": "msg.1"}, "webhook-id"),
        ({"webhook-id": "x" * 201}, "webhook-id"),
        ({"webhook-id": "msg_2"}, "webhook-signature"),
        ({"webhook-timestamp": ""}, "webhook-timestamp"),
        ({"webhook-timestamp": "1614265330.0"}, "webhook-timestamp"),
        ({"webhook-timestamp": "9" * 5000}, "webhook-timestamp"),
        ({"webhook-timestamp": "1614265331"}, "webhook-signature"),
        ({"webhook-signature": ""}, "webhook-signature"),
        ({"webhook-signature": SIGNATURE[3:]}, "webhook-signature"),
        ({"webhook-signature": SIGNATURE.replace("v1", "v2")}, "webhook-signature"),
        ({"webhook-signature": "v1,g0hM"}, "webhook-signature"),
        ({"webhook-signature": "v1,\udcff"}, "webhook-signature"),
        ({"webhook-signature": "v1,x " * 20 + SIGNATURE}, "webhook-signature"),
    ],
)
def test_what_is_wrong_is_refused_by_the_headers_name(changes: dict[str, str], header: str) -> None:
    assert refused({**HEADERS, **changes}) == header


def test_one_byte_of_the_body_matters() -> None:
    assert refused(HEADERS, BODY + b" ") == "webhook-signature"


@given(st.text(), st.text(), st.text(), st.binary())
def test_hostile_headers_are_refused(name: str, seconds: str, signature: str, body: bytes) -> None:
    headers = {"webhook-id": name, "webhook-timestamp": seconds, "webhook-signature": signature}
    assert refused(headers, body) in HEADERS


@given(
    st.binary(max_size=2000), st.integers(0, 2**31), st.from_regex(re.compile(r"[A-Za-z0-9_-]{1,40}"), fullmatch=True)
)
def test_what_we_sign_we_take(body: bytes, seconds: int, name: str) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    assert check_standard(sign_standard([SECRET], name, at, body), body, [OTHER, SECRET], at) == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("whsec_***", "not base64"),
        ("whsec_" + b64encode(b"x" * 23).decode(), "23 bytes"),
        ("whsec_" + b64encode(b"x" * 65).decode(), "65 bytes"),
        ("whpk_" + b64encode(b"x" * 32).decode(), "asymmetric"),
    ],
)
def test_a_secret_that_is_none_is_refused_without_being_shown(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        standard_key(Secret(text))
    assert text[6:] not in str(caught.value)


def test_a_secret_is_base64_after_its_mark_and_a_text_without_it() -> None:
    assert standard_key(Secret("whsec_" + b64encode(b"k" * 25).decode())) == b"k" * 25
    assert standard_key(Secret("whsec_" + b64encode(b"k" * 25).decode().rstrip("="))) == b"k" * 25
    assert standard_key(Secret("ключ")) == "ключ".encode()


def test_the_vector_of_hmac_sha1() -> None:
    body = b'{"event":"message.chat.customer","eventData":{"chat_id":1}}'
    signed = "c5a3c9f271d570a72dd1ef48c0aa2802a9dddb60"
    keys = [OTHER, Secret("test-signing-key")]
    assert is_signed_sha1(signed, keys, body)
    assert is_signed_sha1(signed.upper(), keys, body)
    assert not is_signed_sha1(signed, [OTHER], body)
    assert not is_signed_sha1(signed, [], body)
    assert not is_signed_sha1(signed, keys, body + b"\n")
    assert not is_signed_sha1("\udcff", keys, body)
