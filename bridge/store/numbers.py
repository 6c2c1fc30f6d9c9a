"""Numbers: how events, deliveries and runs are numbered, so that a row's number is known before it is written."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any, Literal

from sqlalchemy import BigInteger, Connection, bindparam, func, select

from bridge.store.postgres import is_postgres
from bridge.store.prepared import Prepared
from bridge.store.tables import NUMBERED

_Found = Callable[[], Sequence[Any]]
Numbered = Literal["events", "deliveries", "runs"]

# A writing transaction of SQLite is alone, so the next number is one more than the last. On PostgreSQL the numbers
# that several servers take at the same time differ, and grow: who takes one later, has a larger one. Some stay unused.
_NEXT: dict[str, Prepared] = {
    table.name: Prepared(
        select(func.coalesce(func.max(table.c.id), 0) + 1),
        postgresql=select(sequence.next_value()).select_from(
            func.generate_series(1, bindparam("many", type_=BigInteger)).table_valued("each").render_derived()
        ),
    )
    for table, sequence in NUMBERED.items()
}


def numbers(connection: Connection, what: Numbered, at_once: int = 1) -> Iterator[int]:
    """New numbers, in rising order; `at_once` is about how many will be wanted. Raises StoreError.

    On PostgreSQL what has to keep its order (the deliveries of a conversation) is locked before they are taken.
    """
    ask = partial(_NEXT[what].ask, connection, many=max(1, at_once))
    return _taken(ask(), ask) if is_postgres(connection) else _counted(ask)


def _counted(ask: Callable[[], _Found]) -> Iterator[int]:
    """Asked for when the first is wanted, which may be never."""
    [(first,)] = ask()()
    yield from count(first)


def _taken(found: _Found, ask: Callable[[], _Found]) -> Iterator[int]:
    while True:
        for (number,) in found():
            yield number
        found = ask()
