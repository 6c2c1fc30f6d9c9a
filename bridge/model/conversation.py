"""What the bridge knows of a conversation and its contact at the moment an event is looked at."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from bridge.model.event import NOBODY, Address, Contact, Event

MOST_TIMERS = 100
"""Timers that one conversation may have at a time."""
MOST_EXTRA = 100
"""Further facts that are kept of a contact, the latest: a page that tells other ones with each message would else have
the conversation grow without end, and it is read and written whole with every event."""
HUMAN_ACTIVE_FOR = timedelta(minutes=15)
"""A human counts as active in a conversation this long after an agent wrote."""

Scope = Literal["conversation", "contact", "account", "rule"]


class Memory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One memory document: the facts that rules remembered, and when each limited rule fired (ms since 1970).

    `said` is what was lately answered in a conversation: when, and a digest of the text. `only_in` is the conversation
    in which all that is remembered of a contact came about; None where there are several, or nobody knows.
    """

    facts: Mapping[str, object] = {}
    fired: Mapping[str, tuple[int, ...]] = {}
    said: tuple[tuple[int, str], ...] = ()
    only_in: str | None = None

    def remember(self, facts: Mapping[str, object]) -> "Memory":
        return replace(self, facts={**self.facts, **facts})

    def forget(self, names: tuple[str, ...]) -> "Memory":
        return replace(self, facts={k: v for k, v in self.facts.items() if k not in names})

    def count(self, rule: str, at: int, keep: int) -> "Memory":
        """Note that `rule` fired at `at`; only the last `keep` times are kept."""
        times = (*self.fired.get(rule, ()), at)[-keep:]
        return replace(self, fired={**self.fired, rule: times})

    def note_said(self, digest: str, at: int, since: int, keep: int) -> "Memory":
        """Note that a text was answered at `at`. Of those before, what came after `since` is kept, `keep` at most."""
        lately = [one for one in self.said if one[0] > since]
        return replace(self, said=(*lately, (at, digest))[-keep:])

    def joined(self, other: "Memory") -> "Memory":
        """This, and what was remembered of the same person elsewhere; where both say something, this counts.

        Joined to it once more, the same memory changes nothing.
        """
        fired = {
            rule: tuple(sorted({*self.fired.get(rule, ()), *other.fired.get(rule, ())}))
            for rule in {**other.fired, **self.fired}
        }
        return Memory(facts={**other.facts, **self.facts}, fired=fired, said=tuple(sorted({*other.said, *self.said})))


EMPTY = Memory()

BURST = ""
"""The rule of a timer that waits until the contact is quiet; it is for all rules that answer bursts."""
LONGEST_BURST = timedelta(seconds=10)


class Timer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A durable wait in a conversation, until `due` (ms since 1970); `since` is when it began.

    It belongs to the action of a rule (`action` is its path) and to the recorded events of the numbers `events`.
    What happens in `unless` cancels it. `groups` are those of the match. `quiet` (ms) is how long a contact has to be
    quiet for their burst of messages to be over.
    """

    rule: str
    action: str
    due: int
    since: int
    events: tuple[int, ...]
    unless: tuple[str, ...] = ()
    groups: Mapping[str, str] = {}
    quiet: int = 0

    def extended(self, at: int) -> "Timer":
        """The same burst, with something more said or typed at `at`."""
        latest = self.since + round(LONGEST_BURST.total_seconds() * 1000)
        return replace(self, due=max(self.due, min(at + self.quiet, latest)))


class Conversation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A conversation, the event that is being looked at included.

    `messages` counts what the contact wrote; `idle` is the time between this event and the one before it.
    """

    account: str
    id: str
    contact: Contact = NOBODY
    address: Address = {}
    messages: int = 0
    opened_at: datetime
    last_at: datetime
    idle: timedelta = timedelta(0)
    agent_at: datetime | None = None
    assigned: str | None = None
    ended: bool = False
    waiting: bool = False
    timers: tuple[Timer, ...] = ()

    @property
    def age(self) -> timedelta:
        return self.last_at - self.opened_at

    @property
    def human_active(self) -> bool:
        return self.agent_at is not None and self.last_at - self.agent_at < HUMAN_ACTIVE_FOR

    def after(self, event: Event) -> "Conversation":
        """The same conversation once `event` has happened in it. Events may arrive late; time never runs back."""
        now = max(event.at, self.last_at)
        from_contact = event.sender == "contact"
        wrote = event.kind in ("message", "attachment")
        # Written out, because `replace` takes several times as long and this is done for every event.
        return Conversation(
            account=self.account,
            id=self.id,
            contact=known(self.contact, event.contact),
            address=event.address or self.address,
            messages=self.messages + (from_contact and event.kind == "message"),
            opened_at=self.opened_at,
            last_at=now,
            idle=now - self.last_at,
            agent_at=now if wrote and event.sender == "agent" else self.agent_at,
            assigned=self.assigned,
            ended=event.kind == "ended" or (self.ended and not wrote),
            waiting=event.kind != "ended" and (from_contact if wrote else self.waiting),
            timers=self.timers,
        )

    def heard(self, event: Event, at: int) -> "Conversation":
        """The same with the timers that go on when `event` has come in at `at` (ms)."""
        if not self.timers:
            return self
        happened = happening(event)
        kept = [timer for timer in self.timers if happened not in timer.unless]
        if event.kind == "typing" and event.sender == "contact" and event.state != "stopped":
            kept = [timer.extended(at) if timer.rule == BURST else timer for timer in kept]
        return replace(self, timers=tuple(kept))

    def arm(self, *timers: Timer) -> "Conversation":
        """The same with more timers; one for the same action of a rule and the same event takes the other's place."""
        new = {(timer.rule, timer.action, timer.events[:1]) for timer in timers}
        kept = [timer for timer in self.timers if (timer.rule, timer.action, timer.events[:1]) not in new]
        return replace(self, timers=(*kept, *timers))

    def due(self, at: int) -> tuple[Timer, ...]:
        """The timers that are due at `at` (ms), the earliest first."""
        return tuple(sorted((timer for timer in self.timers if timer.due <= at), key=lambda timer: timer.due))

    def seen_at(self, now: datetime) -> "Conversation":
        """The conversation as it stands at a moment at which nothing happened in it but time went on."""
        later = max(now, self.last_at)
        return replace(self, last_at=later, idle=later - self.last_at)


def happening(event: Event) -> str:
    """What an event is in the words of `unless`; "" where it is none of them."""
    if event.kind == "message":
        return f"{event.sender}_message"
    by_anyone = event.kind in ("ended", "assigned", "rated")
    return event.kind if by_anyone or event.sender == "contact" else ""


def begin(event: Event) -> Conversation:
    """The conversation that `event` opens, before the event is counted in it."""
    return Conversation(account=event.account, id=event.conversation, opened_at=event.at, last_at=event.at)


def known(old: Contact, new: Contact) -> Contact:
    """What is known of a contact: the new where it says something, else the old; `old` itself where nothing is new."""
    if new is NOBODY or new == old:
        return old
    both = Contact(
        id=new.id or old.id,
        name=new.name or old.name,
        email=new.email or old.email,
        phone=new.phone or old.phone,
        language=new.language or old.language,
        extra=_latest(old.extra, new.extra),
    )
    return old if both == old else both


def _latest(old: Mapping[str, object], new: Mapping[str, object]) -> Mapping[str, object]:
    if not new:
        return old
    both = {**{name: value for name, value in old.items() if name not in new}, **new}
    return dict(list(both.items())[-MOST_EXTRA:])
