"""The words of a `to:` that have no use are named."""

import pytest

from bridge.adapter.address import only


def test_what_has_a_use_or_no_value_is_fine() -> None:
    only({}, ("room",), "it has no use here")
    only({"room": 5, "event": None}, ("room",), "it has no use here")


@pytest.mark.parametrize(
    ("key", "shown"), [("chat", "chat"), ("a\nb", "a b"), ("\ud83d", "?"), ("x" * 100, f"{'x' * 79}…")]
)
def test_another_one_is_named_with_those_that_have(key: str, shown: str) -> None:
    with pytest.raises(ValueError, match="no use") as caught:
        only({"room": 5, key: 0}, ("room", "event"), "it has no use here")
    assert str(caught.value) == f"to.{shown}: it has no use here; write room, event"
