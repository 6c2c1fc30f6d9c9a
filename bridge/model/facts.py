"""Everything a condition or a template may look at, as one snapshot."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from bridge.model.conversation import EMPTY, Conversation, Memory, Scope
from bridge.model.event import Contact, Event

CONTACT_FIELDS = ("id", "name", "email", "phone", "language")


class Facts(Struct, frozen=True, kw_only=True):
    """The event, its conversation (the event counted in) and what is remembered, at the moment `now` (UTC).

    `contact` is what is known of the contact from this event and all before it.
    """

    event: Event
    conversation: Conversation
    now: datetime
    memories: Mapping[Scope, Memory] = {}

    @property
    def contact(self) -> Contact:
        return self.conversation.contact

    def with_memory(self, scope: Scope, memory: Memory) -> "Facts":
        return replace(self, memories={**self.memories, scope: memory})

    def memory(self, scope: Scope = "conversation") -> Mapping[str, object]:
        return self.memories.get(scope, EMPTY).facts


def variables(facts: Facts, groups: Mapping[str, str] | None = None) -> dict[str, object]:
    """The names a template or an `if:` expression sees. What is not known is left out, so that it is undefined."""
    event, conversation, contact = facts.event, facts.conversation, facts.contact
    talk: dict[str, object] = {
        "id": conversation.id,
        "messages": conversation.messages,
        "age": conversation.age,
        "idle": conversation.idle,
        "human_active": conversation.human_active,
    }
    if conversation.assigned is not None:
        talk["assigned"] = conversation.assigned
    person = dict(contact.extra)
    for name in CONTACT_FIELDS:
        if (value := getattr(contact, name)) is not None:
            person[name] = value
    person["memory"] = facts.memory("contact")
    names: dict[str, object] = {
        "account": event.account,
        "platform": event.platform,
        "kind": event.kind,
        "sender": event.sender,
        "now": facts.now,
        "event": {"raw": event.raw, "at": event.at},
        "contact": person,
        "conversation": talk,
        "memory": facts.memory(),
        "account_memory": facts.memory("account"),
        "match": dict(groups or {}),
    }
    if messages := list(event.messages) or ([event.text] if event.text is not None else []):
        names["messages"] = messages
    for name in ("text", "url", "state", "channel"):
        value = getattr(event, name)
        if value is not None:
            names[name] = value
    if event.attachment is not None:
        a = event.attachment
        names["attachment"] = {
            k: v for k, v in (("name", a.name), ("type", a.type), ("size", a.size), ("url", a.url)) if v is not None
        }
    return names
