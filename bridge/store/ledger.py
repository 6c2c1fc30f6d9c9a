"""The ledger: a page that is read from the store, in a few queries, and written to it, one statement a table."""

from collections.abc import Callable, Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, text, update

from bridge.clock import to_ms
from bridge.model.conversation import Conversation, Memory, Timer, known
from bridge.model.delivery import Delivery, State, Urgency
from bridge.model.event import NOBODY, Event
from bridge.store.failures import PassingError
from bridge.store.insert import insert_or_change, insert_unless_there
from bridge.store.locks import lock
from bridge.store.numbers import numbers
from bridge.store.outgoing import ours
from bridge.store.page import RULE_KEY, Page, account_key, contact_key, memory_key
from bridge.store.postgres import is_postgres
from bridge.store.prepared import Prepared, among, as_list, in_one_go
from bridge.store.rows import (
    GOES_ON,
    NEW,
    SELDOM,
    Row,
    conversation_from,
    conversation_key,
    conversation_row,
    dump,
    event_from,
    event_row,
    going_on,
    identity,
    memory_from,
    new_row,
    seldom_row,
)
from bridge.store.runs import ask
from bridge.store.tables import TIMED, UNFINISHED, aliases, conversations, deliveries, events, memories

_REPEATS = Prepared(select(events.c.identity, events.c.received_at).where(among(events.c.identity, "identities")))
_CONVERSATIONS = Prepared(
    select(conversations.c.key, conversations.c.document).where(among(conversations.c.key, "keys"))
)
_MEMORIES = Prepared(select(memories.c.key, memories.c.document).where(among(memories.c.key, "keys")))
_BUSY = Prepared(select(deliveries.c.lane).where(among(deliveries.c.lane, "lanes"), text(UNFINISHED)))
# What all conversations of an account share is locked by its row, so that it serves as the lock and as what it locks.
_SHARED = Prepared(
    select(memories.c.key, memories.c.document)
    .where(among(memories.c.key, "keys"))
    .order_by(memories.c.key)
    .with_for_update()
)
_NEW_EVENT = Prepared(insert(events), [column.name for column in events.c])
# SQLite's driver takes longer over nothing than over something, so what most new deliveries lack is not named.
_NEW_DELIVERY = Prepared(insert(deliveries), NEW)
_NEW_SELDOM = Prepared(insert(deliveries), (*NEW, *SELDOM))
_NOTHING: Row = (None,) * len(SELDOM)
# Most events find their conversation open and leave it so. Then SQLite is not given what indexes go by: it would write
# to them, at places of their own, even where a value is what it was. PostgreSQL sees that by itself; and there the row
# may be cleared away meanwhile, so that it has to be made again.
_GO_ON = Prepared(
    update(conversations)
    .where(conversations.c.key == bindparam("which"))
    .values({name: bindparam(name) for name in GOES_ON[:-1]}),
    GOES_ON,
)
_EVENTS = Prepared(select(events.c.id, events.c.body).where(among(events.c.id, "numbers")))
_DUE = (
    select(conversations.c.key)
    .where(text(TIMED), conversations.c.wake_at <= bindparam("now"))
    .order_by(conversations.c.wake_at)
    .limit(bindparam("most"))
)
_GONE = Prepared(delete(memories).where(among(memories.c.key, "keys")))
# The identity belongs to the newest event that has it: an older one, past its time, gives it up.
_AGE_OUT = Prepared(update(events).where(events.c.identity == bindparam("old")).values(identity=bindparam("new")))


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Who takes what is free to go at once: the worker's name, until when, and for what it has no room: the accounts
    that have enough deliveries of an urgency."""

    worker: str
    until: datetime
    full: Container[tuple[str, Urgency]] = ()


class Ledger(Page):
    """Has what `coming` events touch, and the conversations of `keys` with the events that their timers are about.

    Where several servers share a store, all of it is locked before it is read, until the transaction ends: first the
    conversations, then their contacts, then what whole accounts remember, each in one order for everybody.
    """

    def __init__(
        self, connection: Connection, coming: Sequence[Event], now: datetime, *, keys: Collection[str] = ()
    ) -> None:
        super().__init__(now)
        self._connection = connection
        at_hand = [(conversation_key(event.account, event.conversation), event) for event in coming]
        wanted = {key for key, _ in at_hand}.union(keys)
        with in_one_go(connection):
            lock(connection, "conversation", wanted)
            seen = _REPEATS.ask(connection, identities=as_list({identity(event) for event in coming}))
            found = _CONVERSATIONS.ask(connection, keys=as_list(wanted))
            self._seen = dict(seen())
            self._before = {key: conversation_from(document) for key, document in found()}
            self._conversations = dict(self._before)
            remembered = self._remembered(self._memory_keys(at_hand, keys))
            self._event_numbers = numbers(connection, "events", len(coming) + len(keys))
            self._delivery_numbers = numbers(connection, "deliveries", len(coming) + len(keys))
            self._memories = {key: memory_from(document) for key, document in remembered()}
            referred = [(event.account, event.reference) for event in coming if event.reference is not None]
            self._ours = ours(connection, referred) if referred else set()
        self._stored = frozenset(self._memories)
        waiting = [conversation for key in keys if (conversation := self.conversation(key)) is not None]
        self._earlier = self._events_of(timer for conversation in waiting for timer in conversation.due(self.at))

    def _memory_keys(self, at_hand: Sequence[tuple[str, Event]], keys: Iterable[str]) -> set[str]:
        """Where what is remembered of the contacts is: with what is known of them and what the events tell."""
        accounts = {event.account for _, event in at_hand}
        wanted = {RULE_KEY} if at_hand else set()
        for key, event in at_hand:
            before = self._conversations.get(key)
            earlier = NOBODY if before is None else before[0].contact
            contact = known(earlier, event.contact)
            wanted.add(contact_key(event.account, event.conversation, contact))
            if contact is not earlier:
                # What was remembered before they had these names is to be found under them from now on.
                wanted.add(contact_key(event.account, event.conversation, earlier))
        for key in keys:
            if (conversation := self.conversation(key)) is None:
                continue
            accounts.add(conversation.account)
            wanted.update((RULE_KEY, memory_key("contact", conversation)))
        wanted.update(map(account_key, accounts))
        return wanted

    def _remembered(self, wanted: set[str]) -> Callable[[], Iterable[tuple[str, str]]]:
        """What gives the documents of memories by their keys."""
        if not is_postgres(self._connection):
            return _MEMORIES.ask(self._connection, keys=as_list(wanted))
        contacts = {key for key in wanted if _is_own(key)}
        lock(self._connection, "contact", contacts)
        own = _MEMORIES.ask(self._connection, keys=as_list(contacts))
        shared = _SHARED.ask(self._connection, keys=as_list(wanted - contacts))
        return lambda: [*own(), *shared()]

    def _events_of(self, timers: Iterable[Timer]) -> dict[int, Event]:
        wanted = {number for timer in timers for number in timer.events}
        found = _EVENTS.fetch(self._connection, numbers=as_list(wanted)) if wanted else ()
        return {number: event_from(body) for number, body in found}

    def event(self, number: int) -> Event | None:
        return self._earlier.get(number) or super().event(number)

    def write(self, claim: Claim) -> tuple[Delivery, ...]:
        """Write everything; gives the deliveries that `claim` now holds."""
        if self.asked:
            ask(self._connection, self.asked)
        begun = self._begin_memories()
        with in_one_go(self._connection):
            self._write_events()
            if self._gone_memories:
                _GONE.execute(self._connection, keys=as_list(self._gone_memories))
            self._write_memories(self._changed_memories - begun)
            return self._write_deliveries(claim) if self.entries else ()

    def _write_events(self) -> None:
        if self._aged_out:
            _AGE_OUT.run(self._connection, self._aged_out)
        if self.recorded:
            rows = [event_row(one.number, one.mark, one.event, self.at, one.trace) for one in self.recorded]
            _NEW_EVENT.write(self._connection, rows)
        self._write_conversations()
        if self._also_known:
            _ALSO_KNOWN.run(self._connection, [{"name": name, "key": key} for name, key in self._also_known])

    def _write_conversations(self) -> None:
        alone = not is_postgres(self._connection)
        going: list[Row] = []
        turning: list[Row] = []
        for key in self._changed_conversations:
            conversation, memory = self._conversations[key]
            if alone and _goes_on(self._before.get(key), conversation):
                going.append(going_on(key, conversation, memory))
            else:
                turning.append(conversation_row(key, conversation, memory))
        if going:
            _GO_ON.write(self._connection, going)
        if turning:
            _KEEP_CONVERSATION.write(self._connection, turning)

    def _begin_memories(self) -> set[str]:
        """Write what is remembered for whole accounts for the first time: a row that was not there was not locked.

        Raises PassingError where another server has begun to remember something for the same account meanwhile.
        """
        begun = {key for key in self._changed_memories if key not in self._stored and not _is_own(key)}
        if begun and _BEGIN_MEMORY.write(self._connection, self._memory_rows(begun)) < len(begun):
            raise PassingError("another server has begun to remember something for the same account")
        return begun

    def _write_memories(self, changed: set[str]) -> None:
        if changed:
            _KEEP_MEMORY.write(self._connection, self._memory_rows(changed))

    def _memory_rows(self, keys: set[str]) -> list[Row]:
        return [(key, dump(self._memories[key]), self.at) for key in sorted(keys)]

    def _write_deliveries(self, claim: Claim) -> tuple[Delivery, ...]:
        lanes = {entry.delivery.lane for entry in self.entries if entry.state == "queued"}
        lock(self._connection, "lane", lanes)
        busy = {lane for (lane,) in _BUSY.fetch(self._connection, lanes=as_list(lanes))}
        rows: list[Row] = []
        seldom: list[Row] = []
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
            row = new_row(delivery, state, wake_at, claim.worker if state == "claimed" else None)
            finished_at = None if entry.state == "queued" else self.at
            rest = seldom_row(delivery, entry.reason, entry.detail, finished_at)
            if rest == _NOTHING:
                rows.append(row)
            else:
                seldom.append((*row, *rest))
        if rows:
            _NEW_DELIVERY.write(self._connection, rows)
        if seldom:
            _NEW_SELDOM.write(self._connection, seldom)
        return tuple(claimed)


def due_conversations(connection: Connection, now: datetime, most: int) -> list[str]:
    """The keys of the conversations with a timer that is due, the earliest first; at most `most`."""
    return list(connection.scalars(_DUE, {"now": to_ms(now), "most": most}))


def _goes_on(before: tuple[Conversation, Memory] | None, now: Conversation) -> bool:
    """Whether nothing has changed of a conversation that is kept by which it is found: its end and its timers."""
    return before is not None and before[0].ended == now.ended and before[0].timers == now.timers


def _is_own(key: str) -> bool:
    """Whether a memory is a contact's, so that it is locked by its key; others belong to whole accounts."""
    return key.startswith("contact/")


def _insert(table: Table) -> Prepared:
    """An insert that leaves alone what is there already."""
    names = [column.name for column in table.c]
    return Prepared(insert_unless_there(table), names)


def _upsert(table: Table) -> Prepared:
    names = [column.name for column in table.c]
    changing = [name for name in names if name not in ("key", "account")]
    return Prepared(insert_or_change(table, "key", changing), names)


_ALSO_KNOWN = _insert(aliases)
_BEGIN_MEMORY = _insert(memories)
_KEEP_CONVERSATION = _upsert(conversations)
_KEEP_MEMORY = _upsert(memories)
