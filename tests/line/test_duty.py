"""What one server at a time does: one has it, keeps it while it lives, and another takes it on."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bridge.clock import SetClock
from bridge.line.duty import HAD_FOR, Duty
from bridge.store.store import Store, open_store
from tests.conftest import Unwatched


@pytest.fixture
def stores(postgres_url: str, clock: SetClock) -> Iterator[list[Store]]:
    with ExitStack() as stack:
        yield [stack.enter_context(open_store(postgres_url, clock, Unwatched())) for _ in range(2)]


async def test_one_server_has_a_duty_for_as_long_as_it_asks(stores: list[Store], clock: SetClock) -> None:
    one, other = (Duty("runs", store=store, worker=name, clock=clock) for store, name in zip(stores, "ab", strict=True))
    for _ in range(20):
        assert await one.mine()
        assert not await other.mine()
        clock.advance(1)


async def test_who_is_silent_loses_it_and_knows(stores: list[Store], clock: SetClock) -> None:
    one, other = (Duty("runs", store=store, worker=name, clock=clock) for store, name in zip(stores, "ab", strict=True))
    assert await one.mine()
    clock.advance(HAD_FOR.total_seconds() - 0.001)
    assert not await other.mine()
    clock.advance(1)
    assert await other.mine()
    assert not await one.mine()
    clock.advance(HAD_FOR.total_seconds())
    assert await one.mine()


async def test_who_stops_leaves_it_at_once(stores: list[Store], clock: SetClock) -> None:
    one, other = (Duty("runs", store=store, worker=name, clock=clock) for store, name in zip(stores, "ab", strict=True))
    assert await one.mine()
    # It leaves nothing that it does not have.
    await other.leave()
    assert not await other.mine()
    await one.leave()
    clock.advance(1)
    assert await other.mine()


async def test_duties_are_had_one_by_one(stores: list[Store], clock: SetClock) -> None:
    runs, timers = (Duty(name, store=stores[0], worker="a", clock=clock) for name in ("runs", "timers"))
    others = Duty("timers", store=stores[1], worker="b", clock=clock)
    assert await others.mine()
    assert await runs.mine()
    assert not await timers.mine()


async def test_a_server_that_has_its_store_to_itself_does_all(store: Store, clock: SetClock) -> None:
    one, other = (Duty("runs", store=store, worker=name, clock=clock) for name in "ab")
    assert await one.mine()
    assert await other.mine()
    await one.leave()
