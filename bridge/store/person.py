"""A person in the store: every row that is theirs, found by an id, an e-mail address or a phone number.

It reads whole tables, for nothing in the line needs such an index; so it is for a reader, not for the writer.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, or_, select

from bridge.model.event import Contact, Event
from bridge.store.rows import conversation_from, conversation_key, dump, event_from
from bridge.store.tables import aliases, attachments, conversations, deliveries, events, memories

MOST_NAMES = 100
"""Names by which one person is followed; somebody with more is no person, but a value that many share."""

_read = msgspec.json.decode


@dataclass(kw_only=True, slots=True)
class Person:
    """The names by which a person is known, and the keys of their rows. `under_way` counts what is being sent now.

    `names` hold everywhere; `ids` only in the account that gave them: another's 17 is somebody else.
    """

    names: set[str]
    ids: set[tuple[str, str]] = field(default_factory=set)
    conversations: set[str] = field(default_factory=set)
    events: set[int] = field(default_factory=set)
    deliveries: set[int] = field(default_factory=set)
    memories: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    under_way: int = 0

    def __bool__(self) -> bool:
        return bool(self.conversations or self.events or self.deliveries or self.memories or self.aliases or self.files)


def find_person(connection: Connection, name: str) -> Person:
    """Every row of the person of this name; by what else their conversations call them they are followed further."""
    person = Person(names={name})
    names, ids = set[str](), set[tuple[str, str]]()
    while (person.names - names or person.ids - ids) and len(names) + len(ids) < MOST_NAMES:
        new = Person(names=person.names - names, ids=person.ids - ids)
        names, ids = set(person.names), set(person.ids)
        _find_conversations(connection, person, new)
    _find_events(connection, person)
    _find_deliveries(connection, person)
    _find_memories(connection, person)
    kept = connection.scalars(select(attachments.c.token).where(attachments.c.token.in_(person.files)))
    person.files = set(kept)
    return person


def _find_conversations(connection: Connection, person: Person, new: Person) -> None:
    """Note the conversations of who is known by these names, and the names that they tell."""
    names = new.names | {who for _, who in new.ids}
    rows = connection.execute(
        select(conversations.c.key, conversations.c.document).where(_says(conversations.c.document, names))
    )
    for key, document in rows:
        conversation, _ = conversation_from(document)
        if _is(conversation.account, conversation.contact, new):
            person.conversations.add(key)
            _learn(person, conversation.account, conversation.contact)
    for (body,) in connection.execute(select(events.c.body).where(_says(events.c.body, names))):
        event = event_from(body)
        if _is(event.account, event.contact, new):
            person.conversations.add(conversation_key(event.account, event.conversation))
            _learn(person, event.account, event.contact)


def _learn(person: Person, account: str, contact: Contact) -> None:
    known = set(map(_plain, person.names))
    person.names.update(name for name in (contact.email, contact.phone) if name and _plain(name) not in known)
    if contact.id:
        person.ids.add((account, contact.id))


def _is(account: str, contact: Contact, person: Person) -> bool:
    own = {_plain(name) for name in (contact.id, contact.email, contact.phone) if name}
    return (account, contact.id) in person.ids or not own.isdisjoint(map(_plain, person.names))


def _plain(name: str) -> str:
    """One e-mail address in two spellings is one; so is a phone number."""
    digits = "".join(c for c in name if c.isdigit())
    is_number = len(digits) >= 6 and all(c.isdigit() or c in "+-/(). " for c in name)
    return f"+{digits.removeprefix('00')}" if is_number and name[:1] in "+0" else name.strip().casefold()


def _find_events(connection: Connection, person: Person) -> None:
    for key in person.conversations:
        # An identity begins with its conversation, and is indexed.
        columns = (events.c.id, events.c.account, events.c.conversation, events.c.body)
        rows = connection.execute(select(*columns).where(events.c.identity >= f"{key}/", events.c.identity < f"{key}0"))
        for number, account, conversation, body in rows:
            if f"{account}/{conversation}" == key:
                person.events.add(number)
                person.files.update(_tokens(event_from(body)))


def _tokens(event: Event) -> Iterator[str]:
    url = event.attachment.url if event.attachment is not None else None
    if url is not None and "/attachments/" in url:
        yield url.partition("/attachments/")[2].partition("/")[0]


def _find_deliveries(connection: Connection, person: Person) -> None:
    names = set(map(_plain, person.names))
    columns = (deliveries.c.id, deliveries.c.state, deliveries.c.event, deliveries.c.lane, deliveries.c.recipient)
    about = or_(
        deliveries.c.event.in_(person.events),
        deliveries.c.lane.in_(person.conversations),
        _says(deliveries.c.recipient, person.names | {who for _, who in person.ids}),
    )
    for row in connection.execute(select(*columns, deliveries.c.account).where(about)):
        ours = row.event in person.events or row.lane in person.conversations
        to = _values(_read(row.recipient))
        own = names | {_plain(who) for account, who in person.ids if account == row.account}
        if ours or not to.isdisjoint(own):
            person.deliveries.add(row.id)
            person.under_way += row.state == "claimed"


def _values(value: object) -> set[str]:
    """The texts in an address, however deep."""
    if isinstance(value, Mapping):
        return {text for inner in value.values() for text in _values(inner)}
    if isinstance(value, list):
        return {text for inner in value for text in _values(inner)}
    return {_plain(str(value))}


def _find_memories(connection: Connection, person: Person) -> None:
    names = {_plain(name) for name in person.names}
    of_conversations = {f"conversation:{key.partition('/')[2]}" for key in person.conversations}
    for key in connection.scalars(select(memories.c.key).where(memories.c.key.startswith("contact/"))):
        _, account, who = key.split("/", 2)
        nobody = who in of_conversations and f"{account}/{who.partition(':')[2]}" in person.conversations
        if nobody or (account, who) in person.ids or _plain(who) in names:
            person.memories.add(key)
    for name, key in connection.execute(select(aliases.c.name, aliases.c.key)):
        if key in person.memories or _plain(name.partition(":")[2]) in names:
            person.aliases.add(name)


def _says(column: Column[str], names: Iterable[str]) -> ColumnElement[bool]:
    """Whether a document says one of these names somewhere; what precisely it says is looked at afterwards."""
    return or_(*(column.icontains(dump(_searched(name))[1:-1], autoescape=True) for name in names))


def _searched(name: str) -> str:
    """What all spellings of a name have in common: of a phone number its last digits."""
    plain = _plain(name)
    return plain[-4:] if plain.startswith("+") and plain[1:].isdigit() else name.strip()
