"""Housekeeping: what is older than the retention goes, in small steps between the customers' events."""

from datetime import timedelta
from functools import partial
from pathlib import Path

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.line.duty import Duty
from bridge.observe import log
from bridge.store.retention import drop, find_old
from bridge.store.store import Store

BETWEEN_STEPS = 0.05


class Housekeeping:
    """`keep_for` of zero keeps everything; `attachments` is the folder of the files.

    Where several servers share the store, the one clears whose `duty` it is.
    """

    def __init__(self, store: Store, attachments: Path, keep_for: timedelta, clock: Clock, duty: Duty) -> None:
        self._store = store
        self._attachments = attachments
        self._keep_for = keep_for
        self._clock = clock
        self._duty = duty

    async def clear(self) -> None:
        """Delete what is old, until nothing old is left."""
        if not self._keep_for:
            return
        before = self._clock.now() - self._keep_for
        gone = 0
        try:
            while await self._duty.mine() and (old := await self._store.read(partial(find_old, before=before))):
                # Files first: what is cut off in between finds them again by their rows, and never the other way round.
                for token in old.get("attachments", ()):
                    (self._attachments / token).unlink(missing_ok=True)
                gone += await self._store.write(drop, (before, old))
                await self._clock.sleep(BETWEEN_STEPS)
        except (StoreError, OSError) as error:
            log().error("housekeeping stopped; it goes on at the next hour", error=str(error))
        if gone:
            log().info("old rows deleted", rows=gone, before=before)
