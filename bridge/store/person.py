"""A person in the store: every row that is theirs, found by an id, an e-mail address or a phone number.

It reads whole tables, for nothing in the line needs such an index; so it is for a reader, not for the writer.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, or_, select, text

from bridge.model.event import Contact, Event
from bridge.store.page import KINDS, alias
from bridge.store.rows import conversation_from, conversation_key, dump, event_from
from bridge.store.tables import OF_A_RUN, aliases, attachments, conversations, deliveries, events, memories, runs

MOST_NAMES = 100
"""Names by which one person is followed; somebody with more is no person, but a value that many share."""

AT_ONCE = 500
"""Rows that one statement names: drivers take no endless lists of values."""

SHORTEST = 5
"""A shorter name is found in any text."""

SAID = ("only", "variables")
"""What somebody has said of a run in its documents."""

_read = msgspec.json.decode
_BETWEEN = re.compile(r"[=\t/]|, |: ")
_ON_EVENT = re.compile(r" on event ([0-9]+)$")


@dataclass(kw_only=True, slots=True)
class Person:
    """The names by which a person is known, and the keys of their rows; `runs` are those of broadcasts that were
    started for them, or by what they wrote.

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
    runs: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        rows = (self.conversations, self.events, self.deliveries, self.memories, self.aliases, self.files, self.runs)
        return any(rows)


def find_person(connection: Connection, name: str) -> Person:
    """Every row of the person of this name; by what else their conversations call them they are followed further."""
    person = Person(names={name})
    names, ids = set[str](), set[tuple[str, str]]()
    while (person.names - names or person.ids - ids) and len(names) + len(ids) < MOST_NAMES:
        new = Person(names=person.names - names, ids=person.ids - ids)
        names, ids = set(person.names), set(person.ids)
        _find_conversations(connection, person, new)
        _follow_aliases(connection, person, new)
    _find_events(connection, person)
    _find_deliveries(connection, person)
    _find_runs(connection, person)
    _find_memories(connection, person)
    token = attachments.c.token
    kept = (connection.scalars(select(token).where(token.in_(some))) for some in parts(person.files))
    person.files = {one for found in kept for one in found}
    return person


def parts(keys: Collection[Any]) -> Iterator[list[Any]]:
    """The keys, as many at a time as a statement may well name."""
    every = sorted(keys)
    return (every[begin : begin + AT_ONCE] for begin in range(0, len(every), AT_ONCE))


def _find_conversations(connection: Connection, person: Person, new: Person) -> None:
    """Note the conversations of who is known by these names, and the names that they tell."""
    names = new.names | {who for _, who in new.ids}
    rows = connection.execute(
        select(conversations.c.key, conversations.c.document).where(_says(conversations.c.document, names))
    )
    for key, document in rows:
        conversation, _ = conversation_from(document)
        if _is(conversation.account, conversation.contact, new) or _is_only(conversation.id, conversation.contact, new):
            person.conversations.add(key)
            _learn(person, conversation.account, conversation.contact)
    for (body,) in connection.execute(select(events.c.body).where(_says(events.c.body, names))):
        event = event_from(body)
        if _is(event.account, event.contact, new) or _is_only(event.conversation, event.contact, new):
            person.conversations.add(conversation_key(event.account, event.conversation))
            _learn(person, event.account, event.contact)


def _learn(person: Person, account: str, contact: Contact) -> None:
    _learn_names(person, (contact.email, contact.phone))
    if contact.id:
        person.ids.add((account, contact.id))


def _learn_names(person: Person, names: Iterable[str | None]) -> None:
    known = set(map(_plain, person.names))
    person.names.update(name for name in names if name and _plain(name) not in known)


def _follow_aliases(connection: Connection, person: Person, new: Person) -> None:
    """Note by what else they are remembered, also where their conversations are kept no more."""
    names, keys = _aliases(new.names), {f"contact/{account}/{who}" for account, who in new.ids}
    rows = connection.execute(select(aliases).where(or_(aliases.c.name.in_(names), aliases.c.key.in_(keys))))
    for name, key in rows:
        _, account, who = key.split("/", 2)
        if _plain(who) not in set(map(_plain, person.names)):
            person.ids.add((account, who))
        kind, _, value = name.partition(":")
        _learn_names(person, [f"+{value}" if kind == "phone" and value.isdecimal() else value])


def _aliases(names: Iterable[str]) -> set[str]:
    return {alias(kind, name) for name in names for kind in KINDS}


def _is(account: str, contact: Contact, person: Person) -> bool:
    own = {_plain(name) for name in (contact.id, contact.email, contact.phone) if name}
    return (account, contact.id) in person.ids or not own.isdisjoint(map(_plain, person.names))


def _is_only(conversation: str, contact: Contact, person: Person) -> bool:
    """Of a visitor who said nothing of themselves there is only the conversation to call them by."""
    return not (contact.id or contact.email or contact.phone) and conversation in person.names


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
    d = deliveries.c
    for column, keys in ((d.event, person.events), (d.lane, person.conversations)):
        for some in parts(keys):
            person.deliveries.update(connection.scalars(select(d.id).where(column.in_(some))))
    called = person.names | {who for _, who in person.ids}
    talks = {key.partition("/")[2] for key in person.conversations}
    looked_at = select(d.id, d.recipient, d.person, d.account)
    told = [looked_at.where(_says(d.recipient, some)) for some in parts(called | talks)]
    told.append(looked_at.where(text(OF_A_RUN), _says(d.person, called)))
    for row in chain.from_iterable(map(connection.execute, told)):
        to = _values(_read(row.recipient))
        # Of those whom a broadcast could not be sent to there is no address, only who they are.
        nobody = not to and not _named(row.person).isdisjoint(map(_plain, called))
        own = names | {_plain(who) for account, who in person.ids if account == row.account}
        in_their_talk = any(_plain(who) in to and f"{row.account}/{who}" in person.conversations for who in talks)
        if nobody or in_their_talk or not to.isdisjoint(own):
            person.deliveries.add(row.id)


def _named(person: str | None) -> set[str]:
    """What the key of a recipient may be made of: "email=ann@shop.example", "site/17", "17: account site has..."."""
    return {_plain(part) for part in _BETWEEN.split(person or "")}


def _find_runs(connection: Connection, person: Person) -> None:
    """Note the runs that went to them alone, that a message of theirs started, or that say a name of theirs."""
    names = {name.casefold() for name in person.names if len(name) >= SHORTEST}
    own = {_plain(name) for name in person.names} | {_plain(who) for _, who in person.ids}
    rows = connection.execute(select(runs.c.id, runs.c.moment, runs.c.asked, runs.c.plan))
    for row in rows:
        event = _ON_EVENT.search(row.moment)
        told = {one for document in (row.asked, row.plan) if document for one in told_of(_read(document))}
        if (
            (event is not None and int(event[1]) in person.events)
            or not own.isdisjoint(map(_plain, told))
            or any(name in one.casefold() for name in names for one in told)
        ):
            person.runs.add(row.id)


def told_of(document: Mapping[str, Any]) -> set[str]:
    """What whoever started a run has said, in its `asked` or its `plan`: to whom alone it goes, and its variables."""
    return {one for part in SAID for one in _texts(document.get(part, {}))}


def _values(address: object) -> set[str]:
    return set(map(_plain, _texts(address)))


def _texts(value: object) -> set[str]:
    """The texts in an address, or in variables, however deep."""
    if isinstance(value, Mapping):
        return {one for inner in value.values() for one in _texts(inner)}
    if isinstance(value, list):
        return {one for inner in value for one in _texts(inner)}
    return {str(value)}


def _find_memories(connection: Connection, person: Person) -> None:
    names = {_plain(name) for name in person.names}
    of_conversations = {f"conversation:{key.partition('/')[2]}" for key in person.conversations}
    for key in connection.scalars(select(memories.c.key).where(memories.c.key.startswith("contact/"))):
        _, account, who = key.split("/", 2)
        nobody = who in of_conversations and f"{account}/{who.partition(':')[2]}" in person.conversations
        if nobody or (account, who) in person.ids or _plain(who) in names:
            person.memories.add(key)
    own = _aliases(person.names)
    for name, key in connection.execute(select(aliases.c.name, aliases.c.key)):
        if key in person.memories or name in own:
            person.aliases.add(name)


def _says(column: Column[str], names: Iterable[str]) -> ColumnElement[bool]:
    """Whether a document says one of these names somewhere; what precisely it says is looked at afterwards."""
    return or_(*(column.icontains(dump(_searched(name))[1:-1], autoescape=True) for name in names))


def _searched(name: str) -> str:
    """What all spellings of a name have in common: of a phone number its last digits."""
    plain = _plain(name)
    return plain[-4:] if plain.startswith("+") and plain[1:].isdigit() else name.strip()
