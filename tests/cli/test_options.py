"""What is typed as key=value: numbers and lists are what they look like, all else is text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.options import pairs
from bridge.errors import BridgeError


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("17", 17),
        ("-3", -3),
        ("1.5", 1.5),
        ("007", "007"),
        ("+380441234567", "+380441234567"),
        ("1e5", "1e5"),
        ("12345678901234567890", "12345678901234567890"),
        ("[1,2]", [1, 2]),
        ('["vip", {"name": "x"}]', ["vip", {"name": "x"}]),
        ('"17"', "17"),
        ("true", True),
        ("null", "null"),
        ("NaN", "NaN"),
        ("a=b", "a=b"),
        ("", ""),
        ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z"),
    ],
)
def test_a_value(typed: str, value: object) -> None:
    found = pairs([f"key={typed}"], "--to")["key"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["chat"], "--to chat: write key=value"),
        (["=17"], "--to =17: write key=value"),
        (["chat=1", "chat=2"], "--to chat: given twice; write several values as a list: chat=[1,2]"),
        (["chat=[1"], "--to chat: [1 begins like JSON but is not: "),
        (["chat=" + "[" * 100_000], "--to chat: [["),
    ],
)
def test_what_is_no_pair(typed: list[str], told: str) -> None:
    with pytest.raises(BridgeError) as caught:
        pairs(typed, "--to")
    assert str(caught.value).startswith(told)
    assert len(str(caught.value)) < 300


@given(st.text())
def test_any_text_is_a_value_or_refused(text: str) -> None:
    try:
        found = pairs([f"key={text}"], "--to")["key"]
    except BridgeError:
        assert text[:1] in ("[", "{", '"')
    else:
        assert not isinstance(found, str) or found == text or text.startswith('"')
