"""Turns: servers that share a store keep to one budget together."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from bridge.clock import SetClock
from bridge.line.outbox import Outbox
from bridge.line.turns import SharedPace
from bridge.model.delivery import Delivery, Sent, Urgency
from bridge.model.quantity import Rate
from bridge.store.budgets import Ask, take_turns
from bridge.store.store import Store, open_store
from tests.conftest import Unwatched
from tests.values import a_delivery

BUDGET = Rate(times=120, per=timedelta(minutes=1))


class Server:
    """The outbox of one server; what it begins is done at once."""

    def __init__(self, store: Store, clock: SetClock, times: list[float]) -> None:
        self.clock = clock
        self.store = store
        self.times = times
        self.begun: list[Delivery] = []
        self.pace: SharedPace
        self.outbox = Outbox(clock, max_in_flight=4, budget=BUDGET, begin=self._begin, shared=self._shared)

    def _shared(self, again: object) -> SharedPace:
        assert callable(again)
        self.pace = SharedPace("site", BUDGET, self.store, self.clock, again)
        return self.pace

    def _begin(self, delivery: Delivery) -> None:
        self.begun.append(delivery)
        self.times.append(self.clock.monotonic())
        asyncio.get_running_loop().call_soon(self._done, delivery)

    def _done(self, delivery: Delivery) -> None:
        self.outbox.note(Sent())
        self.outbox.done(delivery)

    async def settled(self) -> None:
        """Whatever was asked of the store is answered, and what follows from it has happened."""
        while self.pace._tasks or self.store.busy:
            await asyncio.sleep(0)


@pytest.fixture
def stores(postgres_url: str, clock: SetClock) -> Iterator[list[Store]]:
    with ExitStack() as stack:
        yield [stack.enter_context(open_store(postgres_url, clock, Unwatched())) for _ in range(2)]


async def turned(clock: SetClock, servers: list[Server], seconds: float, step: float = 0.1) -> None:
    for _ in range(round(seconds / step)):
        clock.advance(step)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for server in servers:
            await server.settled()


async def test_two_servers_spend_one_budget_and_no_more(stores: list[Store], clock: SetClock) -> None:
    times: list[float] = []
    servers = [Server(store, clock, times) for store in stores]
    for number in range(300):
        servers[number % 2].outbox.add(a_delivery(id=number + 1, lane=str(number)))
    await turned(clock, servers, 150)
    assert len(times) == 300
    assert max(sum(1 for other in times if at - 59.99 < other <= at) for at in times) == 120
    assert times[119] - times[0] < 15, "the budget is there to be used"
    assert min(len(server.begun) for server in servers) > 50


async def test_a_live_reply_waits_for_the_broadcast_of_another_server_no_longer_than_one_call(
    stores: list[Store], clock: SetClock
) -> None:
    times: list[float] = []
    servers = [Server(store, clock, times) for store in stores]
    for number in range(200):
        servers[0].outbox.add(a_delivery(id=number + 1, lane=str(number), urgency="broadcast"))
    await turned(clock, servers, 90)
    before = clock.monotonic()
    servers[1].outbox.add(a_delivery(id=1000, lane="live"))
    await turned(clock, servers, 1)
    assert [one.id for one in servers[1].begun] == [1000]
    assert next(at for at in times if at >= before) - before <= 0.6
    assert 150 <= len(servers[0].begun) <= 185


async def test_what_a_platform_asks_of_one_server_holds_for_all(stores: list[Store], clock: SetClock) -> None:
    times: list[float] = []
    one, other = (Server(store, clock, times) for store in stores)
    one.outbox.pause(timedelta(seconds=30))
    await one.settled()
    other.outbox.add(a_delivery(id=1))
    await turned(clock, [one, other], 29)
    assert times == []
    await turned(clock, [one, other], 2)
    assert [delivery.id for delivery in other.begun] == [1]


async def test_a_clock_that_was_an_hour_ahead_keeps_nobody_waiting(stores: list[Store], clock: SetClock) -> None:
    def wish(hours: int, urgency: Urgency) -> Ask:
        at = clock.now() + timedelta(hours=hours)
        return Ask(account="site", budget=BUDGET, urgency=urgency, most=200, at=at)

    assert (await stores[0].write(take_turns, wish(1, "broadcast"))).granted > 0
    assert (await stores[0].write(take_turns, wish(1, "live"))).granted > 0
    assert (await stores[0].write(take_turns, wish(1, "live"))).granted == 0
    assert (await stores[1].write(take_turns, wish(0, "live"))).granted == 120
