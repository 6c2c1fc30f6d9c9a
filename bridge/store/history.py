"""What a person looks up: deliveries, with their attempts and the events they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from bridge.clock import from_ms
from bridge.model.delivery import Delivery, State
from bridge.model.event import Event
from bridge.store.intervene import Filter
from bridge.store.rows import delivery_from, event_from
from bridge.store.tables import attempts, deliveries, events


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A delivery and how it stands; `reference` is the platform's id of what was sent."""

    delivery: Delivery
    state: State
    due_at: datetime | None
    finished_at: datetime | None
    reason: str | None
    detail: str | None
    reference: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Try:
    """One recorded attempt; `took` in milliseconds, `answer` an excerpt of what the platform said."""

    at: datetime
    took: int
    outcome: str
    reason: str | None
    detail: str | None
    status: int | None
    answer: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """A delivery with all its attempts and the event it answers, with the trace of the rules."""

    listed: Listed
    tries: tuple[Try, ...]
    event: Event | None
    trace: Sequence[Mapping[str, Any]]


def list_deliveries(connection: Connection, chosen: Filter, most: int) -> list[Listed]:
    """The newest deliveries that the filter means, newest first."""
    rows = connection.execute(select(deliveries).where(chosen.where()).order_by(deliveries.c.id.desc()).limit(most))
    return [_listed(row) for row in rows]


def tell(connection: Connection, number: int) -> Story | None:
    """All that is known of one delivery."""
    row = connection.execute(select(deliveries).where(deliveries.c.id == number)).one_or_none()
    if row is None:
        return None
    tries = connection.execute(select(attempts).where(attempts.c.delivery == number).order_by(attempts.c.number))
    event = connection.execute(select(events.c.body, events.c.trace).where(events.c.id == row.event)).one_or_none()
    return Story(
        listed=_listed(row),
        tries=tuple(
            Try(
                at=from_ms(t.at),
                took=t.took,
                outcome=t.outcome,
                reason=t.reason,
                detail=t.detail,
                status=t.status,
                answer=t.answer,
            )
            for t in tries
        ),
        event=None if event is None else event_from(event.body),
        trace=() if event is None else msgspec.json.decode(event.trace),
    )


def _listed(row: Row[Any]) -> Listed:
    return Listed(
        delivery=delivery_from(row),
        state=row.state,
        due_at=from_ms(row.wake_at) if row.state == "queued" and row.wake_at is not None else None,
        finished_at=None if row.finished_at is None else from_ms(row.finished_at),
        reason=row.reason,
        detail=row.detail,
        reference=row.reference,
    )
