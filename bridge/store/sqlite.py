"""SQLite: a file that one server has to itself, and that may be damaged."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.observe import log

CHECK_WITHIN = 3.0
"""Seconds that looking for damage may take at start; a large file is looked at in part."""
TO_MEND = (
    "; the file is damaged: put a backup in its place (README, Operations), or save what can still be read: "
    "sqlite3 bridge.db .recover"
)


def keep_others_off(database: Path) -> Callable[[], None]:
    """Keep other servers off the file; gives what lets them again. The lock goes with the process, however it ends.

    Raises StoreError where another serves from it, or its folder cannot be written to.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{database}: the store cannot be kept here: {error.strerror or error}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StoreError(f"{database}: another replybridge is serving from this file; stop it first") from None
    return lambda: os.close(handle)


def tells_damage(why: str) -> bool:
    """Whether an error of the driver means that the file is damaged."""
    return "malformed" in why or "not a database" in why


def look_for_damage(engine: Engine, clock: Clock) -> None:
    """Raises SQLAlchemyError or StoreError where the file is damaged; what it finds in `CHECK_WITHIN`, it finds."""
    end = clock.monotonic() + CHECK_WITHIN
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        if driver is None:
            return
        driver.set_progress_handler(lambda: clock.monotonic() > end, 100_000)
        try:
            [(found,)] = connection.connection.cursor().execute("PRAGMA quick_check(1)").fetchall()
        except connection.dialect.loaded_dbapi.OperationalError as error:
            if "interrupted" not in str(error):
                raise StoreError(f"{engine.url.database}: {error}{TO_MEND}") from None
            log().info("the store is large; only a part of it was looked at for damage", seconds=CHECK_WITHIN)
            found = "ok"
        except connection.dialect.loaded_dbapi.DatabaseError as error:
            raise StoreError(f"{engine.url.database}: {error}{TO_MEND}") from None
        finally:
            driver.set_progress_handler(None, 0)
    if found != "ok":
        raise StoreError(f"{engine.url.database}: {found}{TO_MEND}")
