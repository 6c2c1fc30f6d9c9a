"""An event: whole, with names that every store can hold."""

from typing import Any

import pytest

from bridge.model.event import Contact, whole
from tests.values import an_event


@pytest.mark.parametrize("field", ["conversation", "key", "reference"])
def test_a_name_has_no_character_that_a_store_cannot_hold(field: str) -> None:
    event = whole(an_event(**{field: "a\0b"}))
    assert getattr(event, field) == "a�b"
    assert event.text == "How much is it?"


@pytest.mark.parametrize("field", ["id", "email", "phone"])
def test_nor_has_a_name_of_the_contact(field: str) -> None:
    names: dict[str, Any] = {"id": "1", "name": "A\0", field: "a\0b"}
    contact = Contact(**names)
    cleaned = whole(an_event(contact=contact)).contact
    assert getattr(cleaned, field) == "a�b"
    assert cleaned.name == "A\0", "what is only said is kept as it was said"


def test_an_event_that_is_whole_stays_the_same_object() -> None:
    event = an_event()
    assert whole(event) is event
