"""Circuits: which accounts are left alone because their platforms do not answer, for whoever looks from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from bridge.clock import from_ms, to_ms
from bridge.store.locks import lock
from bridge.store.tables import circuits


@dataclass(frozen=True, kw_only=True, slots=True)
class Circuit:
    """An account is left alone since a moment; it is tried again at `until`. `detail` says why; None: it goes well."""

    account: str
    since: datetime
    until: datetime
    detail: str | None


def note_circuits(connection: Connection, items: Sequence[Circuit]) -> list[None]:
    """Note how accounts stand now."""
    lock(connection, "circuit", {item.account for item in items})
    for item in items:
        before = connection.scalar(select(circuits.c.since).where(circuits.c.account == item.account))
        connection.execute(delete(circuits).where(circuits.c.account == item.account))
        if item.detail is not None:
            since = to_ms(item.since) if before is None else before
            row = {"account": item.account, "since": since, "until": to_ms(item.until), "detail": item.detail}
            connection.execute(insert(circuits), row)
    return [None] * len(items)


def open_circuits(connection: Connection) -> dict[str, Circuit]:
    """The accounts that are left alone, by their names."""
    return {
        row.account: Circuit(account=row.account, since=from_ms(row.since), until=from_ms(row.until), detail=row.detail)
        for row in connection.execute(select(circuits))
    }


def forget_circuits(connection: Connection, items: Sequence[None]) -> list[None]:
    """A server that starts knows nothing of what its platforms did before."""
    connection.execute(delete(circuits))
    return [None] * len(items)
