"""SQLite's log of changes: copied back by who serves, after the answers, and by nobody else."""

import asyncio
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from bridge.clock import SetClock
from bridge.errors import StoreError
from bridge.store.forget import compact
from bridge.store.store import Store, open_store, visit_store
from tests.conftest import Unwatched

_NEW = text("INSERT INTO memories VALUES (:key, :document, 1)")
_DOCUMENT = "x" * 1000


def keep(connection: Connection, items: Sequence[str]) -> list[None]:
    connection.execute(_NEW, [{"key": item, "document": _DOCUMENT} for item in items])
    return [None] * len(items)


def count(connection: Connection) -> int:
    found: int = connection.execute(text("SELECT count(*) FROM memories")).scalar_one()
    return found


async def write(store: Store, what: str, batches: int) -> list[object]:
    """What came of the last batch: None for each item that was written."""
    results: list[object] = []
    for batch in range(batches):
        items = (store.write(keep, f"{what} {batch} {number}") for number in range(100))
        results = await asyncio.gather(*items, return_exceptions=True)
    return results


def log_of(folder: Path) -> int:
    return (folder / "bridge.db-wal").stat().st_size


async def test_the_log_is_copied_back_while_it_is_written(file_store: Store, tmp_path: Path) -> None:
    await write(file_store, "a", 100)
    assert (tmp_path / "bridge.db").stat().st_size > 9_000_000
    assert log_of(tmp_path) < 8_000_000


async def test_a_reader_that_takes_its_time_holds_nothing_up_and_the_log_is_used_again(
    file_store: Store, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "bridge.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM memories").fetchone() == (0,)
        await write(file_store, "a", 100)
        grown = log_of(tmp_path)
        assert grown > 9_000_000
        reader.execute("COMMIT")
    await write(file_store, "b", 100)
    assert log_of(tmp_path) < grown * 1.2
    assert await file_store.read(count) == 20_000


async def test_large_rows_do_not_make_a_large_log(file_store: Store, tmp_path: Path) -> None:
    def keep_large(connection: Connection, items: Sequence[str]) -> list[None]:
        connection.execute(_NEW, [{"key": item, "document": "x" * 500_000} for item in items])
        return [None] * len(items)

    for number in range(100):
        await file_store.write(keep_large, str(number))
    assert log_of(tmp_path) < 20_000_000


async def test_a_command_copies_nothing_back_beside_a_server(file_store: Store, tmp_path: Path) -> None:
    await write(file_store, "a", 1)
    before = (tmp_path / "bridge.db").read_bytes()
    with visit_store(f"sqlite:///{tmp_path}/bridge.db") as engine, engine.begin() as connection:
        connection.execute(_NEW, [{"key": f"b {number}", "document": _DOCUMENT} for number in range(20_000)])
    assert log_of(tmp_path) > 20_000_000
    assert (tmp_path / "bridge.db").read_bytes() == before
    assert await file_store.read(count) == 20_100


def test_a_command_alone_copies_everything_back_at_its_end(tmp_path: Path, clock: SetClock) -> None:
    url = f"sqlite:///{tmp_path}/bridge.db"
    with open_store(url, clock, Unwatched()):
        pass
    with visit_store(url) as engine, engine.begin() as connection:
        connection.execute(_NEW, [{"key": f"b {number}", "document": _DOCUMENT} for number in range(20_000)])
    assert (tmp_path / "bridge.db").stat().st_size > 20_000_000
    assert not (tmp_path / "bridge.db-wal").exists()


_HOLD = (
    "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX, 1, 121); print(flush=True); input()"
)
"""Holds the lock of whoever copies back: https://sqlite.org/walformat.html#locking_matrix"""


@contextmanager
def another_that_copies_back(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", _HOLD, str(folder / "bridge.db-shm")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield other
        other.kill()


async def test_who_writes_the_file_anew_waits_for_another_that_copies_back(file_store: Store, tmp_path: Path) -> None:
    await write(file_store, "a", 1)
    pauses = 0
    with another_that_copies_back(tmp_path) as other, visit_store(f"sqlite:///{tmp_path}/bridge.db") as engine:

        def pause() -> None:
            nonlocal pauses
            pauses += 1
            if pauses == 3:
                other.kill()
                other.wait()

        compact(engine, pause)
        assert pauses == 3
        assert log_of(tmp_path) == 0


async def test_what_cannot_be_written_anew_is_said(file_store: Store, tmp_path: Path) -> None:
    await write(file_store, "a", 1)
    with (
        another_that_copies_back(tmp_path),
        visit_store(f"sqlite:///{tmp_path}/bridge.db") as engine,
        pytest.raises(StoreError, match="run it once more"),
    ):
        compact(engine, lambda: None)


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """As on a disk that is full: no file of this process can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_what_cannot_be_copied_back_is_safe_in_the_log(tmp_path: Path, clock: SetClock) -> None:
    url = f"sqlite:///{tmp_path}/bridge.db"
    done = 0
    with open_store(url, clock, Unwatched()) as store:
        with no_file_above(8_000_000):
            while (results := await write(store, f"a {done}", 1)) == [None] * 100:
                done += len(results)
            done += results.count(None)
            # The copying stopped first, and the log took more until it was full too.
            assert (tmp_path / "bridge.db").stat().st_size == log_of(tmp_path) == 8_000_000
        await write(store, "b", 20)
        assert await store.read(count) == done + 2000
    with open_store(url, clock, Unwatched()) as store:
        assert await store.read(count) == done + 2000
