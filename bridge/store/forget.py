"""Forget: a person's rows are deleted, and what remains of them in the files is overwritten."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, Text, delete, func, select, update

from bridge.clock import from_ms
from bridge.errors import StoreError
from bridge.model.event import Event
from bridge.store.person import Person
from bridge.store.rows import dump
from bridge.store.tables import (
    aliases,
    attachments,
    attempts,
    conversations,
    deliveries,
    events,
    mailbox,
    memories,
    metadata,
)
from bridge.store.transitions import move

AT_ONCE = 500
SHORTEST_TRACE = 5
"""A shorter name is found in any file."""


def erase(connection: Connection, person: Person, now: int) -> None:
    """Delete a person's rows, in one transaction; `now` is in ms.

    The newest event and delivery are emptied instead: numbers are counted from them, and platforms may know those.

    Raises StoreError while something is being sent to them.
    """
    for some in _parts(person.deliveries):
        claimed = select(func.count()).where(deliveries.c.id.in_(some), deliveries.c.state == "claimed")
        if count := connection.scalar(claimed):
            raise StoreError(
                f"{count} of their deliveries are being sent now; try again in a minute, or stop the server"
            )
    newest_event = connection.scalar(select(func.max(events.c.id)))
    newest_delivery = connection.scalar(select(func.max(deliveries.c.id)))
    if newest_event in person.events:
        _empty_event(connection, newest_event, now)
    if newest_delivery in person.deliveries:
        _empty_delivery(connection, newest_delivery, now)
    _drop(connection, mailbox.c.delivery, person.deliveries)
    _drop(connection, attempts.c.delivery, person.deliveries)
    _drop(connection, deliveries.c.id, person.deliveries - {newest_delivery})
    _drop(connection, events.c.id, person.events - {newest_event})
    _drop(connection, conversations.c.key, person.conversations)
    _drop(connection, memories.c.key, person.memories)
    _drop(connection, aliases.c.name, person.aliases)
    _drop(connection, attachments.c.token, person.files)


def _drop(connection: Connection, key: Column[Any], keys: Collection[Any]) -> None:
    for some in _parts(keys):
        connection.execute(delete(key.table).where(key.in_(some)))


def _parts(keys: Collection[Any]) -> Iterator[list[Any]]:
    every = sorted(keys)
    return (every[begin : begin + AT_ONCE] for begin in range(0, len(every), AT_ONCE))


def _empty_event(connection: Connection, number: int, now: int) -> None:
    nobody = Event(
        account="", platform="", kind="other", sender="system", conversation="", key=f"forgotten/{number}",
        at=from_ms(now),
    )  # fmt: skip
    connection.execute(
        update(events)
        .where(events.c.id == number)
        .values(identity=nobody.key, account="", conversation="", kind="other", body=dump(nobody), trace="[]")
    )


def _empty_delivery(connection: Connection, number: int, now: int) -> None:
    nothing = {"lane": "", "recipient": "{}", "reply": '{"text":""}', "command": None, "reference": None,
               "detail": "forgotten"}  # fmt: skip
    this = deliveries.c.id == number
    connection.execute(move("queued", "cancelled").where(this).values(wake_at=None, finished_at=now))
    connection.execute(update(deliveries).where(this).values(**nothing, event=None, person=None))


def compact(engine: Engine) -> None:
    """Write the whole database anew, without anything that was ever deleted; writers wait meanwhile.

    SQLite overwrites what is deleted, but not the copies that are left in a page when rows move to another one.

    Raises StoreError where others keep its log of changes busy.
    """
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("VACUUM")
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() or (0,)
    if busy:
        raise StoreError("deleted, but others keep the log of changes busy: run it once more, to overwrite it")


def traces(database: Path, names: Collection[str]) -> set[str]:
    """The names that the files of the database still hold somewhere, in capitals or not."""
    wanted = {name: name.encode().lower() for name in names if len(name) >= SHORTEST_TRACE}
    found: set[str] = set()
    for path in (database, database.with_name(f"{database.name}-wal")):
        if not wanted or not path.exists():
            continue
        overlap, tail = max(map(len, wanted.values())), b""
        with path.open("rb") as file:
            while chunk := file.read(1 << 22):
                piece = tail + chunk.lower()
                found.update(name for name, bare in wanted.items() if bare in piece)
                tail = piece[-overlap:]
    return found


def mentions(connection: Connection, name: str) -> dict[str, int]:
    """Where other people's rows say a name: "events.body" and how many."""
    counts = {}
    for table in metadata.sorted_tables:
        for column in _texts(table):
            count = connection.scalar(select(func.count()).where(column.icontains(name, autoescape=True)))
            if count:
                counts[f"{table.name}.{column.name}"] = count
    return counts


def _texts(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if isinstance(column.type, Text)]
