"""Census: how many deliveries wait, are on their way, or need a person. Counted in indexes alone, and not too often."""

import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from sqlalchemy import Connection, func, select, text

from bridge.errors import StoreError
from bridge.observe import log
from bridge.store.prepared import Prepared
from bridge.store.store import Store
from bridge.store.tables import CLAIMED, TROUBLE, UNFINISHED, deliveries

Kind = TypeVar("Kind")
GOOD_FOR = 5.0
"""Seconds for which a count is given out again."""
SHARE = 0.02
"""The part of the time that counting may take, so that a long backlog is counted less often."""

_HOW_MANY = select(func.count()).select_from(deliveries)
# In one statement, so that both are of the same moment.
_UNDER_WAY = Prepared(
    select(
        _HOW_MANY.where(text(UNFINISHED)).scalar_subquery(),
        _HOW_MANY.where(text(CLAIMED)).scalar_subquery(),
    )
)
_TROUBLE = Prepared(select(deliveries.c.state, func.count()).where(text(TROUBLE)).group_by(deliveries.c.state))


def count_states(connection: Connection) -> dict[str, int]:
    """How many deliveries are in each state that a person may have to look at; `sent` would be a long count."""
    # What is queued has no index for itself alone: it is what is unfinished and not claimed.
    [(unfinished, claimed)] = _UNDER_WAY.fetch(connection)
    trouble = dict(_TROUBLE.fetch(connection))
    return {
        "queued": unfinished - claimed,
        "claimed": claimed,
        "unknown": trouble.get("unknown", 0),
        "dead": trouble.get("dead", 0),
    }


class Census(Generic[Kind]):
    """Has `count` count for whoever reads metrics, in their thread; several may at the same time. `monotonic` is in
    seconds."""

    def __init__(
        self, store: Store, monotonic: Callable[[], float], count: Callable[[Connection], Mapping[Kind, int]]
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._count = count
        self._counting = threading.Lock()
        self._counts: Mapping[Kind, int] = {}
        self._good_until: float | None = None

    def __call__(self) -> Mapping[Kind, int]:
        """How many there are, as it was at one moment: not longer ago than `GOOD_FOR` seconds, or than
        `1 / SHARE` times what counting took. Nothing while the store cannot be read: an old count would look like good
        news."""
        with self._counting:
            began = self._monotonic()
            if self._good_until is None or began >= self._good_until:
                self._good_until = None
                try:
                    self._counts = self._store.read_now(self._count)
                except StoreError as error:
                    log().error("cannot count for the metrics", error=str(error))
                    return {}
                counted = self._monotonic()
                self._good_until = counted + max(GOOD_FOR, (counted - began) / SHARE)
            return self._counts
