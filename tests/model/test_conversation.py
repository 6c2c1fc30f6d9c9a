from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.conversation import EMPTY, HUMAN_ACTIVE_FOR, Conversation, Memory, begin, known
from bridge.model.event import KINDS, SENDERS, Contact, Event

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


def event(kind: Any = "message", sender: Any = "contact", minutes: float = 0, **fields: Any) -> Event:
    at = NOON + timedelta(minutes=minutes)
    return Event(account="shop", platform="test", kind=kind, sender=sender, conversation="17", key="k", at=at, **fields)


def after(*events: Event) -> Conversation:
    conversation = begin(events[0])
    for one in events:
        conversation = conversation.after(one)
    return conversation


def test_a_conversation_begins_before_its_first_event_is_counted() -> None:
    assert begin(event()) == Conversation(account="shop", id="17", opened_at=NOON, last_at=NOON)
    assert begin(event()).messages == 0


def test_only_what_the_contact_writes_is_counted() -> None:
    conversation = after(
        event(), event("typing"), event(sender="agent"), event(sender="bot"), event("attachment"), event()
    )
    assert conversation.messages == 2


def test_age_and_idle() -> None:
    conversation = after(event(), event(minutes=3), event("typing", minutes=10))
    assert (conversation.age, conversation.idle) == (timedelta(minutes=10), timedelta(minutes=7))
    assert conversation.opened_at == NOON


def test_a_late_event_does_not_turn_time_back() -> None:
    conversation = after(event(minutes=10), event(minutes=3))
    assert (conversation.last_at, conversation.idle) == (NOON + timedelta(minutes=10), timedelta(0))
    assert conversation.messages == 2


@pytest.mark.parametrize(
    ("kind", "sender", "active"),
    [
        ("message", "agent", True),
        ("attachment", "agent", True),
        ("typing", "agent", False),
        ("message", "bot", False),
        ("message", "contact", False),
    ],
)
def test_a_human_is_active_after_an_agent_wrote(kind: str, sender: str, active: bool) -> None:
    assert after(event(), event(kind, sender)).human_active is active


def test_a_human_is_active_for_a_while() -> None:
    wrote = after(event(sender="agent"))
    minutes = HUMAN_ACTIVE_FOR / timedelta(minutes=1)
    assert wrote.after(event(minutes=minutes - 0.01)).human_active
    assert not wrote.after(event(minutes=minutes)).human_active


def test_a_conversation_ends_and_is_opened_again_by_who_writes() -> None:
    ended = after(event(), event("ended", "system"))
    assert (ended.ended, ended.waiting) == (True, False)
    assert ended.after(event("visited")).ended
    written = ended.after(event())
    assert (written.ended, written.waiting) == (False, True)


def test_who_waits_for_an_answer() -> None:
    asked = after(event())
    assert asked.waiting
    assert asked.after(event("typing", "agent")).waiting
    assert not asked.after(event(sender="agent")).waiting
    assert not asked.after(event(sender="bot")).waiting
    assert after(event(sender="agent"), event("attachment")).waiting


def test_the_newest_address_is_kept() -> None:
    conversation = after(event(address={"chat": 1}), event(address={"chat": 2}), event("typing"))
    assert conversation.address == {"chat": 2}


def test_what_else_is_known_of_a_contact_is_bounded() -> None:
    conversation = after(*(event(contact=Contact(extra={"plan": "paid", f"fact-{n}": n})) for n in range(300)))
    assert conversation.contact.extra == {"plan": "paid", **{f"fact-{n}": n for n in range(201, 300)}}


def test_what_is_known_of_a_contact_grows() -> None:
    old = Contact(id="1", name="Ann", extra={"plan": "free", "city": "Kyiv"})
    new = Contact(name="Anna", email="a@b.example", extra={"plan": "paid"})
    assert known(old, new) == Contact(id="1", name="Anna", email="a@b.example", extra={"plan": "paid", "city": "Kyiv"})
    assert known(old, old) is old
    assert known(old, Contact()) is known(old, Contact(id="1")) is old
    assert after(event(contact=old), event()).contact == old


def test_memory_is_changed_by_making_another() -> None:
    first = EMPTY.remember({"a": 1, "b": 2})
    second = first.remember({"b": 3}).forget(("a", "never known"))
    assert (first.facts, second.facts, EMPTY.facts) == ({"a": 1, "b": 2}, {"b": 3}, {})


def test_memory_keeps_only_the_last_times_of_a_rule() -> None:
    memory = EMPTY
    for at in (10, 20, 30):
        memory = memory.count("r", at, keep=2)
    memory = memory.count("s", 40, keep=1)
    assert memory == Memory(fired={"r": (20, 30), "s": (40,)})


@given(st.lists(st.builds(event, st.sampled_from(KINDS), st.sampled_from(SENDERS), st.floats(-1000, 1000)), min_size=1))
def test_whatever_happens_in_whatever_order(events: list[Event]) -> None:
    conversation = begin(events[0])
    for one in events:
        last = conversation
        conversation = last.after(one)
        assert conversation.last_at == max(last.last_at, one.at)
        assert conversation.idle == conversation.last_at - last.last_at
        assert conversation.messages - last.messages == (one.kind == "message" and one.sender == "contact")
        assert not (conversation.ended and conversation.waiting)
    assert conversation.age >= timedelta(0)
