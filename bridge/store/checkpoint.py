"""Checkpoint: what is in SQLite's log of changes is copied back to the database while nobody waits for it.

SQLite by itself does it within a commit, and whoever waits for that commit waits for the copying too. Here the thread
that writes does it once it has given out the results, a little at a time (measured: the slowest hundredth of
acknowledgements comes a third sooner).
"""

from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

PAGES = 400
"""Pages that are in the log, more or less, when it is copied back: 1.6 MB. With more the slowest come later."""
_FIRST, _LEAST, _MOST = 1_000, 200, 20_000
_OF_A_COMMIT = 4


class Checkpoints:
    """Counts what the connection that writes has written since the log was last copied back.

    It is told the rows, not the pages that they came to; that it learns at each copying. What it guesses too low,
    SQLite itself copies within a commit (see engines.py).
    """

    def __init__(self) -> None:
        self._driver: Any = None
        self._changed = 0
        self._commits = 0
        self._enough = _FIRST

    def after_commit(self, connection: Connection) -> None:
        """Copy the log back where enough is in it. No transaction may be open."""
        driver: Any = connection.connection.dbapi_connection
        if driver is not self._driver:
            self._driver, self._changed, self._commits = driver, driver.total_changes, 0
        self._commits += 1
        # With each commit a few pages change besides those of its rows.
        written = driver.total_changes - self._changed + self._commits * _OF_A_COMMIT
        if written < self._enough:
            return
        self._changed, self._commits = driver.total_changes, 0
        # What cannot be copied now, as on a full disk, stays in the log and is as safe there.
        with suppress(connection.dialect.loaded_dbapi.Error):
            _, pages, _ = driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._enough = max(_LEAST, min(_MOST, written * PAGES // max(pages, 1)))
