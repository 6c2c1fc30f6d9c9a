"""An event: one normalised thing that happened in a chat."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

Kind = Literal[
    "message", "typing", "visited", "ended", "opened", "attachment",
    "widget", "assigned", "rated", "contact", "timer", "other",
]  # fmt: skip
Sender = Literal["contact", "agent", "bot", "system"]

KINDS: tuple[Kind, ...] = get_args(Kind)
SENDERS: tuple[Sender, ...] = get_args(Sender)

CERTAIN: Mapping[Kind, Literal["text", "url", "state", "attachment"]] = {
    "message": "text",
    "visited": "url",
    "typing": "state",
    "widget": "state",
    "attachment": "attachment",
}
"""What every event of a kind has (see `whole`), so that rules and templates can rely on it."""

Address = Mapping[str, object]
"""Whom a delivery is for, in the words of one platform's `to:` keys: {"chat": 17}, {"email": "a@b.example"}."""

NOWHERE: Address = {}


class Contact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The customer. What the platform does not say is None; further facts of theirs are in `extra`."""

    id: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    language: str | None = None
    extra: Mapping[str, object] = {}


NOBODY = Contact()


class Attachment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file in a conversation. `size` is in bytes; `url` is where it can be fetched."""

    name: str
    type: str | None = None
    size: int | None = None
    url: str | None = None


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened.

    `conversation` and `key` are the platform's own ids, unique within the account. A second event with the
    same `key` is a repeat: for ever, or only within `repeat_within` where the key says too little.
    `address` is where a reply to this event goes; `at` is when it happened, in UTC; `raw` is the platform's
    own payload, decoded. `reference` is the platform's id of a message, as it tells it to whoever sends one: by it an
    echo of our own is known. `messages` are the texts of a burst that is answered as one.
    """

    account: str
    platform: str
    kind: Kind
    sender: Sender
    conversation: str
    key: str
    at: datetime
    repeat_within: timedelta | None = None
    address: Address = {}
    contact: Contact = NOBODY
    text: str | None = None
    url: str | None = None
    state: str | None = None
    channel: str | None = None
    attachment: Attachment | None = None
    raw: Mapping[str, object] = {}
    reference: str | None = None
    messages: tuple[str, ...] = ()


NUL, INSTEAD = "\0", "\ufffd"


def whole(event: Event) -> Event:
    """The event with what every event of its kind has.

    A message that says nothing, as one of files only, has an empty text; anything else that lacks what makes it what
    it is, is of the kind "other". Names by which things are found again have no character that a store cannot hold.
    """
    contact, reference = event.contact, event.reference
    if (
        NUL in event.conversation
        or NUL in event.key
        or (reference is not None and NUL in reference)
        or (contact is not NOBODY and NUL in f"{contact.id}{contact.email}{contact.phone}")
    ):
        event = _without_nul(event)
    certain = CERTAIN.get(event.kind)
    if certain is None or getattr(event, certain) is not None:
        return event
    return replace(event, text="") if event.kind == "message" else replace(event, kind="other")


def _without_nul(event: Event) -> Event:
    def clean(name: str | None) -> str | None:
        return None if name is None else name.replace(NUL, INSTEAD)

    contact = event.contact
    return replace(
        event,
        conversation=event.conversation.replace(NUL, INSTEAD),
        key=event.key.replace(NUL, INSTEAD),
        reference=clean(event.reference),
        contact=replace(contact, id=clean(contact.id), email=clean(contact.email), phone=clean(contact.phone)),
    )
