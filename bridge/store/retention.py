"""Retention: what is older than it has to be kept goes, in small steps, so that nobody waits for it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, delete, exists, func, not_, or_, select, text

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
_NEWEST_DELIVERY = select(func.max(deliveries.c.id)).scalar_subquery()
_OVER = ("done", "cancelled", "skipped", "failed")
_IS_AWAITED = exists().where(
    conversations.c.key == events.c.account + "/" + events.c.conversation, conversations.c.wake_at.is_not(None)
)
"""A follow-up may wait for longer than anything is kept, and is about events of its conversation."""
_HELD_BACK = ("unsubscribed", "blocked")
"""Facts because of which no broadcast goes to a contact."""
_YES = ("true", '"', *"123456789")
"""How the value of a fact that holds begins: rules may remember a text or a time as well. With a list, the name is that
of a limited rule, which fired then."""


def _old_rows(before: int) -> dict[Table, tuple[Column[Any], ColumnElement[bool]]]:
    """For each table its key, and what is old. The newest event and delivery stay: numbers are counted from them."""
    finished = text(f"NOT ({UNFINISHED})")
    return {
        events: (events.c.id, and_(events.c.received_at < before, events.c.id < _NEWEST_EVENT, not_(_IS_AWAITED))),
        deliveries: (
            deliveries.c.id,
            and_(deliveries.c.created_at < before, finished, deliveries.c.id < _NEWEST_DELIVERY),
        ),
        attempts: (attempts.c.delivery, attempts.c.at < before),
        mailbox: (mailbox.c.id, mailbox.c.at < before),
        conversations: (
            conversations.c.key,
            and_(conversations.c.last_at < before, conversations.c.wake_at.is_(None)),
        ),
        memories: (memories.c.key, and_(memories.c.changed_at < before, not_(_is_held_back()))),
        runs: (runs.c.id, and_(runs.c.at < before, runs.c.state.in_(_OVER), runs.c.id < _NEWEST_RUN)),
        attachments: (attachments.c.token, attachments.c.at < before),
    }


def _is_held_back() -> ColumnElement[bool]:
    """Whether it is remembered of somebody that no broadcast goes to them: who wants no more news wants none ever."""
    return or_(*(memories.c.document.contains(f'"{name}":{yes}') for name in _HELD_BACK for yes in _YES))


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
