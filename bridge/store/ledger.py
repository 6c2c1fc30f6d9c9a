"""The ledger: the page on which the events of one transaction, and all that follows from them, are written.

It reads what its events touch in a few queries, is changed in memory while they are looked at in order, and
writes everything at the end, one statement a table.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, Table, bindparam, func, insert, select, text, update
from sqlalchemy.dialects import sqlite

from bridge.clock import to_ms
from bridge.model.conversation import EMPTY, Conversation, Memory, Scope, begin, known
from bridge.model.delivery import Delivery, Reason, State
from bridge.model.event import Contact, Event
from bridge.model.facts import Facts
from bridge.store.prepared import Prepared, among, as_list
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
from bridge.store.tables import UNFINISHED, conversations, deliveries, events, memories

_REPEATS = Prepared(select(events.c.identity, events.c.received_at).where(among(events.c.identity, "identities")))
_CONVERSATIONS = Prepared(
    select(conversations.c.key, conversations.c.document).where(among(conversations.c.key, "keys"))
)
_MEMORIES = Prepared(select(memories.c.key, memories.c.document).where(among(memories.c.key, "keys")))
_BUSY = Prepared(select(deliveries.c.lane).where(among(deliveries.c.lane, "lanes"), text(UNFINISHED)))
_LAST_EVENT = Prepared(select(func.max(events.c.id)))
_LAST_DELIVERY = Prepared(select(func.max(deliveries.c.id)))
_NEW_EVENT = Prepared(insert(events), [column.name for column in events.c])
_NEW_DELIVERY = Prepared(insert(deliveries), [column.name for column in deliveries.c])
# The identity belongs to the newest event that has it: an older one, past its time, gives it up.
_AGE_OUT = update(events).where(events.c.identity == bindparam("old")).values(identity=bindparam("new"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Who takes what is free to go at once: the worker's name, until when, and the accounts it has room for."""

    worker: str
    until: datetime
    full: Collection[str] = ()


class _Entry(Struct, frozen=True, kw_only=True):
    delivery: Delivery
    dead: Reason | None = None
    detail: str | None = None


class Ledger:
    def __init__(self, connection: Connection, events_to_come: Iterable[Event], now: datetime) -> None:
        self._connection = connection
        self._now, self._at = now, to_ms(now)
        coming = list(events_to_come)
        self._identities = {id(event): identity(event) for event in coming}
        self._seen: dict[str, int] = dict(_REPEATS.fetch(connection, identities=as_list(self._identities.values())))
        keys = {conversation_key(event.account, event.conversation) for event in coming}
        found = _CONVERSATIONS.fetch(connection, keys=as_list(keys))
        self._conversations = {key: conversation_from(document) for key, document in found}
        wanted = {key for event in coming for key in self._keys_of(event).values()}
        remembered = _MEMORIES.fetch(connection, keys=as_list(wanted))
        self._memories = {key: memory_from(document) for key, document in remembered}
        self._changed_conversations: set[str] = set()
        self._changed_memories: set[str] = set()
        self._aged_out: list[dict[str, str]] = []
        self._events: list[dict[str, object]] = []
        self._entries: list[_Entry] = []
        self._last_event = _LAST_EVENT.fetch(connection)[0][0] or 0
        self._last_delivery: int | None = None

    def is_repeat(self, event: Event) -> bool:
        """Whether the event was recorded before: ever, or within its `repeat_within`."""
        before = self._seen.get(self._identities[id(event)])
        if before is None:
            return False
        return event.repeat_within is None or self._at - before < event.repeat_within.total_seconds() * 1000

    def facts(self, event: Event) -> Facts:
        """The event with its conversation (the event counted in) and what is remembered."""
        known = self._conversations.get(conversation_key(event.account, event.conversation))
        conversation = (begin(event) if known is None else known[0]).after(event)
        memories: dict[Scope, Memory] = {
            scope: self._memories.get(key, EMPTY)
            for scope, key in _memory_keys(event.account, event.conversation, conversation.contact).items()
        }
        memories["conversation"] = EMPTY if known is None else known[1]
        return Facts(event=event, conversation=conversation, now=self._now, memories=memories)

    def record(self, event: Event, conversation: Conversation, trace: object) -> int:
        """Note the event and its conversation as it now stands; gives the event's number."""
        mark = self._identities[id(event)]
        if (before := self._seen.get(mark)) is not None:
            self._aged_out.append({"old": mark, "new": f"{mark}@{before}"})
        self._seen[mark] = self._at
        self._last_event += 1
        self._events.append(event_row(self._last_event, mark, event, self._at, trace))
        key = conversation_key(event.account, event.conversation)
        known = self._conversations.get(key)
        self._conversations[key] = conversation, EMPTY if known is None else known[1]
        self._changed_conversations.add(key)
        return self._last_event

    def remember(self, conversation: Conversation, changed: Mapping[Scope, Memory]) -> None:
        """Note the memories that an event changed."""
        for scope, memory in changed.items():
            if scope == "conversation":
                key = conversation_key(conversation.account, conversation.id)
                self._conversations[key] = conversation, memory
            else:
                key = _memory_keys(conversation.account, conversation.id, conversation.contact)[scope]
                self._memories[key] = memory
                self._changed_memories.add(key)

    def next_delivery(self) -> int:
        if self._last_delivery is None:
            self._last_delivery = _LAST_DELIVERY.fetch(self._connection)[0][0] or 0
        self._last_delivery += 1
        return self._last_delivery

    def enqueue(self, delivery: Delivery, *, dead: Reason | None = None, detail: str | None = None) -> None:
        """Note a delivery; with `dead` it is given up from the start, for that reason."""
        self._entries.append(_Entry(delivery=delivery, dead=dead, detail=detail))

    def write(self, claim: Claim) -> tuple[Delivery, ...]:
        """Write everything; gives the deliveries that `claim` now holds."""
        if self._aged_out:
            self._connection.execute(_AGE_OUT, self._aged_out)
        if self._events:
            _NEW_EVENT.run(self._connection, self._events)
        if self._changed_conversations:
            rows = [conversation_row(key, *self._conversations[key]) for key in self._changed_conversations]
            _KEEP_CONVERSATION.run(self._connection, rows)
        if self._changed_memories:
            documents = [
                {"key": key, "document": dump(self._memories[key]), "changed_at": self._at}
                for key in self._changed_memories
            ]
            _KEEP_MEMORY.run(self._connection, documents)
        return self._write_deliveries(claim) if self._entries else ()

    def _write_deliveries(self, claim: Claim) -> tuple[Delivery, ...]:
        lanes = {entry.delivery.lane for entry in self._entries if entry.dead is None}
        busy = {lane for (lane,) in _BUSY.fetch(self._connection, lanes=as_list(lanes))}
        rows: list[dict[str, object]] = []
        claimed: list[Delivery] = []
        until = to_ms(claim.until)
        for entry in self._entries:
            delivery = entry.delivery
            state: State = "dead" if entry.dead else "queued"
            wake_at: int | None = None
            if not entry.dead and delivery.lane not in busy:
                busy.add(delivery.lane)
                if delivery.account in claim.full:
                    wake_at = self._at
                else:
                    state, wake_at = "claimed", until
                    claimed.append(delivery)
            rows.append(
                {
                    **delivery_row(delivery),
                    "state": state,
                    "wake_at": wake_at,
                    "worker": claim.worker if state == "claimed" else None,
                    "reason": entry.dead,
                    "detail": entry.detail,
                    "finished_at": self._at if entry.dead else None,
                }
            )
        _NEW_DELIVERY.run(self._connection, rows)
        return tuple(claimed)

    def _keys_of(self, event: Event) -> Mapping[Scope, str]:
        known_as = self._conversations.get(conversation_key(event.account, event.conversation))
        contact = event.contact if known_as is None else known(known_as[0].contact, event.contact)
        return _memory_keys(event.account, event.conversation, contact)


def _memory_keys(account: str, conversation: str, contact: Contact) -> Mapping[Scope, str]:
    who = contact.id or contact.email or contact.phone or f"conversation:{conversation}"
    return {"contact": f"contact/{account}/{who}", "account": f"account/{account}", "rule": "rule"}


def _upsert(table: Table) -> Prepared:
    new = sqlite.insert(table)
    names = [column.name for column in table.c]
    changing = {name: new.excluded[name] for name in names if name not in ("key", "account")}
    return Prepared(new.on_conflict_do_update(index_elements=["key"], set_=changing), names)


_KEEP_CONVERSATION = _upsert(conversations)
_KEEP_MEMORY = _upsert(memories)
