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

OTHER_LINES = ("all", "any", "not", "if", "time", "calendar")
"""What may stand in a condition beside fields."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A field. `words` are all values that one of type "word" can have; `read` gives None for what is not known.

    `about` says what it is, for editors.
    """

    name: str
    type: Type
    read: Read = field(compare=False)
    words: tuple[str, ...] = ()
    about: str = field(default="", compare=False)


def _attachment(part: str) -> Read:
    def read(facts: Facts) -> object:
        attachment = facts.event.attachment
        return None if attachment is None else getattr(attachment, part)

    return read


def _known() -> dict[str, Field]:
    abouts: Mapping[str, tuple[Type, str]] = {
        "kind": ("word", "The kind of event."),
        "sender": ("word", "Who caused the event."),
        "text": ("text", "What was written."),
        "state": ("word", "Of typing: started, stopped. Of the widget: expanded, minimized."),
        "url": ("url", "The page: of a visit, or where the contact is."),
        "account": ("text", "The account that the event came from."),
        "platform": ("text", "The platform that the event came from."),
        "channel": ("text", "The platform's channel that the event came from."),
        "conversation.id": ("text", "The platform's own id of the conversation."),
        "conversation.messages": ("number", "How many messages the contact wrote in it, this one included."),
        "conversation.age": ("duration", "The time since it began."),
        "conversation.idle": ("duration", "The time since the event before this one."),
        "conversation.assigned": ("text", "The agent who has it."),
        "conversation.human_active": ("flag", "Whether an agent wrote in the last 15 minutes."),
        "attachment.name": ("text", "The name of the file."),
        "attachment.type": ("text", "Its media type, such as image/png."),
        "attachment.size": ("size", "Its size: bytes, or such as 500 kB, 1 MiB."),
        "attachment.url": ("url", "Where it can be fetched."),
        **{f"contact.{name}": ("text", f"The customer's {name}, where it is known.") for name in CONTACT_FIELDS},
    }
    words = {"kind": KINDS, "sender": SENDERS, "state": STATES}
    return {
        name: Field(name=name, type=type_, read=_reader(name), words=words.get(name, ()), about=about)
        for name, (type_, about) in abouts.items()
    }


def _reader(name: str) -> Read:
    first, _, rest = name.partition(".")
    if first == "attachment":
        return _attachment(rest)
    if first == "contact":
        return attrgetter(f"conversation.{name}")
    return attrgetter(name if first == "conversation" else f"event.{name}")


KNOWN: Mapping[str, Field] = _known()

_OPEN: Mapping[str, Read] = {
    "contact.memory": lambda facts: facts.memory("contact"),
    "contact": attrgetter("conversation.contact.extra"),
    "memory": Facts.memory,
    "account_memory": lambda facts: facts.memory("account"),
    "event.raw": attrgetter("event.raw"),
}
"""What a name may go on from with keys of its own; a longer name stands before its shorter beginning."""

OPEN: Mapping[str, str] = {
    "contact.memory.<key>": "What rules remembered for this contact.",
    "contact.<key>": "Any further thing that the platform says of the contact.",
    "memory.<key>": "What rules remembered for this conversation.",
    "account_memory.<key>": "What rules remembered for this account.",
    "event.raw.<path>": "Anything in what the platform sent.",
}
"""The fields whose names go on with a key or a path, and what they are."""


def field_of(name: str) -> Field:
    """The field of this name. Raises ValueError with the nearest name for a field that does not exist."""
    if (known := KNOWN.get(name)) is not None:
        return known
    for start, read in _OPEN.items():
        rest = name.removeprefix(start + ".")
        if rest == name:
            continue
        path = tuple(rest.split("."))
        if not all(path):
            raise ValueError(f'"{name}" has an empty part between its dots')
        return Field(name=name, type="any", read=_digger(read, path))
    hint = _family(name) if "." not in name else ""
    hint = hint or did_you_mean(name, (*KNOWN, *OTHER_LINES)) or _family(name.partition(".")[0])
    raise ValueError(f'unknown field "{name}"{hint}')


def _family(first: str) -> str:
    members = [known for known in (*KNOWN, *OPEN) if known.startswith(first + ".")]
    return f": {first} has {', '.join(members)}" if members else ""


def nearly_own(name: str) -> str | None:
    """The contact's own field that `name`, a further key of the contact, is probably meant to be."""
    if not name.startswith("contact.") or name.startswith("contact.memory."):
        return None
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


# A dict most often; to find out whether something else is a mapping takes ten times as long.
_MAPPINGS = (dict, Mapping)


def _step(value: object, part: str) -> object:
    """One step into what a platform sent: a key of a mapping, or a number (from 0) of a list."""
    if isinstance(value, _MAPPINGS):
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
