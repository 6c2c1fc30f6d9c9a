"""Recorded: what happened, and what was decided about it, read in chunks without writing anything."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Column, ColumnElement, Connection, Engine, Row, and_, func, inspect, select, text
from sqlalchemy.event import listens_for

from bridge.clock import from_ms, to_ms
from bridge.errors import StoreError
from bridge.model.delivery import Delivery, Reason, State
from bridge.model.event import Event
from bridge.store import tables
from bridge.store.rows import conversation_from, conversation_key, delivery_from, event_from
from bridge.store.store import visit_store
from bridge.store.tables import deliveries, events

AT_ONCE = 200
"""Events that are read at once; one may be as large as the largest webhook."""

_read_trace = msgspec.json.Decoder(list[dict[str, Any]]).decode
_COLUMNS: Sequence[Column[Any]] = (events.c.id, events.c.received_at, events.c.body, events.c.trace)


class Past(Struct, frozen=True, kw_only=True):
    """A recorded event: its number, the moment (UTC) at which the rules looked at it, and what they made of it."""

    number: int
    at: datetime
    event: Event
    written: str

    @property
    def trace(self) -> Sequence[Mapping[str, Any]]:
        """What was decided about the rules that came near."""
        return _read_trace(self.written)


class Told(Struct, frozen=True, kw_only=True):
    """What was decided to be sent, how it stands, and the platform's id of what was sent."""

    delivery: Delivery
    state: State
    reason: Reason | None
    detail: str | None
    reference: str | None = None
    finished_at: datetime | None = None

    @property
    def held_back(self) -> bool:
        """Whether it was held back when it was decided; what a person cancels was meant to be sent."""
        return self.state == "cancelled" and self.finished_at == self.delivery.created_at


class Chosen(Struct, frozen=True, kw_only=True):
    """Which recorded events are meant: of an account, of a conversation, up to a number (inclusive)."""

    account: str | None = None
    conversation: str | None = None
    upto: int | None = None

    def where(self, after: int) -> ColumnElement[bool]:
        """The condition for those that come after the number `after`."""
        met = [events.c.id > after]
        if self.upto is not None:
            met.append(events.c.id <= self.upto)
        if self.account is not None:
            met.append(events.c.account == self.account)
        if self.conversation is not None:
            met.append(events.c.conversation == self.conversation)
        if self.account is not None and self.conversation is not None:
            # The identity begins with both, and it is what the table has an index of. "0" comes next after "/".
            start = conversation_key(self.account, self.conversation)
            met += [events.c.identity >= f"{start}/", events.c.identity < f"{start}0"]
        return and_(*met)


class Extent(Struct, frozen=True, kw_only=True):
    """How many events and conversations there are, the newest event's number, and when the first and last came."""

    count: int = 0
    conversations: int = 0
    last: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None


class Records:
    """Every answer is a short look of its own, so that a long reading does not keep the store from tidying up."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(reads=True)

    @contextmanager
    def _look(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            yield connection

    def extent(self, chosen: Chosen, since: datetime | None = None) -> Extent:
        """What there is to read of the chosen events, of those looked at from `since` on."""
        met = chosen.where(0)
        if since is not None:
            met = and_(met, events.c.received_at >= to_ms(since))
        at = events.c.received_at
        span = select(func.count(), func.max(events.c.id), func.min(at), func.max(at)).where(met)
        talks = select(func.count()).select_from(
            select(events.c.account, events.c.conversation).where(met).distinct().subquery()
        )
        with self._look() as connection:
            count, last, oldest, newest = connection.execute(span).one()
            conversations = connection.scalar(talks) or 0
        if not count:
            return Extent()
        return Extent(
            count=count, conversations=conversations, last=last, oldest=from_ms(oldest), newest=from_ms(newest)
        )

    def event(self, number: int) -> Past | None:
        with self._look() as connection:
            row = connection.execute(select(*_COLUMNS).where(events.c.id == number)).one_or_none()
        return None if row is None else _past(row)

    def chunks(self, chosen: Chosen, at_once: int = AT_ONCE) -> Iterator[list[Past]]:
        """The chosen events in the order in which they were looked at."""
        after = 0
        while True:
            wanted = select(*_COLUMNS).where(chosen.where(after)).order_by(events.c.id).limit(at_once)
            with self._look() as connection:
                found = [_past(row) for row in connection.execute(wanted)]
            if found:
                yield found
                after = found[-1].number
            if len(found) < at_once:
                return

    def newest(self, chosen: Chosen, most: int) -> list[Past]:
        """The newest of the chosen events, newest first."""
        wanted = select(*_COLUMNS).where(chosen.where(0)).order_by(events.c.id.desc()).limit(most)
        with self._look() as connection:
            return [_past(row) for row in connection.execute(wanted)]

    def told(self, first: int, last: int) -> dict[int, list[Told]]:
        """What the events of the numbers from `first` to `last` came to, by number, in the order it was decided."""
        wanted = select(deliveries).where(deliveries.c.event.between(first, last)).order_by(deliveries.c.id)
        found: dict[int, list[Told]] = {}
        with self._look() as connection:
            for row in connection.execute(wanted):
                found.setdefault(row.event, []).append(
                    Told(
                        delivery=delivery_from(row),
                        state=row.state,
                        reason=row.reason,
                        detail=row.detail,
                        reference=row.reference,
                        finished_at=None if row.finished_at is None else from_ms(row.finished_at),
                    )
                )
        return found

    def called(self, name: str) -> list[tuple[str, str]]:
        """The conversations (account and id) that "account/conversation", or an id alone, may mean."""
        account, slash, rest = name.partition("/")
        meant = events.c.conversation == name
        if slash:
            meant = meant | ((events.c.account == account) & (events.c.conversation == rest))
        with self._look() as connection:
            rows = connection.execute(select(events.c.account, events.c.conversation).where(meant).distinct())
            return sorted((row.account, row.conversation) for row in rows)

    def opened_at(self, account: str, conversation: str) -> datetime | None:
        """When a conversation began, as the store knows it; older events of it may be kept no more."""
        wanted = select(tables.conversations.c.document).where(
            tables.conversations.c.key == conversation_key(account, conversation)
        )
        with self._look() as connection:
            document = connection.scalar(wanted)
        return None if document is None else conversation_from(document)[0].opened_at


@contextmanager
def recorded(url: str) -> Iterator[Records]:
    """What the store has recorded, also while a server runs. Raises StoreError, also for whoever tries to write."""
    with visit_store(url) as engine:

        @listens_for(engine, "connect")
        def only_read(connection: Any, _: object) -> None:
            connection.execute("PRAGMA query_only=ON")

        with engine.execution_options(reads=True).connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                raise StoreError(f"{url}: this is no store of replybridge; `replybridge serve` makes one")
            version = connection.scalar(text("SELECT version_num FROM alembic_version"))
        if version != tables.HEAD:
            raise StoreError(
                f"{url}: the store has version {version}, this replybridge reads version {tables.HEAD}; "
                "`replybridge serve` brings an older one up to date"
            )
        yield Records(engine)


def _past(row: Row[Any]) -> Past:
    return Past(number=row.id, at=from_ms(row.received_at), event=event_from(row.body), written=row.trace)
