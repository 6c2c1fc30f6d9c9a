"""A page: what the events of one transaction touch and what follows from them, in memory.

It is changed while events are looked at in order. A `Ledger` is a page that is read from the store and written to it;
the lab's page is never written.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import datetime
from itertools import count
from operator import attrgetter
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from bridge.clock import to_ms
from bridge.model.broadcast import Asked
from bridge.model.conversation import EMPTY, Conversation, Memory, Scope, Timer, begin
from bridge.model.delivery import Delivery, Reason, State
from bridge.model.event import NOBODY, Contact, Event
from bridge.model.facts import Facts
from bridge.store.rows import conversation_key, identity


class Entry(Struct, frozen=True, kw_only=True):
    """A new delivery. One that begins as dead or cancelled says why."""

    delivery: Delivery
    state: State = "queued"
    reason: Reason | None = None
    detail: str | None = None


class Recorded(Struct, frozen=True, kw_only=True):
    """A new event with its number, its identity and the trace of what the rules made of it."""

    number: int
    mark: str
    event: Event
    trace: object


class Page:
    """Empty at first. `now` (UTC) is the moment at which its events are looked at."""

    def __init__(self, now: datetime) -> None:
        self.recorded: list[Recorded] = []
        self.entries: list[Entry] = []
        self.asked: list[Asked] = []
        self._seen: dict[str, int] = {}
        self._ours: set[tuple[str, str]] = set()
        self._conversations: MutableMapping[str, tuple[Conversation, Memory]] = {}
        self._memories: dict[str, Memory] = {}
        self._changed_conversations: set[str] = set()
        self._changed_memories: set[str] = set()
        self._gone_memories: set[str] = set()
        self._also_known: set[tuple[str, str]] = set()
        self._aged_out: list[dict[str, str]] = []
        self._event_numbers: Iterator[int] = count(1)
        self._delivery_numbers: Iterator[int] = count(1)
        self._upcoming: int | None = None
        self.turn_to(now)

    def turn_to(self, now: datetime) -> None:
        """Go on at another moment."""
        self.now, self.at = now, to_ms(now)

    def is_repeat(self, event: Event) -> bool:
        """Whether the event was recorded before: ever, or within its `repeat_within`."""
        before = self._seen.get(identity(event))
        if before is None:
            return False
        return event.repeat_within is None or self.at - before < event.repeat_within.total_seconds() * 1000

    def is_ours(self, event: Event) -> bool:
        """Whether it tells of a message that we have sent."""
        return event.reference is not None and (event.account, event.reference) in self._ours

    def note_ours(self, account: str, reference: str) -> None:
        """Note the platform's id of a message that we have sent."""
        self._ours.add((account, reference))

    def conversation(self, key: str) -> Conversation | None:
        """The conversation of a key, as it stands."""
        known = self._conversations.get(key)
        return None if known is None else known[0]

    def event(self, number: int) -> Event | None:
        """A recorded event that a timer is about; None where it is kept no more."""
        place = bisect_left(self.recorded, number, key=_number)
        found = self.recorded[place] if place < len(self.recorded) else None
        return found.event if found is not None and found.number == number else None

    def facts(self, event: Event) -> Facts:
        """The event with its conversation (the event counted in) and what is remembered."""
        known = self._conversations.get(conversation_key(event.account, event.conversation))
        before = begin(event) if known is None else known[0]
        facts = self._facts(event, before.after(event).heard(event, self.at), EMPTY if known is None else known[1])
        # Of nearly everybody an event tells nothing new; then the contact is the same object.
        if before.contact is facts.contact or (moved := self._moved(before.contact, facts.conversation)) is None:
            return facts
        return replace(facts, memories={**facts.memories, "contact": moved[2]})

    def facts_later(self, event: Event, key: str) -> Facts:
        """An event of before with its conversation and what is remembered as they stand now."""
        conversation, memory = self._conversations[key]
        return self._facts(event, conversation.seen_at(self.now), memory)

    def _facts(self, event: Event, conversation: Conversation, memory: Memory) -> Facts:
        memories: dict[Scope, Memory] = {"contact": EMPTY, "account": EMPTY, "rule": EMPTY, "conversation": memory}
        if self._memories:
            find = self._memories.get
            memories["contact"] = find(contact_key(event.account, conversation.id, conversation.contact), EMPTY)
            memories["account"] = find(account_key(event.account), EMPTY)
            memories["rule"] = find(RULE_KEY, EMPTY)
        return Facts(event=event, conversation=conversation, now=self.now, memories=memories)

    def next_event(self) -> int:
        """The number of the event that is recorded next."""
        if self._upcoming is None:
            self._upcoming = next(self._event_numbers)
        return self._upcoming

    def record(self, event: Event, trace: object) -> int:
        """Note the event; gives its number."""
        mark = identity(event)
        if (before := self._seen.get(mark)) is not None:
            self._aged_out.append({"old": mark, "new": f"{mark}@{before}"})
        self._seen[mark] = self.at
        number, self._upcoming = self.next_event(), None
        self.recorded.append(Recorded(number=number, mark=mark, event=event, trace=trace))
        return number

    def keep(self, conversation: Conversation) -> None:
        """Note how a conversation now stands. What is remembered of its contact follows them to their new names."""
        key = conversation_key(conversation.account, conversation.id)
        known = self._conversations.get(key)
        self._conversations[key] = conversation, EMPTY if known is None else known[1]
        self._changed_conversations.add(key)
        before = NOBODY if known is None else known[0].contact
        if before is not conversation.contact and before != conversation.contact:
            self._follow(before, conversation)

    def _follow(self, before: Contact, conversation: Conversation) -> None:
        if (moved := self._moved(before, conversation)) is not None:
            old, new, memory = moved
            if not (before.email or before.phone) or self._memories[old].only_in == conversation.id:
                del self._memories[old]
                self._gone_memories.add(old)
                self._changed_memories.discard(old)
            self._keep_memory(new, memory)
        key = contact_key(conversation.account, conversation.id, conversation.contact)
        if key in self._memories:
            self._also_known.update((name, key) for name in aliases_of(conversation.contact))

    def _moved(self, before: Contact, conversation: Conversation) -> tuple[str, str, Memory] | None:
        """From where and to where what is remembered goes now that more is known of a contact, with what is there
        already; None where it stays.

        An address that others have used too (who share a telephone, or give somebody else's) may still be theirs, so
        there it stays as well.
        """
        old = contact_key(conversation.account, conversation.id, before)
        if old not in self._memories or not _is_more_of(before, conversation.contact):
            return None
        new = contact_key(conversation.account, conversation.id, conversation.contact)
        if old == new:
            return None
        there, memory = self._memories.get(new), self._memories[old]
        return old, new, memory if there is None else there.joined(memory)

    def _keep_memory(self, key: str, memory: Memory) -> None:
        self._memories[key] = memory
        self._changed_memories.add(key)
        self._gone_memories.discard(key)

    def remember(self, conversation: Conversation, changed: Mapping[Scope, Memory]) -> None:
        """Note the memories that were changed about a conversation that is kept."""
        for scope, memory in changed.items():
            if scope == "conversation":
                key = conversation_key(conversation.account, conversation.id)
                self._conversations[key] = self._conversations[key][0], memory
                self._changed_conversations.add(key)
            else:
                key = memory_key(scope, conversation)
                if scope == "contact":
                    before = self._memories.get(key)
                    is_only = before is None or before.only_in == conversation.id
                    memory = replace(memory, only_in=conversation.id if is_only else None)
                    self._also_known.update((name, key) for name in aliases_of(conversation.contact))
                self._keep_memory(key, memory)

    def learn(self, key: str, facts: Mapping[str, object], then: Timer | None) -> None:
        """Note what an operation found out for a conversation, and what comes after it."""
        conversation, memory = self._conversations[key]
        self._conversations[key] = conversation if then is None else conversation.arm(then), memory.remember(facts)
        self._changed_conversations.add(key)

    def take_due(self, key: str) -> tuple[Timer, ...]:
        """The timers of a conversation that are due now; they are its timers no more."""
        if key not in self._conversations:
            return ()
        conversation, memory = self._conversations[key]
        due = conversation.due(self.at)
        rest = tuple(timer for timer in conversation.timers if timer not in due)
        self._conversations[key] = replace(conversation, timers=rest), memory
        self._changed_conversations.add(key)
        return due

    def next_delivery(self) -> int:
        """The number of the delivery that is noted next."""
        return next(self._delivery_numbers)

    def enqueue(self, entry: Entry) -> None:
        """Note a delivery."""
        self.entries.append(entry)


_number = attrgetter("number")


RULE_KEY = "rule"
"""Where the memory that rules of all accounts share is kept."""


def contact_key(account: str, conversation: str, contact: Contact) -> str:
    """Where what is remembered of a contact is kept."""
    return f"contact/{account}/{contact.id or contact.email or contact.phone or f'conversation:{conversation}'}"


def account_key(account: str) -> str:
    """Where what is remembered for a whole account is kept."""
    return f"account/{account}"


def memory_key(scope: Scope, conversation: Conversation) -> str:
    """Where a memory beside the conversation's own is kept."""
    if scope == "contact":
        return contact_key(conversation.account, conversation.id, conversation.contact)
    return account_key(conversation.account) if scope == "account" else RULE_KEY


def _is_more_of(before: Contact, after: Contact) -> bool:
    """Whether a contact is surely who they were before: whoever has another id or another address may be another."""
    own = before.email or before.phone
    return not before.id and (not own or own in (after.email, after.phone))


Kind = Literal["email", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def alias(kind: Kind, value: str) -> str:
    """The name under which a contact's memory is found by whoever knows no id of theirs.

    The letters of an e-mail address have no case; of a telephone number only the digits count, in whatever script.
    """
    digits = "".join(str(int(c)) for c in value if c.isdecimal()).removeprefix("00")
    return f"{kind}:{digits if kind == 'phone' and digits else value.strip().casefold()}"


def aliases_of(contact: Contact) -> Iterator[str]:
    """The names under which the memory of a contact is found besides its key."""
    if contact.email:
        yield alias("email", contact.email)
    if contact.phone:
        yield alias("phone", contact.phone)
