"""Values with sensible defaults, so that a test says only what it is about."""

from datetime import UTC, datetime
from typing import Any

from bridge.model.delivery import Delivery, Reply
from bridge.model.event import Contact, Event

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


def an_event(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "account": "site",
        "platform": "omnidesk",
        "kind": "message",
        "sender": "contact",
        "conversation": "abcdef0123456789",
        "key": "message/1",
        "at": NOON,
        "address": {"session": "abcdef0123456789"},
        "contact": Contact(id="c1"),
        "text": "How much is it?",
    }
    return Event(**{**fields, **changes})


def a_delivery(**changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "id": 1,
        "event": 1,
        "rule": "price-question",
        "action": "0",
        "account": "site",
        "lane": "site/abcdef0123456789",
        "to": {"session": "abcdef0123456789"},
        "reply": Reply(text="9 €"),
        "created_at": NOON,
        "expires_at": None,
    }
    return Delivery(**{**fields, **changes})
