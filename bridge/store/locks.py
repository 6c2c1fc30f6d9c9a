"""Locks: what several servers of one PostgreSQL may not do at the same time. On SQLite a transaction is alone anyway.

A lock is held until its transaction ends. Those of one kind are asked for all at once, in one order for everybody, and
the kinds in the order in which they stand in `Kind`; so no two transactions ever wait for each other.
"""

from collections.abc import Collection
from typing import Literal

from sqlalchemy import Connection, text

from bridge.store.postgres import is_postgres
from bridge.store.prepared import Prepared, a_list, as_list

Kind = Literal["conversation", "contact", "broadcast", "lane", "budget", "mailbox", "circuit"]

# Hashed to 64 bits: two keys that share a lock cost a wait, nothing else. The hashes are sorted, then locked in turn.
_LOCK = Prepared(
    text(
        "SELECT count(pg_advisory_xact_lock(lock)) FROM (SELECT DISTINCT hashtextextended(:kind || '/' || key, 0) "
        "AS lock FROM json_array_elements_text(CAST(:keys AS json)) AS key ORDER BY lock) AS sorted"
    ).bindparams(a_list("keys"))
)


def lock(connection: Connection, kind: Kind, keys: Collection[str]) -> None:
    """Wait until nobody else holds any of these, then hold them. Raises StoreError."""
    if keys and is_postgres(connection):
        _LOCK.execute(connection, kind=kind, keys=as_list(keys))
