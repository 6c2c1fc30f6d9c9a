"""Outcomes: who waits for what becomes of an operation that was ordered about an event."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from bridge.model.delivery import Delivery, Sent

Awaiting = tuple[int, str]
"""The number of an event, and an operation as "omnidesk.forward"."""


class Outcomes:
    """Tells those who wait at that moment; nothing is kept."""

    def __init__(self) -> None:
        self._waiting: dict[Awaiting, set[asyncio.Future[Sent | None]]] = {}

    @contextmanager
    def of(self, events: Collection[int], operation: str) -> Iterator["asyncio.Future[Sent | None]"]:
        """A future for what becomes of an operation about one of these events; None where it is given up."""
        outcome: asyncio.Future[Sent | None] = asyncio.get_running_loop().create_future()
        for event in events:
            self._waiting.setdefault((event, operation), set()).add(outcome)
        try:
            yield outcome
        finally:
            outcome.cancel()
            for event in events:
                waiting = self._waiting[event, operation]
                waiting.discard(outcome)
                if not waiting:
                    del self._waiting[event, operation]

    def note(self, delivery: Delivery, sent: Sent | None) -> None:
        """A delivery is finished: it was done, or given up (None)."""
        if delivery.command is None or delivery.event is None:
            return
        for outcome in self._waiting.get((delivery.event, delivery.command.operation), ()):
            if not outcome.done():
                outcome.set_result(sent)
