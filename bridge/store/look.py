"""Looking things up, and the small writes beside the line: attachments, mailboxes, counts, lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, text

from bridge.clock import from_ms, to_ms
from bridge.store.insert import insert_unless_there
from bridge.store.locks import lock
from bridge.store.prepared import Prepared
from bridge.store.rows import dump
from bridge.store.signals import say
from bridge.store.tables import OPEN, attachments, conversations, mailbox

OPEN_FOR = timedelta(hours=24)
"""A conversation in which nothing happened for this long is no longer counted as open."""


def count_open(connection: Connection, account: str, now: datetime) -> tuple[int, int]:
    """How many conversations of an account are open, and how many of them wait for an answer."""
    row = connection.execute(
        select(func.count(), func.coalesce(func.sum(conversations.c.waiting), 0)).where(
            conversations.c.account == account,
            text(OPEN),
            conversations.c.last_at > to_ms(now - OPEN_FOR),
        )
    ).one()
    return row[0], row[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A file that was kept; `size` in bytes."""

    token: str
    account: str
    name: str
    type: str
    size: int
    at: datetime


def keep_attachment(connection: Connection, items: Sequence[Kept]) -> list[None]:
    rows = [
        {"token": k.token, "account": k.account, "name": k.name, "type": k.type, "size": k.size, "at": to_ms(k.at)}
        for k in items
    ]
    connection.execute(insert(attachments), rows)
    return [None] * len(items)


def attachments_among(connection: Connection, tokens: Sequence[str]) -> frozenset[str]:
    """Those of the tokens that are an attachment's."""
    return frozenset(connection.scalars(select(attachments.c.token).where(attachments.c.token.in_(tokens))))


def oldest_attachment(connection: Connection) -> datetime | None:
    """When the oldest of them was kept."""
    at = connection.scalar(select(func.min(attachments.c.at)))
    return None if at is None else from_ms(at)


def attachment_by_token(connection: Connection, token: str) -> Kept | None:
    row = connection.execute(select(attachments).where(attachments.c.token == token)).one_or_none()
    if row is None:
        return None
    return Kept(token=row.token, account=row.account, name=row.name, type=row.type, size=row.size, at=from_ms(row.at))


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """Something put into a mailbox for one delivery; `body` is what its reader gets, as JSON."""

    mailbox: str
    delivery: int
    body: Mapping[str, object]
    at: datetime


_POST = Prepared(insert_unless_there(mailbox, "delivery"), ["name", "delivery", "body", "at"])


def post(connection: Connection, items: Sequence[Mail]) -> list[None]:
    """Put mail into mailboxes, once a delivery however often it is tried."""
    # Numbers are given out and seen in one order: a browser asks for what came after the last that it saw.
    names = {m.mailbox for m in items}
    lock(connection, "mailbox", names)
    for name in names:
        say(connection, "mail", name)
    rows = [{"name": m.mailbox, "delivery": m.delivery, "body": dump(m.body), "at": to_ms(m.at)} for m in items]
    _POST.run(connection, rows)
    return [None] * len(items)


def mail_after(connection: Connection, name: str, number: int, most: int = 200) -> list[tuple[int, str]]:
    """The numbers and bodies (JSON) of a mailbox after a number, oldest first.

    A number that was never given out is of a store that is no more; then the mailbox is read from its beginning.
    """
    if number > (connection.scalar(select(func.max(mailbox.c.id))) or 0):
        number = 0
    rows = connection.execute(
        select(mailbox.c.id, mailbox.c.body)
        .where(mailbox.c.name == name, mailbox.c.id > number)
        .order_by(mailbox.c.id)
        .limit(most)
    )
    return [(row.id, row.body) for row in rows]
