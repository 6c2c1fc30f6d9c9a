"""A page on which a long record is rehearsed: of what is over it keeps little."""

from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from datetime import datetime

from bridge.model.conversation import Conversation, Memory
from bridge.model.event import Event
from bridge.store.page import Entry, Page
from bridge.store.rows import conversation_from, conversation_key, dump

Known = tuple[Conversation, Memory]

_LIVELY = 2_000
"""Conversations that are kept as values; the others are kept as their rows would be, in a third of the space."""


class Conversations(MutableMapping[str, Known]):
    """All conversations, by their keys: those in which something happened lately as values, the others written down."""

    def __init__(self, lively: int = _LIVELY) -> None:
        self._most = lively
        self._lively: OrderedDict[str, Known] = OrderedDict()
        self._written: dict[str, str] = {}

    def __getitem__(self, key: str) -> Known:
        known = self._lively.get(key)
        return conversation_from(self._written[key]) if known is None else known

    def __setitem__(self, key: str, known: Known) -> None:
        self._lively[key] = known
        self._lively.move_to_end(key)
        self._written.pop(key, None)
        if len(self._lively) > self._most:
            oldest, value = self._lively.popitem(last=False)
            self._written[oldest] = dump(value)

    def __delitem__(self, key: str) -> None:
        if self._lively.pop(key, None) is None:
            del self._written[key]

    def __contains__(self, key: object) -> bool:
        return key in self._lively or key in self._written

    def __iter__(self) -> Iterator[str]:
        yield from self._lively
        yield from self._written

    def __len__(self) -> int:
        return len(self._lively) + len(self._written)


class Recollection(Page):
    """What comes was recorded before: so nothing is a repeat, and an echo of our own is known as a bot's.

    Each event is announced by its number (`expect`), so that timers are known by the same numbers as in the record. An
    event is kept for as long as a timer is about it; deliveries are not kept.
    """

    def __init__(self, now: datetime) -> None:
        self._number = 0
        self._events: dict[int, Event] = {}
        self._numbers: dict[str, tuple[int, ...]] = {}
        super().__init__(now)
        self._conversations = Conversations()

    def expect(self, number: int) -> None:
        """The event that is looked at next has this number."""
        self._number = number

    def turn_to(self, now: datetime) -> None:
        for key in self._changed_conversations:
            self._let_go(key)
        self._changed_conversations.clear()
        self._changed_memories.clear()
        super().turn_to(now)

    def is_repeat(self, event: Event) -> bool:
        return False

    def event(self, number: int) -> Event | None:
        return self._events.get(number)

    def next_event(self) -> int:
        return self._number

    def record(self, event: Event, trace: object) -> int:
        """Timers of the rehearsal have no number: those of the record are other events."""
        if event.kind == "timer":
            return 0
        key = conversation_key(event.account, event.conversation)
        self._events[self._number] = event
        self._numbers[key] = (*self._numbers.get(key, ()), self._number)
        return self._number

    def enqueue(self, entry: Entry) -> None:
        pass

    def _let_go(self, key: str) -> None:
        """Let go of the events of a conversation that no timer of it is about."""
        numbers = self._numbers.pop(key, None)
        if numbers is None:
            return
        conversation = self.conversation(key)
        wanted = {n for timer in (conversation.timers if conversation else ()) for n in timer.events}
        if kept := tuple(number for number in numbers if number in wanted):
            self._numbers[key] = kept
        for number in numbers:
            if number not in wanted:
                del self._events[number]
