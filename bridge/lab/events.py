"""Made-up events: what an example or a test says happens, in the words of the rule files, as an event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from msgspec.structs import replace

from bridge.line.accounts import Accounts
from bridge.model.event import KINDS, NOBODY, Attachment, Contact, Event, Kind, Sender, whole
from bridge.model.facts import CONTACT_FIELDS

MADE_UP = "example"
"""Where there is no account, and what a made-up conversation is called."""
_STATES: Mapping[str, Kind] = {"typing": "typing", "widget": "widget"}
_WRITERS: Mapping[str, Sender] = {"agent": "agent", "bot": "bot"}


def first_account(accounts: Accounts) -> str:
    """The account from which a made-up event comes where nothing is said: the first that sends events."""
    sending = [k.account.name for k in accounts if any(route.what == "webhook" for route in k.adapter.routes)]
    return next(iter(sending or [known.account.name for known in accounts]), MADE_UP)


def nobody_writes(accounts: Accounts) -> bool:
    """Whether there is no account to which anything could happen: then nothing can be tried."""
    return next(iter(accounts), None) is None


def platform_of(account: str, accounts: Accounts) -> str:
    known = accounts.get(account)
    return known.adapter.name if known else MADE_UP


def made_up(
    given: Mapping[str, Any],
    *,
    account: str,
    platform: str,
    at: datetime,
    key: str = MADE_UP,
    conversation: str = MADE_UP,
    contact: Contact = NOBODY,
) -> Event:
    """The event that `given` says: one of `message`, `visited`, `agent`, ... or a whole `event`, and perhaps a `url`.

    `key` is what tells it from others of its conversation. It has what every event of its kind has.
    """
    blank = Event(
        account=account,
        platform=platform,
        kind="message",
        sender="contact",
        conversation=conversation,
        key=key,
        at=at,
        address={"conversation": conversation},
        contact=contact,
        url=given.get("url"),
    )
    return whole(_filled(blank, given))


def _filled(event: Event, given: Mapping[str, Any]) -> Event:
    if isinstance(written := given.get("event"), Mapping):
        return _written_out(event, written)
    for word, sender in _WRITERS.items():
        if word in given:
            return replace(event, sender=sender, text=given[word])
    kind: Kind = next((kind for kind in KINDS if kind in given), "message")
    value = given.get(kind)
    if kind in _STATES:
        return replace(event, kind=kind, state=value)
    if kind == "visited":
        return replace(event, kind=kind, url=value)
    if kind == "attachment" and isinstance(value, Mapping):
        return replace(event, kind=kind, attachment=Attachment(**value))
    return replace(event, kind=kind, text=value if isinstance(value, str) else None)


def _written_out(event: Event, written: Mapping[str, Any]) -> Event:
    fields = dict(written)
    if isinstance(fields.get("attachment"), Mapping):
        fields["attachment"] = Attachment(**fields["attachment"])
    sender = fields.get("sender", "contact")
    fields["sender"] = sender if sender in get_args(Sender) else "contact"
    return replace(event, **fields)


def contact_of(fields: Mapping[str, Any]) -> Contact:
    """A contact as it is written in a rule file; what is no field of every contact is a further fact."""
    known = {name: fields[name] for name in CONTACT_FIELDS if name in fields}
    return Contact(**known, extra={name: value for name, value in fields.items() if name not in known})
