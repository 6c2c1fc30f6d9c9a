"""Duties: what one server at a time does for all that share a store. Each is had for a short while, and renewed.

A lock would not do: it ends with its transaction, or it outlives a server that is stopped and does nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, text

from bridge.clock import to_ms


class Duty(Struct, frozen=True, kw_only=True):
    """A server (`worker`) that would have a duty from `at` to `until`."""

    name: str
    worker: str
    at: datetime
    until: datetime


_HELD_UNTIL = text("SELECT until FROM duties WHERE name = :name")
_TAKE = text(
    "INSERT INTO duties (name, worker, until) VALUES (:name, :worker, :until) ON CONFLICT (name) DO UPDATE "
    "SET worker = excluded.worker, until = excluded.until WHERE duties.until <= :at OR duties.worker = excluded.worker "
    "RETURNING worker"
)
_LEAVE = text("DELETE FROM duties WHERE name = :name AND worker = :worker")


def held_until(connection: Connection, name: str) -> int:
    """Until when a server has the duty, in milliseconds; 0 where none has had it."""
    return connection.scalar(_HELD_UNTIL, {"name": name}) or 0


def take_on(connection: Connection, items: Sequence[Duty]) -> list[bool]:
    """Have duties that no other server has, or keep them; gives for each whether it is had."""
    had: dict[int, bool] = {}
    # In one order, so that two servers never wait for each other.
    for place, item in sorted(enumerate(items), key=lambda one: one[1].name):
        values = {"name": item.name, "worker": item.worker, "at": to_ms(item.at), "until": to_ms(item.until)}
        had[place] = connection.scalar(_TAKE, values) is not None
    return [had[place] for place in range(len(items))]


def leave(connection: Connection, items: Sequence[Duty]) -> list[None]:
    """Leave duties to whoever comes next, at once."""
    for item in sorted(items, key=lambda one: one.name):
        connection.execute(_LEAVE, {"name": item.name, "worker": item.worker})
    return [None] * len(items)
