"""Forget: a person's rows are deleted, and what remains of them in the files is overwritten."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Engine, Table, Text, delete, func, select, update

from bridge.clock import from_ms
from bridge.errors import StoreError
from bridge.model.event import Event
from bridge.model.quantity import say_count
from bridge.store import tables
from bridge.store.person import SAID, SHORTEST, Person, parts
from bridge.store.postgres import is_postgres
from bridge.store.rows import dump
from bridge.store.runs import ENDS
from bridge.store.tables import deliveries, events, runs
from bridge.store.transitions import move


def erase(connection: Connection, person: Person, now: int) -> None:
    """Delete a person's rows, in one transaction; `now` is in ms.

    The newest event and delivery are emptied instead: numbers are counted from them, and platforms may know those. So
    are runs: that a broadcast went out is no secret of theirs.

    Raises StoreError while something is being sent to them, or planned.
    """
    for some in parts(person.deliveries):
        claimed = select(func.count()).where(deliveries.c.id.in_(some), deliveries.c.state == "claimed")
        if count := connection.scalar(claimed):
            on_the_way = say_count(count, "delivery", "deliveries")
            raise StoreError(f"still on the way to them: {on_the_way}; try again in a minute, or stop the server")
    newest_event = connection.scalar(select(func.max(events.c.id)))
    newest_delivery = connection.scalar(select(func.max(deliveries.c.id)))
    if newest_event in person.events:
        _empty_event(connection, newest_event, now)
    if newest_delivery in person.deliveries:
        _empty_delivery(connection, newest_delivery, now)
    for number in person.runs:
        _empty_run(connection, number)
    for key, keys in (
        (tables.mailbox.c.delivery, person.deliveries),
        (tables.attempts.c.delivery, person.deliveries),
        (deliveries.c.id, person.deliveries - {newest_delivery}),
        (events.c.id, person.events - {newest_event}),
        (tables.conversations.c.key, person.conversations),
        (tables.memories.c.key, person.memories),
        (tables.aliases.c.name, person.aliases),
        (tables.attachments.c.token, person.files),
    ):
        _drop(connection, key, keys)


def _drop(connection: Connection, key: Column[Any], keys: Collection[Any]) -> None:
    for some in parts(keys):
        connection.execute(delete(key.table).where(key.in_(some)))


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


def _empty_run(connection: Connection, number: int) -> None:
    row = connection.execute(select(runs).where(runs.c.id == number)).one()
    if row.state not in ENDS and row.planned_at is None:
        raise StoreError(f"run {number} of {row.broadcast} is about them, and not planned yet; try again, or cancel it")
    said = {
        name: dump({part: value for part, value in msgspec.json.decode(document).items() if part not in SAID})
        for name, document in (("asked", row.asked), ("plan", row.plan))
        if document is not None
    }
    # A cursor that was left behind names the person at whom planning had stopped.
    left = {"cursor": None, "detail": row.detail and "forgotten"} if row.state in ENDS else {}
    connection.execute(update(runs).where(runs.c.id == number).values(**said, **left))


_TRIES = 100
_COPIED_BY_ANOTHER = -1
"""The pages in the log where another connection is copying them: https://sqlite.org/pragma.html#pragma_wal_checkpoint"""


def compact(engine: Engine, pause: Callable[[], None]) -> None:
    """Write the whole database anew, without anything that was ever deleted; writers wait meanwhile.

    `pause` waits a moment, while a server copies its log of changes back.

    SQLite overwrites what is deleted, but not the copies that are left in a page when rows move to another one. On
    PostgreSQL the room of deleted rows is given free, and nobody waits; what is in it stays until it is used again.

    Raises StoreError where others keep its log of changes busy.
    """
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        if is_postgres(connection):
            cursor.execute(f"VACUUM {', '.join(tables.metadata.tables)}")
            return
        cursor.execute("VACUUM")
        for _ in range(_TRIES):
            busy, pages, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            if pages != _COPIED_BY_ANOTHER:
                # SQLite has waited for those who read from it.
                break
            pause()
    raise StoreError("deleted, but others keep the log of changes busy: run it once more, to overwrite it")


def traces(database: Path, names: Collection[str]) -> set[str]:
    """The names that the files of the database still hold somewhere, in capitals or not."""
    wanted = {name: name.encode().lower() for name in names if len(name) >= SHORTEST}
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
    for table in tables.metadata.sorted_tables:
        for column in _texts(table):
            count = connection.scalar(select(func.count()).where(column.icontains(name, autoescape=True)))
            if count:
                counts[f"{table.name}.{column.name}"] = count
    return counts


def _texts(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if isinstance(column.type, Text)]
