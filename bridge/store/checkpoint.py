"""Checkpoint: what is in SQLite's log of changes is copied back to the database while nobody waits for it.

SQLite by itself does it within a commit, and whoever waits for that commit waits for the copying too. Here the thread
that writes does it once it has given out the results, a little at a time (measured: the slowest hundredth of
acknowledgements comes a third sooner).
"""

from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

ENOUGH = 1_000
"""Copied is when so much has been written, by a rough guess of the pages in the log: 1 to 4 MB, for rows of the usual
size. For others SQLite itself sees that the log stays small (see engines.py)."""
_OF_A_COMMIT = 4


class Checkpoints:
    """Counts what the connection that writes has written since the log was last copied back."""

    def __init__(self) -> None:
        self._driver: Any = None
        self._changed = 0
        self._commits = 0

    def after_commit(self, connection: Connection) -> None:
        """Copy the log back where enough is in it. No transaction may be open."""
        driver: Any = connection.connection.dbapi_connection
        if driver is not self._driver:
            self._driver, self._changed, self._commits = driver, driver.total_changes, 0
        self._commits += 1
        # A changed row is seldom alone on its page, and few pages change besides with each commit.
        if driver.total_changes - self._changed + self._commits * _OF_A_COMMIT < ENOUGH:
            return
        self._changed, self._commits = driver.total_changes, 0
        # What cannot be copied now, as on a full disk, stays in the log and is as safe there.
        with suppress(connection.dialect.loaded_dbapi.Error):
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
