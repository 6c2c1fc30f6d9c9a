"""The bodies of webhooks: JSON that can be kept, and what their header says that they are."""

import pytest

from bridge.adapter.body import DEEPEST, media_type, read_json, read_object
from bridge.errors import Refused


@pytest.mark.parametrize(
    ("header", "media"),
    [
        ("", ""),
        ("application/json", "application/json"),
        (" Application/JSON ; charset=utf-8", "application/json"),
        ("multipart/form-data; boundary=a;b", "multipart/form-data"),
        (";", ""),
    ],
)
def test_a_media_type_is_without_parameters(header: str, media: str) -> None:
    assert media_type(header) == media


def test_what_can_be_kept_is_read() -> None:
    deep = b"[" * DEEPEST + b"1" + b"]" * DEEPEST
    assert read_object(b'{"a": [1, null]}') == {"a": [1, None]}
    assert read_json(deep) is not None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "data: not JSON: "),
        (b"\xff", "data: not JSON: "),
        (b"[" * (DEEPEST + 1) + b"[]" + b"]" * (DEEPEST + 1), f"data: nested more than {DEEPEST} deep"),
        (b"[" * 1_000_000, "data: not JSON: "),
        (b"[]", "data: a JSON object is expected"),
    ],
)
def test_anything_else_is_refused_by_name(body: bytes, why: str) -> None:
    with pytest.raises(Refused) as caught:
        read_object(body, "data")
    assert caught.value.status == 400
    assert caught.value.message.startswith(why)
    assert len(caught.value.message) <= 300
