"""Retention: what is older than it has to be kept goes, in small steps, so that nobody waits for it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, delete, func, select, text

from bridge.clock import to_ms
from bridge.store.tables import (
    UNFINISHED,
    aliases,
    attachments,
    attempts,
    conversations,
    deliveries,
    events,
    mailbox,
    memories,
    runs,
)

_NEWEST_EVENT = select(func.max(events.c.id)).scalar_subquery()
_NEWEST_RUN = select(func.max(runs.c.id)).scalar_subquery()
_OPTED_OUT = '%"unsubscribed":true%'
_OVER = ("done", "cancelled", "skipped", "failed")
_NEWEST_DELIVERY = select(func.max(deliveries.c.id)).scalar_subquery()


def _old_rows(before: int) -> dict[Table, tuple[Column[Any], ColumnElement[bool]]]:
    """For each table its key, and what is old. The newest event and delivery stay: numbers are counted from them."""
    finished = text(f"NOT ({UNFINISHED})")
    return {
        events: (events.c.id, and_(events.c.received_at < before, events.c.id < _NEWEST_EVENT)),
        deliveries: (
            deliveries.c.id,
            and_(deliveries.c.created_at < before, finished, deliveries.c.id < _NEWEST_DELIVERY),
        ),
        attempts: (attempts.c.delivery, attempts.c.at < before),
        mailbox: (mailbox.c.id, mailbox.c.at < before),
        conversations: (conversations.c.key, conversations.c.last_at < before),
        # Who wants no more news wants none ever.
        memories: (memories.c.key, and_(memories.c.changed_at < before, memories.c.document.not_like(_OPTED_OUT))),
        runs: (runs.c.id, and_(runs.c.at < before, runs.c.state.in_(_OVER), runs.c.id < _NEWEST_RUN)),
        attachments: (attachments.c.token, attachments.c.at < before),
    }


Old = Mapping[str, tuple[Any, ...]]
"""Keys of old rows, by the name of their table."""


def find_old(connection: Connection, before: datetime, most: int = 500) -> Old:
    """At most `most` old rows of each table. It may read much, so it is for a reader, not for the writer."""
    found: dict[str, tuple[Any, ...]] = {}
    for table, (key, is_old) in _old_rows(to_ms(before)).items():
        keys = tuple(connection.scalars(select(key).where(is_old).limit(most)))
        if keys:
            found[table.name] = keys
    return found


def drop(connection: Connection, items: Sequence[tuple[datetime, Old]]) -> list[int]:
    """Delete old rows, if they are still old; gives how many."""
    counts = []
    for before, old in items:
        rules = {table.name: (table, *rule) for table, rule in _old_rows(to_ms(before)).items()}
        count = 0
        for name, keys in old.items():
            table, key, is_old = rules[name]
            count += connection.execute(delete(table).where(key.in_(keys), is_old)).rowcount
            if table is memories:
                kept = select(memories.c.key).where(memories.c.key.in_(keys))
                connection.execute(delete(aliases).where(aliases.c.key.in_(keys), aliases.c.key.not_in(kept)))
        counts.append(count)
    return counts
