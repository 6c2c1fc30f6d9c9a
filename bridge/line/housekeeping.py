"""Housekeeping: what is older than the retention goes, in small steps between the customers' events.

So do files that no row tells of: the server was killed between the two, and nobody would find them to forget them.
"""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.line.duty import Duty
from bridge.observe import log
from bridge.store.look import attachments_among, oldest_attachment
from bridge.store.retention import drop, find_old
from bridge.store.store import Store

BETWEEN_STEPS = 0.05
_STRAY_AFTER = timedelta(hours=1)
"""A file without a row that is younger may be about to have one."""
_FILES_AT_ONCE = 500


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
        before = self._clock.now() - self._keep_for
        gone = 0
        try:
            if await self._duty.mine():
                await self._delete_strays()
            if not self._keep_for:
                return
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

    async def _delete_strays(self) -> None:
        oldest = await self._store.read(oldest_attachment)
        if oldest is None:
            return
        # What is older than all that this store knows may be another's, which somebody is about to bring back.
        files = await asyncio.to_thread(_files_of, self._attachments, oldest, self._clock.now() - _STRAY_AFTER)
        for first in range(0, len(files), _FILES_AT_ONCE):
            tokens = files[first : first + _FILES_AT_ONCE]
            known = await self._store.read(partial(attachments_among, tokens=tokens))
            for token in tokens:
                if token not in known:
                    (self._attachments / token).unlink(missing_ok=True)
                    log().info("deleted a file that no row tells of", file=token[:8])


def _files_of(directory: Path, since: datetime, before: datetime) -> list[str]:
    """The names of the files that were written in this time."""
    if not directory.is_dir():
        return []
    first, last = since.timestamp(), before.timestamp()
    return [file.name for file in directory.iterdir() if file.is_file() and first <= file.stat().st_mtime < last]
