"""What the bridge knows of a conversation and its contact at the moment an event is looked at."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from bridge.model.event import NOBODY, Address, Contact, Event

HUMAN_ACTIVE_FOR = timedelta(minutes=15)
"""A human counts as active in a conversation this long after an agent wrote."""

Scope = Literal["conversation", "contact", "account", "rule"]


class Memory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One memory document: the facts that rules remembered, and when each limited rule fired (ms since 1970)."""

    facts: Mapping[str, object] = {}
    fired: Mapping[str, tuple[int, ...]] = {}

    def remember(self, facts: Mapping[str, object]) -> "Memory":
        return replace(self, facts={**self.facts, **facts})

    def forget(self, names: tuple[str, ...]) -> "Memory":
        return replace(self, facts={k: v for k, v in self.facts.items() if k not in names})

    def count(self, rule: str, at: int, keep: int) -> "Memory":
        """Note that `rule` fired at `at`; only the last `keep` times are kept."""
        times = (*self.fired.get(rule, ()), at)[-keep:]
        return replace(self, fired={**self.fired, rule: times})


EMPTY = Memory()


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
        )


def begin(event: Event) -> Conversation:
    """The conversation that `event` opens, before the event is counted in it."""
    return Conversation(account=event.account, id=event.conversation, opened_at=event.at, last_at=event.at)


def known(old: Contact, new: Contact) -> Contact:
    """What is known of a contact: the new where it says something, else the old."""
    if new == old:
        return old
    return Contact(
        id=new.id or old.id,
        name=new.name or old.name,
        email=new.email or old.email,
        phone=new.phone or old.phone,
        language=new.language or old.language,
        extra={**old.extra, **new.extra},
    )
