"""The fields that conditions look at: their names, their types, and how each is read from the facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from operator import attrgetter
from typing import Literal

from bridge.errors import did_you_mean
from bridge.model.event import KINDS, SENDERS
from bridge.model.facts import CONTACT_FIELDS, Facts
from bridge.model.quantity import parse_duration, parse_size

Type = Literal["text", "url", "word", "number", "duration", "size", "flag", "any"]
Read = Callable[[Facts], object]

STATES = ("started", "stopped", "expanded", "minimized")
"""Of typing: started, stopped; of the chat's widget: expanded, minimized."""

NOT_YET = ("calendar", "time")


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A field. `words` are all values that one of type "word" can have; `read` gives None for what is not known."""

    name: str
    type: Type
    read: Read = field(compare=False)
    words: tuple[str, ...] = ()


def _attachment(part: str) -> Read:
    def read(facts: Facts) -> object:
        attachment = facts.event.attachment
        return None if attachment is None else getattr(attachment, part)

    return read


def _known() -> dict[str, Field]:
    fields = [
        Field(name="kind", type="word", read=attrgetter("event.kind"), words=KINDS),
        Field(name="sender", type="word", read=attrgetter("event.sender"), words=SENDERS),
        Field(name="state", type="word", read=attrgetter("event.state"), words=STATES),
        Field(name="url", type="url", read=attrgetter("event.url")),
        Field(name="conversation.id", type="text", read=attrgetter("conversation.id")),
        Field(name="conversation.messages", type="number", read=attrgetter("conversation.messages")),
        Field(name="conversation.age", type="duration", read=attrgetter("conversation.age")),
        Field(name="conversation.idle", type="duration", read=attrgetter("conversation.idle")),
        Field(name="conversation.assigned", type="text", read=attrgetter("conversation.assigned")),
        Field(name="conversation.human_active", type="flag", read=attrgetter("conversation.human_active")),
        Field(name="attachment.name", type="text", read=_attachment("name")),
        Field(name="attachment.type", type="text", read=_attachment("type")),
        Field(name="attachment.size", type="size", read=_attachment("size")),
    ]
    fields += [
        Field(name=name, type="text", read=attrgetter(f"event.{name}"))
        for name in ("text", "account", "platform", "channel")
    ]
    fields += [
        Field(name=f"contact.{name}", type="text", read=attrgetter(f"conversation.contact.{name}"))
        for name in CONTACT_FIELDS
    ]
    return {each.name: each for each in fields}


KNOWN: Mapping[str, Field] = _known()

_OPEN: Mapping[str, Read] = {
    "contact.memory": lambda facts: facts.memory("contact"),
    "contact": attrgetter("conversation.contact.extra"),
    "memory": Facts.memory,
    "event.raw": attrgetter("event.raw"),
}
"""What a name may go on from with keys of its own; a longer name stands before its shorter beginning."""

_EXAMPLES = ("contact.memory.<key>", "memory.<key>", "event.raw.<path>")


def field_of(name: str) -> Field:
    """The field of this name. Raises ValueError with the nearest name for a field that does not exist."""
    if (known := KNOWN.get(name)) is not None:
        return known
    if name in NOT_YET:
        raise ValueError(f'"{name}" is not available in this version')
    for start, read in _OPEN.items():
        rest = name.removeprefix(start + ".")
        if rest == name:
            continue
        path = tuple(rest.split("."))
        if not all(path):
            raise ValueError(f'"{name}" has an empty part between its dots')
        return Field(name=name, type="any", read=_digger(read, path))
    hint = _family(name) if "." not in name else ""
    hint = hint or did_you_mean(name, (*KNOWN, "all", "any", "not", "if")) or _family(name.partition(".")[0])
    raise ValueError(f'unknown field "{name}"{hint}')


def _family(first: str) -> str:
    members = [known for known in (*KNOWN, *_EXAMPLES) if known.startswith(first + ".")]
    return f": {first} has {', '.join(members)}" if members else ""


def nearly_own(name: str) -> str | None:
    """The contact's own field that `name`, a further key of the contact, is probably meant to be."""
    near = get_close_matches(name, [f"contact.{own}" for own in CONTACT_FIELDS], n=1, cutoff=0.9)
    return near[0] if near else None


def _digger(read: Read, path: tuple[str, ...]) -> Read:
    if len(path) == 1:
        (key,) = path
        return lambda facts: _step(read(facts), key)

    def dig(facts: Facts) -> object:
        value = read(facts)
        for part in path:
            value = _step(value, part)
        return value

    return dig


def _step(value: object, part: str) -> object:
    """One step into what a platform sent: a key of a mapping, or a number (from 0) of a list."""
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list | tuple) and part.isdecimal() and len(part) < 7 and int(part) < len(value):
        return value[int(part)]
    return None


def amount(value: object, asked: Field) -> int | float | timedelta:
    """A quantity in a rule as the field counts it: number, duration, bytes. Raises ValueError for what does not fit."""
    if asked.type == "duration":
        if isinstance(value, str):
            return parse_duration(value)
        raise ValueError(f'"{asked.name}" is a duration: write a number and a unit, for example "10m"')
    if asked.type == "size" and isinstance(value, str):
        return parse_size(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError(f'"{asked.name}" is compared with a number here')
