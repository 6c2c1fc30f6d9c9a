"""The ledger: the page on which the events of one transaction, and all that follows from them, are written.

It reads what its events touch in a few queries, is changed in memory while they are looked at in order, and
writes everything at the end, one statement a table.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.clock import to_ms
from bridge.model.conversation import EMPTY, Conversation, Memory, Scope, begin
from bridge.model.delivery import UNFINISHED, Delivery, Reason, State
from bridge.model.event import Event
from bridge.model.facts import Facts
from bridge.store.rows import (
    conversation_from,
    conversation_key,
    conversation_row,
    delivery_row,
    dump,
    event_row,
    identity,
    memory_from,
)
from bridge.store.tables import conversations, deliveries, events, memories

_REPEATS = select(events.c.identity, events.c.received_at).where(
    events.c.identity.in_(bindparam("identities", expanding=True))
)
_CONVERSATIONS = select(conversations).where(conversations.c.key.in_(bindparam("keys", expanding=True)))
_MEMORIES = select(memories.c.key, memories.c.document).where(memories.c.key.in_(bindparam("keys", expanding=True)))
_BUSY = select(deliveries.c.lane).where(
    deliveries.c.lane.in_(bindparam("lanes", expanding=True)), deliveries.c.state.in_(UNFINISHED)
)
_LAST_EVENT = select(func.max(events.c.id))
_LAST_DELIVERY = select(func.max(deliveries.c.id))
_NEW_EVENT = insert(events)
_NEW_DELIVERY = insert(deliveries)
# The identity belongs to the newest event that has it: an older one, past its time, gives it up.
_AGE_OUT = update(events).where(events.c.identity == bindparam("old")).values(identity=bindparam("new"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Who takes what is free to go at once: the worker's name, until when, and the accounts it has room for."""

    worker: str
    until: datetime
    full: Collection[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    delivery: Delivery
    dead: Reason | None = None
    detail: str | None = None


class Ledger:
    def __init__(self, connection: Connection, events_to_come: Iterable[Event], now: datetime) -> None:
        self._connection = connection
        self._now = now
        coming = list(events_to_come)
        self._seen: dict[bytes, int] = _pairs(connection, _REPEATS, identities={identity(e) for e in coming})
        keys = {conversation_key(e.account, e.conversation) for e in coming}
        rows = connection.execute(_CONVERSATIONS, {"keys": list(keys)})
        self._conversations = {row.key: conversation_from(row) for row in rows}
        wanted = {key for e in coming for key in self._memory_keys(self.conversation(e).after(e)).values()}
        self._memories = {key: memory_from(text) for key, text in _pairs(connection, _MEMORIES, keys=wanted).items()}
        self._changed_conversations: set[str] = set()
        self._changed_memories: set[str] = set()
        self._aged_out: list[dict[str, bytes]] = []
        self._events: dict[int, dict[str, object]] = {}
        self._entries: list[_Entry] = []
        self._last_event = connection.scalar(_LAST_EVENT) or 0
        self._last_delivery: int | None = None

    def is_repeat(self, event: Event) -> bool:
        """Whether the event was recorded before: ever, or within its `repeat_within`."""
        before = self._seen.get(identity(event))
        if before is None:
            return False
        return event.repeat_within is None or to_ms(self._now) - before < event.repeat_within.total_seconds() * 1000

    def conversation(self, event: Event) -> Conversation:
        """The event's conversation as it was before the event."""
        known = self._conversations.get(conversation_key(event.account, event.conversation))
        return begin(event) if known is None else known[0]

    def facts(self, event: Event) -> Facts:
        """The event with its conversation (the event counted in) and what is remembered."""
        key = conversation_key(event.account, event.conversation)
        known = self._conversations.get(key)
        conversation = (begin(event) if known is None else known[0]).after(event)
        found: dict[Scope, Memory] = {
            scope: self._memories.get(name, EMPTY) for scope, name in self._memory_keys(conversation).items()
        }
        found["conversation"] = EMPTY if known is None else known[1]
        return Facts(event=event, conversation=conversation, now=self._now, memories=found)

    def record(self, event: Event, conversation: Conversation, trace: object) -> int:
        """Note the event and its conversation as it now stands; gives the event's number."""
        mark = identity(event)
        if (before := self._seen.get(mark)) is not None:
            self._aged_out.append({"old": mark, "new": mark + before.to_bytes(8, "big")})
        self._seen[mark] = to_ms(self._now)
        self._last_event += 1
        self._events[self._last_event] = event_row(self._last_event, event, to_ms(self._now), trace)
        key = conversation_key(event.account, event.conversation)
        memory = self._conversations[key][1] if key in self._conversations else EMPTY
        self._conversations[key] = conversation, memory
        self._changed_conversations.add(key)
        return self._last_event

    def remember(self, conversation: Conversation, changed: Mapping[Scope, Memory]) -> None:
        """Note the memories that an event changed."""
        for scope, memory in changed.items():
            if scope == "conversation":
                key = conversation_key(conversation.account, conversation.id)
                self._conversations[key] = conversation, memory
            else:
                key = self._memory_keys(conversation)[scope]
                self._memories[key] = memory
                self._changed_memories.add(key)

    def next_delivery(self) -> int:
        if self._last_delivery is None:
            self._last_delivery = self._connection.scalar(_LAST_DELIVERY) or 0
        self._last_delivery += 1
        return self._last_delivery

    def enqueue(self, delivery: Delivery, *, dead: Reason | None = None, detail: str | None = None) -> None:
        """Note a delivery; with `dead` it is given up from the start, for that reason."""
        self._entries.append(_Entry(delivery=delivery, dead=dead, detail=detail))

    def write(self, claim: Claim) -> tuple[Delivery, ...]:
        """Write everything; gives the deliveries that `claim` now holds."""
        run = self._connection.execute
        if self._aged_out:
            run(_AGE_OUT, self._aged_out)
        if self._events:
            run(_NEW_EVENT, list(self._events.values()))
        if self._changed_conversations:
            rows = [conversation_row(*self._conversations[key]) for key in self._changed_conversations]
            run(_upsert(self._connection.dialect.name, "conversations"), rows)
        if self._changed_memories:
            at = to_ms(self._now)
            documents = [
                {"key": key, "document": dump(self._memories[key]), "changed_at": at} for key in self._changed_memories
            ]
            run(_upsert(self._connection.dialect.name, "memories"), documents)
        return self._write_deliveries(claim) if self._entries else ()

    def _write_deliveries(self, claim: Claim) -> tuple[Delivery, ...]:
        lanes = {entry.delivery.lane for entry in self._entries if entry.dead is None}
        busy = set(self._connection.scalars(_BUSY, {"lanes": list(lanes)}))
        rows: list[dict[str, object]] = []
        claimed: list[Delivery] = []
        for entry in self._entries:
            delivery = entry.delivery
            state: State = "dead" if entry.dead else "queued"
            due_at: int | None = None
            if not entry.dead and delivery.lane not in busy:
                busy.add(delivery.lane)
                due_at = to_ms(self._now)
                if delivery.account not in claim.full:
                    state = "claimed"
                    claimed.append(delivery)
            rows.append(
                {
                    **delivery_row(delivery),
                    "state": state,
                    "due_at": due_at,
                    "lease_until": to_ms(claim.until) if state == "claimed" else None,
                    "worker": claim.worker if state == "claimed" else None,
                    "reason": entry.dead,
                    "detail": entry.detail,
                    "finished_at": to_ms(self._now) if entry.dead else None,
                }
            )
        self._connection.execute(_NEW_DELIVERY, rows)
        return tuple(claimed)

    def _memory_keys(self, conversation: Conversation) -> dict[Scope, str]:
        contact = conversation.contact
        who = contact.id or contact.email or contact.phone or f"conversation:{conversation.id}"
        account = conversation.account
        return {"contact": f"contact/{account}/{who}", "account": f"account/{account}", "rule": "rule"}


def _pairs(connection: Connection, statement: Any, **names: Collection[Any]) -> dict[Any, Any]:
    rows = connection.execute(statement, {name: list(values) for name, values in names.items()})
    return {key: value for key, value in rows}  # noqa: C416 - a row is a tuple to us, not to the type checker


_KEYS: Mapping[str, Sequence[str]] = {
    "conversations": (
        "contact",
        "address",
        "messages",
        "last_at",
        "agent_at",
        "assigned",
        "ended",
        "waiting",
        "memory",
    ),
    "memories": ("document", "changed_at"),
}


def _make_upsert(dialect: str, name: str) -> Any:
    new: Any = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(
        {"conversations": conversations, "memories": memories}[name]
    )
    return new.on_conflict_do_update(index_elements=["key"], set_={c: new.excluded[c] for c in _KEYS[name]})


_UPSERTS = {(dialect, name): _make_upsert(dialect, name) for dialect in ("sqlite", "postgresql") for name in _KEYS}


def _upsert(dialect: str, name: str) -> Any:
    return _UPSERTS[dialect, name]
