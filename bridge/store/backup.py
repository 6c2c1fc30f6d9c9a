"""Backup: the store as it is at one moment, with its files, in one archive, while a server runs."""

import os
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

from bridge.errors import StoreError

DATABASE = "bridge.db"
ATTACHMENTS = "attachments"


def back_up(database: Path, attachments: Path, target: Path) -> int:
    """Write a tar archive with the database and the files it names; gives the number of files.

    It is written beside `target` first and takes its place when it is whole and on the disk, so `target` is either
    what it was or a whole backup. Raises StoreError.
    """
    part, copy = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.db")
    try:
        copy.touch(mode=0o600)
        _copy(database, copy)
        part.touch(mode=0o600)
        count = _pack(copy, attachments, part)
        part.replace(target)
    except sqlite3.Error as error:
        raise StoreError(f"{target}: the backup could not be made: {error}") from None
    except OSError as error:
        raise StoreError(f"{target}: the backup could not be written: {error.strerror or error}") from None
    finally:
        for left in (part, copy):
            left.unlink(missing_ok=True)
    return count


def _copy(database: Path, copy: Path) -> None:
    """All in one step: writers do not wait for it, and a copy in steps would begin anew with each of their changes."""
    with (
        closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        # As one file, without a log beside it.
        target.execute("PRAGMA journal_mode=DELETE")
        [(found,)] = target.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise StoreError(f"{database}: it is damaged, so it was not backed up: {found}")


def _pack(copy: Path, attachments: Path, part: Path) -> int:
    count = 0
    with part.open("wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        archive.add(copy, DATABASE)
        with closing(sqlite3.connect(copy)) as connection:
            for (token,) in connection.execute("SELECT token FROM attachments ORDER BY token"):
                # A file is written before its row; it is gone only where it grew too old meanwhile.
                if (attachments / token).is_file():
                    archive.add(attachments / token, f"{ATTACHMENTS}/{token}")
                    count += 1
        archive.close()
        file.flush()
        os.fsync(file.fileno())
    return count
