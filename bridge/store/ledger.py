"""The ledger: a page that is read from the store, in a few queries, and written to it, one statement a table."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, bindparam, func, insert, select, text, update
from sqlalchemy.dialects import sqlite

from bridge.clock import to_ms
from bridge.model.conversation import Timer, known
from bridge.model.delivery import Delivery, State, Urgency
from bridge.model.event import Event
from bridge.store.outgoing import ours
from bridge.store.page import Page, memory_keys
from bridge.store.prepared import Prepared, among, as_list
from bridge.store.rows import (
    conversation_from,
    conversation_key,
    conversation_row,
    delivery_row,
    dump,
    event_from,
    event_row,
    identity,
    memory_from,
)
from bridge.store.runs import ask
from bridge.store.tables import TIMED, UNFINISHED, aliases, conversations, deliveries, events, memories

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
_EVENTS = select(events.c.id, events.c.body).where(events.c.id.in_(bindparam("numbers", expanding=True)))
_DUE = (
    select(conversations.c.key)
    .where(text(TIMED), conversations.c.wake_at <= bindparam("now"))
    .order_by(conversations.c.wake_at)
    .limit(bindparam("most"))
)
# The identity belongs to the newest event that has it: an older one, past its time, gives it up.
_AGE_OUT = update(events).where(events.c.identity == bindparam("old")).values(identity=bindparam("new"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Who takes what is free to go at once: the worker's name, until when, and for what it has no room: the accounts
    that have enough deliveries of an urgency."""

    worker: str
    until: datetime
    full: Collection[tuple[str, Urgency]] = ()


class Ledger(Page):
    """Has what `coming` events touch, and the conversations of `keys` with the events that their timers are about."""

    def __init__(
        self, connection: Connection, coming: Sequence[Event], now: datetime, *, keys: Collection[str] = ()
    ) -> None:
        super().__init__(now)
        self._connection = connection
        marks = as_list({identity(event) for event in coming})
        self._seen = dict(_REPEATS.fetch(connection, identities=marks))
        wanted = {conversation_key(event.account, event.conversation) for event in coming}.union(keys)
        found = _CONVERSATIONS.fetch(connection, keys=as_list(wanted))
        self._conversations = {key: conversation_from(document) for key, document in found}
        remembered = _MEMORIES.fetch(connection, keys=as_list(self._memory_keys(coming, keys)))
        self._memories = {key: memory_from(document) for key, document in remembered}
        referred = [(event.account, event.reference) for event in coming if event.reference is not None]
        self._ours = ours(connection, referred) if referred else set()
        self._last_event = _LAST_EVENT.fetch(connection)[0][0] or 0
        self._counts_deliveries = False
        waiting = [conversation for key in keys if (conversation := self.conversation(key)) is not None]
        self._earlier = self._events_of(timer for conversation in waiting for timer in conversation.due(self.at))

    def _memory_keys(self, coming: Iterable[Event], keys: Iterable[str]) -> set[str]:
        """Where what is remembered of the contacts is: with what is known of them and what the events tell."""
        wanted: set[str] = set()
        for event in coming:
            before = self._conversations.get(conversation_key(event.account, event.conversation))
            contact = event.contact if before is None else known(before[0].contact, event.contact)
            wanted.update(memory_keys(event.account, event.conversation, contact).values())
        for key in keys:
            if (conversation := self.conversation(key)) is None:
                continue
            wanted.update(memory_keys(conversation.account, conversation.id, conversation.contact).values())
        return wanted

    def _events_of(self, timers: Iterable[Timer]) -> dict[int, Event]:
        numbers = {number for timer in timers for number in timer.events}
        rows = self._connection.execute(_EVENTS, {"numbers": sorted(numbers)}).all() if numbers else ()
        return {row.id: event_from(row.body) for row in rows}

    def event(self, number: int) -> Event | None:
        return self._earlier.get(number) or super().event(number)

    def next_delivery(self) -> int:
        if not self._counts_deliveries:
            self._last_delivery = _LAST_DELIVERY.fetch(self._connection)[0][0] or 0
            self._counts_deliveries = True
        return super().next_delivery()

    def write(self, claim: Claim) -> tuple[Delivery, ...]:
        """Write everything; gives the deliveries that `claim` now holds."""
        if self._aged_out:
            self._connection.execute(_AGE_OUT, self._aged_out)
        if self.recorded:
            rows = [event_row(one.number, one.mark, one.event, self.at, one.trace) for one in self.recorded]
            _NEW_EVENT.run(self._connection, rows)
        if self._changed_conversations:
            rows = [conversation_row(key, *self._conversations[key]) for key in self._changed_conversations]
            _KEEP_CONVERSATION.run(self._connection, rows)
        if self._changed_memories:
            rows = [
                {"key": key, "document": dump(self._memories[key]), "changed_at": self.at}
                for key in self._changed_memories
            ]
            _KEEP_MEMORY.run(self._connection, rows)
        if self._also_known:
            _ALSO_KNOWN.run(self._connection, [{"name": name, "key": key} for name, key in self._also_known])
        if self.asked:
            ask(self._connection, self.asked)
        return self._write_deliveries(claim) if self.entries else ()

    def _write_deliveries(self, claim: Claim) -> tuple[Delivery, ...]:
        lanes = {entry.delivery.lane for entry in self.entries if entry.state == "queued"}
        busy = {lane for (lane,) in _BUSY.fetch(self._connection, lanes=as_list(lanes))}
        rows: list[dict[str, object]] = []
        claimed: list[Delivery] = []
        until = to_ms(claim.until)
        for entry in self.entries:
            delivery = entry.delivery
            state: State = entry.state
            wake_at: int | None = None
            if state == "queued" and delivery.lane not in busy:
                busy.add(delivery.lane)
                if (delivery.account, delivery.urgency) in claim.full:
                    wake_at = self.at
                else:
                    state, wake_at = "claimed", until
                    claimed.append(delivery)
            rows.append(
                {
                    **delivery_row(delivery),
                    "state": state,
                    "wake_at": wake_at,
                    "worker": claim.worker if state == "claimed" else None,
                    "reason": entry.reason,
                    "detail": entry.detail,
                    "finished_at": None if entry.state == "queued" else self.at,
                    "reference": None,
                }
            )
        _NEW_DELIVERY.run(self._connection, rows)
        return tuple(claimed)


def due_conversations(connection: Connection, now: datetime, most: int) -> list[str]:
    """The keys of the conversations with a timer that is due, the earliest first; at most `most`."""
    return list(connection.scalars(_DUE, {"now": to_ms(now), "most": most}))


def _upsert(table: Table) -> Prepared:
    new = sqlite.insert(table)
    names = [column.name for column in table.c]
    changing = {name: new.excluded[name] for name in names if name not in ("key", "account")}
    return Prepared(new.on_conflict_do_update(index_elements=["key"], set_=changing), names)


_ALSO_KNOWN = Prepared(sqlite.insert(aliases).on_conflict_do_nothing(), ["name", "key"])
_KEEP_CONVERSATION = _upsert(conversations)
_KEEP_MEMORY = _upsert(memories)
