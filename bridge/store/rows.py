"""Values to rows and back. The documents in rows are JSON; only this file knows their form."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Row

from bridge.clock import from_ms, to_ms
from bridge.model.conversation import Conversation, Memory
from bridge.model.delivery import Delivery, Reply
from bridge.model.event import Attachment, Contact, Event


def identity(event: Event) -> str:
    """What makes two events the same: the account and the platform's own key."""
    return f"{event.account}/{event.key}"


def conversation_key(account: str, conversation: str) -> str:
    return f"{account}/{conversation}"


def dump(value: object) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a row")


def event_row(number: int, mark: str, event: Event, received_at: int, trace: object) -> dict[str, object]:
    """`mark` is the event's identity."""
    return {
        "id": number,
        "identity": mark,
        "account": event.account,
        "conversation": event.conversation,
        "kind": event.kind,
        "received_at": received_at,
        "body": dump(event),
        "trace": dump(trace),
    }


def event_from(body: str) -> Event:
    """The event whose row has this body."""
    fields: dict[str, Any] = orjson.loads(body)
    fields["at"] = _moment(fields["at"])
    fields["contact"] = Contact(**fields["contact"])
    if fields["attachment"] is not None:
        fields["attachment"] = Attachment(**fields["attachment"])
    if fields["repeat_within"] is not None:
        fields["repeat_within"] = timedelta(seconds=fields["repeat_within"])
    return Event(**fields)


_moment = datetime.fromisoformat


def conversation_row(conversation: Conversation, memory: Memory) -> dict[str, object]:
    return {
        "key": conversation_key(conversation.account, conversation.id),
        "account": conversation.account,
        "last_at": to_ms(conversation.last_at),
        "ended": int(conversation.ended),
        "waiting": int(conversation.waiting),
        "document": dump([conversation, memory]),
    }


def conversation_from(document: str) -> tuple[Conversation, Memory]:
    fields, memory = orjson.loads(document)
    fields["contact"] = Contact(**fields["contact"])
    fields["opened_at"] = _moment(fields["opened_at"])
    fields["last_at"] = _moment(fields["last_at"])
    fields["idle"] = timedelta(seconds=fields["idle"])
    if fields["agent_at"] is not None:
        fields["agent_at"] = _moment(fields["agent_at"])
    return Conversation(**fields), _memory(memory)


def memory_from(document: str) -> Memory:
    return _memory(orjson.loads(document))


def _memory(fields: Mapping[str, Any]) -> Memory:
    fired = fields["fired"]
    return Memory(facts=fields["facts"], fired={rule: tuple(times) for rule, times in fired.items()} if fired else {})


def delivery_row(delivery: Delivery) -> dict[str, object]:
    return {
        "id": delivery.id,
        "event": delivery.event,
        "rule": delivery.rule,
        "action": delivery.action,
        "account": delivery.account,
        "lane": delivery.lane,
        "attempts": delivery.attempts,
        "recipient": dump(delivery.to),
        "reply": dump(delivery.reply),
        "created_at": to_ms(delivery.created_at),
        "expires_at": None if delivery.expires_at is None else to_ms(delivery.expires_at),
    }


def delivery_from(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        event=row.event,
        rule=row.rule,
        action=row.action,
        account=row.account,
        lane=row.lane,
        to=orjson.loads(row.recipient),
        reply=Reply(**orjson.loads(row.reply)),
        created_at=from_ms(row.created_at),
        expires_at=None if row.expires_at is None else from_ms(row.expires_at),
        attempts=row.attempts,
    )
