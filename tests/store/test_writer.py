"""Group commit: one transaction for all that waits, and nobody pays for another's fault."""

import asyncio
import gc
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from bridge.clock import SetClock
from bridge.errors import StoreError
from bridge.store.lull import LONGEST, STILL
from bridge.store.store import Store, open_store, visit_store
from bridge.store.writer import Needless
from tests.conftest import Unwatched

_NEW = text("INSERT INTO memories VALUES (:key, '{}', 1)")


def keep(connection: Connection, items: Sequence[str]) -> list[int]:
    connection.execute(_NEW, [{"key": item} for item in items])
    return [len(items)] * len(items)


def count(connection: Connection) -> int:
    found: int = connection.execute(text("SELECT count(*) FROM memories")).scalar_one()
    return found


async def test_items_that_wait_together_share_a_transaction(store: Store) -> None:
    shared = await asyncio.gather(*(store.write(keep, f"k{n}") for n in range(200)))
    assert max(shared) > 1
    assert await store.read(count) == 200


async def test_items_that_are_still_on_their_way_share_the_transaction_too(store: Store) -> None:
    async def come_late(number: int) -> int:
        for _ in range(number % STILL):
            await asyncio.sleep(0)
        return await store.write(keep, f"k{number}")

    assert await asyncio.gather(*(come_late(number) for number in range(60))) == [60] * 60


async def test_what_goes_on_coming_keeps_nobody_waiting_for_long(store: Store, clock: SetClock) -> None:
    first = store.write(keep, "first")
    others: list[asyncio.Future[int]] = []
    while not first.done():
        clock.advance(LONGEST / 10)
        others.append(store.write(keep, f"k{len(others)}"))
        await asyncio.sleep(0)
    assert 10 <= first.result() <= 13
    await asyncio.gather(*others)


def add_k(number: int) -> "str | Needless[int]":
    if number < 0:
        raise ValueError(f"{number} is no number of a key")
    return f"k{number}" if number else Needless(0)


async def test_items_that_are_prepared_share_a_transaction_with_others(store: Store) -> None:
    prepared = [store.prepare_and_write(add_k, number, keep) for number in range(1, 100)]
    assert await asyncio.gather(*prepared, store.write(keep, "other")) == [100] * 100


async def test_what_preparing_finds_is_given_out_and_nothing_written(store: Store) -> None:
    found = await asyncio.gather(
        *(store.prepare_and_write(add_k, number, keep) for number in (1, -1, 0, 2)), return_exceptions=True
    )
    assert (found[0], str(found[1]), found[2:]) == (2, "-1 is no number of a key", [0, 2])
    assert await store.read(count) == 2


class Given:
    """What is large, as a body may be."""


async def test_nothing_is_left_of_what_preparing_refused(store: Store) -> None:
    def refuse(given: Given) -> str:
        raise ValueError("no")

    def kept() -> int:
        return sum(isinstance(one, Given) for one in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with suppress(ValueError):
                await store.prepare_and_write(refuse, Given(), keep)
        # Who is woken by a future still has it in hand.
        await asyncio.sleep(0)
        assert kept() == 0
    finally:
        gc.enable()


async def test_preparing_waits_for_no_transaction(store: Store) -> None:
    over = threading.Event()

    def keep_at_the_end(connection: Connection, items: Sequence[str]) -> list[int]:
        over.wait(10)
        return keep(connection, items)

    running = store.write(keep_at_the_end, "slow")
    while not store.busy or store.waiting:
        await asyncio.sleep(0)
    written = store.prepare_and_write(add_k, 1, keep)
    assert await store.prepare_and_write(add_k, 0, keep) == 0
    assert (running.done(), written.done()) == (False, False)
    over.set()
    assert (await running, await written) == (1, 1)


async def test_preparing_that_takes_long_leaves_others_their_turn(store: Store, clock: SetClock) -> None:
    done: list[str] = []

    def slowly(number: int) -> "str | Needless[int]":
        clock.advance(LONGEST * 0.6)
        done.append(f"prepared {number}")
        if number == 2:
            asyncio.get_running_loop().call_soon(done.append, "something else")
        return f"k{number}"

    await asyncio.gather(*(store.prepare_and_write(slowly, number, keep) for number in range(1, 5)))
    assert done == ["prepared 1", "prepared 2", "something else", "prepared 3", "prepared 4"]


async def test_who_goes_away_while_it_is_prepared_hinders_nobody(store: Store) -> None:
    gone, there = store.prepare_and_write(add_k, 1, keep), store.prepare_and_write(add_k, 2, keep)
    away = store.prepare_and_write(add_k, -1, keep)
    gone.cancel()
    away.cancel()
    assert await there == 2
    assert await store.read(count) == 2


async def test_a_bad_item_fails_alone(store: Store) -> None:
    await store.write(keep, "taken")
    results = await asyncio.gather(
        *(store.write(keep, key) for key in ("a", "taken", "b", "c")), return_exceptions=True
    )
    assert [isinstance(result, StoreError) for result in results] == [False, True, False, False]
    assert await store.read(count) == 4


async def test_the_error_says_nothing_of_what_was_to_be_written(store: Store) -> None:
    await store.write(keep, "jose@example.com")
    with pytest.raises(StoreError) as caught:
        await store.write(keep, "jose@example.com")
    assert "unique" in str(caught.value).lower()
    assert "jose" not in str(caught.value)


async def test_a_work_that_raises_writes_nothing(store: Store) -> None:
    def fail(connection: Connection, items: Sequence[str]) -> list[None]:
        keep(connection, items)
        raise LookupError("no")

    with pytest.raises(LookupError):
        await store.write(fail, "x")
    assert await store.read(count) == 0


async def test_what_is_refused_only_at_the_commit_fails_alone(postgres_url: str, clock: SetClock) -> None:
    def begin(connection: Connection, items: Sequence[None]) -> list[None]:
        connection.execute(
            text("CREATE TABLE debts (owed text REFERENCES memories (key) DEFERRABLE INITIALLY DEFERRED)")
        )
        return [None] * len(items)

    def owe(connection: Connection, items: Sequence[str]) -> list[int]:
        connection.execute(text("INSERT INTO debts VALUES (:owed)"), [{"owed": item} for item in items])
        return [len(items)] * len(items)

    def debts(connection: Connection) -> list[str]:
        return list(connection.scalars(text("SELECT owed FROM debts ORDER BY owed")))

    with open_store(postgres_url, clock, Unwatched()) as store:
        await store.write(begin, None)
        await asyncio.gather(store.write(keep, "a"), store.write(keep, "b"))
        results = await asyncio.gather(*(store.write(owe, key) for key in ("a", "nobody", "b")), return_exceptions=True)
        assert [result if isinstance(result, int) else type(result) for result in results] == [1, StoreError, 1]
        assert await store.read(debts) == ["a", "b"]


async def test_what_was_committed_is_there_after_opening_again(tmp_path: Path, clock: SetClock) -> None:
    url = f"sqlite:///{tmp_path}/again.db"
    with open_store(url, clock, Unwatched()) as first:
        await first.write(keep, "kept")
    with open_store(url, clock, Unwatched()) as second:
        assert await second.read(count) == 1


async def test_closing_writes_what_still_waits(tmp_path: Path, clock: SetClock) -> None:
    store = open_store(f"sqlite:///{tmp_path}/closing.db", clock, Unwatched())
    waiting = [store.write(keep, f"k{n}") for n in range(50)]
    waiting += [store.prepare_and_write(add_k, n, keep) for n in range(50, 60)]
    store.close()
    assert await asyncio.gather(*waiting) == [60] * 60


def test_a_second_server_is_kept_off_the_file(file_store: Store, tmp_path: Path, clock: SetClock) -> None:
    with pytest.raises(StoreError, match="another replybridge is serving"):
        open_store(f"sqlite:///{tmp_path}/bridge.db", clock, Unwatched())


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path, clock: SetClock) -> None:
    (tmp_path / "notes.db").write_text("these are my notes, and there are many of them\n" * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(f"sqlite:///{tmp_path}/notes.db", clock, Unwatched())


def test_a_visitor_is_told_where_a_store_would_come_from(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="replybridge serve"), visit_store(f"sqlite:///{tmp_path}/none.db"):
        pass


def test_what_is_acknowledged_is_on_the_disk(file_store: Store) -> None:
    def pragmas(connection: Connection) -> tuple[object, ...]:
        return tuple(connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous"))

    assert file_store.read_now(pragmas) == ("wal", 2)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, clock: SetClock) -> None:
    (tmp_path / "data").write_text("a file stands where the folder should be")
    with pytest.raises(StoreError, match=r"data/bridge\.db: the store cannot be kept here"):
        open_store(f"sqlite:///{tmp_path}/data/bridge.db", clock, Unwatched())
