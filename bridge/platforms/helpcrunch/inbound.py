"""HelpCrunch's webhooks -> events.

Source: https://docs.helpcrunch.com/webhooks/setting-up-webhooks and the pages beside it on signatures, event types,
messages, chats and customers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.adapter.body import read_object
from bridge.adapter.number import whole_number
from bridge.adapter.protocol import Answer, Notice, Webhook
from bridge.adapter.signatures import is_signed_sha1
from bridge.errors import Refused
from bridge.model.event import Address, Contact, Event, Kind, Sender
from bridge.model.quantity import say_duration
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.values import moment_of, plain_status

SIGNATURE = "x-helpcrunch-signature"

MEANINGS: Mapping[str, tuple[Kind, Sender]] = {
    "chat.new": ("opened", "contact"),
    "chat.status_updated": ("other", "system"),
    "chat.assigned": ("assigned", "system"),
    "chat.snoozed": ("other", "system"),
    "chat.unsnoozed": ("other", "system"),
    "chat.closed": ("ended", "system"),
    "chat.rated": ("rated", "contact"),
    "message.chat.customer": ("message", "contact"),
    "message.email.customer": ("message", "contact"),
    # A note answers nobody: as a message it would count as the agent's answer to the customer.
    "message.private": ("other", "agent"),
    "message.chat.agent": ("message", "agent"),
    "message.email.agent": ("message", "agent"),
    "customer.new": ("contact", "contact"),
    "customer.email_updated": ("contact", "contact"),
    # Our own operations cause this one, so that no rule must answer it unless it asks to.
    "customer.tags_changed": ("contact", "system"),
    "customer.unsubscribed": ("contact", "contact"),
    "customer.subscribed": ("contact", "contact"),
    "customer.blocked": ("contact", "system"),
    "customer.unblocked": ("contact", "system"),
    "customer.deleted": ("contact", "system"),
}
"""What each of HelpCrunch's events is here, and who caused it where the webhook itself does not say."""

_TAKEN = Answer(body=b'{"ok":true}')
_LONGEST_ID = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One webhook: the event's name, its data, and the parts of it that are objects (empty where they are not)."""

    name: str
    data: Mapping[str, object]

    def part(self, name: str) -> Mapping[str, object]:
        found = self.data.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def customer(self) -> Mapping[str, object]:
        """Who it is about: in events about customers they are the data itself."""
        return self.data if self.name.startswith("customer.") else self.part("customer")


def verify(webhook: Webhook, account: HelpCrunchAccount) -> None:
    """Raises Refused: 401 unless one of the account's keys has signed the body, 403 where the account has no keys."""
    if not account.signing_keys:
        option = f"accounts.{account.name}.signing_keys"
        raise Refused(403, f"{option}: there are none, so no webhook is taken; add HelpCrunch's signing key")
    given = webhook.headers.get(SIGNATURE, "")
    if not given:
        raise Refused(401, f"{SIGNATURE}: missing")
    if not is_signed_sha1(given, account.signing_keys, webhook.body):
        raise Refused(401, f"{SIGNATURE}: wrong; none of the account's signing_keys made it for this body")


def parse(webhook: Webhook, account: HelpCrunchAccount) -> Notice:
    """One webhook -> one event. Raises Refused: 400 naming the field, 401 for one that is too old."""
    envelope = read_object(webhook.body)
    key, name = _line(envelope, "id"), _line(envelope, "event")
    data = envelope.get("eventData")
    if isinstance(data, str):
        data = read_object(data, "eventData")
    if not isinstance(data, dict):
        raise Refused(400, "eventData: an object is expected")
    _check_window(envelope, account, webhook.received_at)
    said = Said(name=name, data=data)
    contact = _contact(said.customer)
    conversation, address = _where(said, contact)
    kind, sender = _meaning(said, account)
    event = Event(
        account=account.name,
        platform="helpcrunch",
        kind=kind,
        sender=sender,
        conversation=conversation,
        key=key,
        at=_at(said, envelope, webhook.received_at),
        address=address,
        contact=contact,
        text=_text(said.part("message").get("text")),
        state=_state(said),
        channel={"message.chat": "chat", "message.email": "email"}.get(name.rpartition(".")[0]),
        raw={**envelope, "eventData": data},
        reference=_message_id(said),
    )
    return Notice(events=(event,), answer=_TAKEN)


def _line(envelope: Mapping[str, object], name: str) -> str:
    text = envelope.get(name)
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_ID or not text.isprintable():
        raise Refused(400, f"{name}: one line of 1 to {_LONGEST_ID} characters is expected")
    return text


def _check_window(envelope: Mapping[str, object], account: HelpCrunchAccount, now: datetime) -> None:
    """The signature covers the body only, so the body's own time is what tells a webhook from its late replay."""
    at = moment_of(envelope.get("lastAttemptAt")) or moment_of(envelope.get("createdAt"))
    if account.window and at is not None and now - at > account.window:
        old, most = say_duration(now - at), say_duration(account.window)
        raise Refused(401, f"lastAttemptAt: {old} ago; at most {most} are taken (accounts.{account.name}.window)")


def _where(said: Said, contact: Contact) -> tuple[str, Address]:
    """The conversation and where a reply goes. Raises Refused(400) where an event in a chat does not say in which."""
    chat = whole_number(said.data.get("chat_id"))
    if chat is not None:
        return str(chat), {"chat": chat}
    if said.name.startswith(("message.", "chat.")) and said.name in MEANINGS:
        raise Refused(400, "eventData.chat_id: the number of a chat is expected")
    if contact.id is not None:
        return f"customer-{contact.id}", {"customer": int(contact.id)}
    return "none", {}


def _meaning(said: Said, account: HelpCrunchAccount) -> tuple[Kind, Sender]:
    kind, sender = MEANINGS.get(said.name, ("other", "system"))
    if sender == "agent":
        # What was sent to many at once, or by a machine, is no sign that a human looks after this conversation.
        by_machine = account.is_bot(whole_number(said.part("agent").get("id")))
        return kind, "bot" if by_machine or said.part("message").get("broadcastType") else "agent"
    if said.name == "chat.new" and said.data.get("communicatedAgents"):
        return kind, "agent"
    if said.name == "chat.closed":
        by: Mapping[object, Sender] = {"customer": "contact", "agent": "agent"}
        closed_by = said.data.get("closedBy")
        return kind, by.get(closed_by, sender) if isinstance(closed_by, str) else sender
    return kind, sender


def _state(said: Said) -> str | None:
    """The chat's status in one spelling, its rating, or what happened to the customer."""
    family, _, what = said.name.partition(".")
    if what == "rated":
        return _text(said.data.get("rating"))
    if what in ("new", "status_updated", "closed") and family == "chat":
        status = _text(said.data.get("status"))
        return None if status is None else plain_status(status)
    return None if what == "assigned" or (family == "message" and what != "private") else what[:_LONGEST_ID]


def _contact(customer: Mapping[str, object]) -> Contact:
    number = whole_number(customer.get("id"))
    extra = {name: value for name in ("userId", "customData", "unsubscribed") if (value := customer.get(name))}
    return Contact(
        id=None if number is None else str(number),
        name=_text(customer.get("name")),
        email=_text(customer.get("email")),
        phone=_text(customer.get("phone")),
        extra=extra,
    )


def _message_id(said: Said) -> str | None:
    """The number of the message, which the answer to sending one has too: an echo of our own is known by it."""
    number = whole_number(said.part("message").get("id")) if said.name.startswith("message.") else None
    return None if number is None else str(number)


def _text(given: object) -> str | None:
    """A text that says something; a number, which HelpCrunch gives for some texts, is one too."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return str(given)
    return given if isinstance(given, str) and given else None


def _at(said: Said, envelope: Mapping[str, object], received_at: datetime) -> datetime:
    """When it happened: never later than now, for no later event could follow a time in the future."""
    at = moment_of(said.part("message").get("createdAt")) or moment_of(envelope.get("createdAt"))
    return min(at or received_at, received_at)
