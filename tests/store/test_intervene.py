"""What a person does with deliveries: sent again, called off; and no way but those that are drawn."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import TypeVar

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text

from bridge.clock import SetClock
from bridge.model.delivery import NOTHING, STATES, TRANSITIONS, Command, Reply, State
from bridge.store import history, intervene, outgoing
from bridge.store.intervene import Filter
from bridge.store.ledger import Claim, Ledger
from bridge.store.page import Entry
from bridge.store.settle import settle
from bridge.store.store import Store
from bridge.store.transitions import move, stay
from tests.store.test_outgoing import LEASE, a_wish, done, enqueue, states
from tests.values import a_delivery

T = TypeVar("T")


async def by_hand(store: Store, act: Callable[[Connection], T]) -> T:
    def work(connection: Connection, items: Sequence[None]) -> list[T]:
        return [act(connection)]

    return await store.write(work, None)


async def test_what_is_called_off_is_not_sent_and_its_lane_goes_on(store: Store, clock: SetClock) -> None:
    first, _ = await enqueue(store, clock, "a", "a", "a", "b")
    await store.write(settle, done(first, clock, "queued", due_in=60))
    cancelled = await by_hand(store, lambda c: intervene.cancel(c, Filter(numbers=(1, 4)), clock.now()))
    assert cancelled == [1], "what is being sent already goes on"
    assert await states(store) == {1: "cancelled", 2: "queued", 3: "queued", 4: "claimed"}
    [next_one] = await store.write(outgoing.claim, a_wish(clock))
    assert next_one.id == 2
    assert await by_hand(store, lambda c: intervene.cancel(c, Filter(), clock.now())) == [3]
    assert await store.write(settle, done(next_one, clock)) is None
    [listed] = await store.read(lambda c: history.list_deliveries(c, Filter(numbers=(1,)), 9))
    assert (listed.detail, listed.finished_at, listed.due_at) == ("cancelled by a person", clock.now(), None)


async def test_a_lane_with_something_under_way_does_not_begin_another(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a", "a", "a")
    assert await by_hand(store, lambda c: intervene.cancel(c, Filter(numbers=(2,)), clock.now())) == [2]
    assert await store.write(outgoing.claim, a_wish(clock)) == []


async def test_dead_and_unknown_stay_when_all_is_called_off(store: Store, clock: SetClock) -> None:
    for number, state in enumerate(("dead", "unknown"), 1):
        [mine] = await enqueue(store, clock, str(number))
        await store.write(settle, done(mine, clock, state))  # type: ignore[arg-type]
    assert await by_hand(store, lambda c: intervene.cancel(c, Filter(), clock.now())) == []
    assert await states(store) == {1: "dead", 2: "unknown"}


async def test_a_replayed_one_waits_until_nothing_of_its_lane_is_under_way(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a", "a")
    second = await store.write(settle, done(first, clock, "dead"))
    assert second is not None
    again = await by_hand(store, lambda c: intervene.replay(c, Filter(), clock.now(), lambda _: LEASE))
    assert again == [1]
    assert await store.write(outgoing.claim, a_wish(clock)) == []
    await store.write(settle, done(second, clock, "queued", due_in=9))
    assert await store.write(outgoing.claim, a_wish(clock)) == []
    clock.advance(9)
    [second] = await store.write(outgoing.claim, a_wish(clock))
    assert second.id == 2
    follower = await store.write(settle, done(second, clock))
    assert follower is not None
    assert follower.id == 1


async def test_a_late_word_of_a_lost_claim_does_not_begin_another_in_a_busy_lane(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a", "a")
    clock.advance(121)
    [again] = await store.write(outgoing.claim, a_wish(clock, "other"))
    second = await store.write(settle, replace(done(again, clock, "dead"), worker="other"))
    assert second is not None
    assert await by_hand(store, lambda c: intervene.replay(c, Filter(), clock.now(), lambda _: LEASE)) == [1]
    assert await store.write(settle, done(first, clock)) is None
    assert await states(store) == {1: "queued", 2: "claimed"}


async def test_what_has_nothing_to_send_is_not_replayed(store: Store, clock: SetClock) -> None:
    def note(connection: Connection) -> None:
        ledger = Ledger(connection, [], clock.now())
        command = Command(operation="helpcrunch.close")
        for reply, does in ((Reply(text="hello"), None), (NOTHING, None), (NOTHING, command)):
            number = ledger.next_delivery()
            made = a_delivery(
                id=number, event=number, lane=str(number), reply=reply, command=does, created_at=clock.now()
            )
            ledger.enqueue(Entry(delivery=made, state="dead", reason="template", detail="price is not there"))
        ledger.write(Claim(worker="w", until=clock.now() + LEASE))

    await by_hand(store, note)
    assert await by_hand(store, lambda c: intervene.replay(c, Filter(), clock.now(), lambda _: LEASE)) == [1, 3]
    [listed] = await store.read(lambda c: history.list_deliveries(c, Filter(numbers=(2,)), 9))
    assert (listed.state, listed.detail) == ("dead", "price is not there")


async def test_so_many_at_a_time(store: Store, clock: SetClock) -> None:
    first, *_ = await enqueue(store, clock, "x", "a", "a", "a")
    await store.write(settle, done(first, clock, "dead"))
    assert await store.read(lambda c: intervene.count_cancellable(c, Filter())) == 2
    assert await by_hand(store, lambda c: intervene.cancel(c, Filter(), clock.now(), most=1)) == [3]
    assert await by_hand(store, lambda c: intervene.cancel(c, Filter(), clock.now(), most=1)) == [4]
    assert await by_hand(store, lambda c: intervene.cancel(c, Filter(), clock.now(), most=1)) == []


async def test_what_is_made_while_others_are_still_called_off_is_left_alone(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a", "a", "a")
    began = clock.now()
    assert await by_hand(store, lambda c: intervene.cancel(c, Filter(), began, most=1)) == [2]
    clock.advance(1)
    await enqueue(store, clock, "a")
    assert await by_hand(store, lambda c: intervene.cancel(c, Filter(), began)) == [3]
    assert await by_hand(store, lambda c: intervene.cancel(c, Filter(), began)) == []
    assert await states(store) == {1: "claimed", 2: "cancelled", 3: "cancelled", 4: "queued"}


async def test_what_fails_again_while_others_are_still_replayed_is_left_alone(store: Store, clock: SetClock) -> None:
    first, second = await enqueue(store, clock, "a", "b")
    for mine in (first, second):
        await store.write(settle, done(mine, clock, "dead"))
    began = clock.now()
    assert await by_hand(store, lambda c: intervene.replay(c, Filter(), began, lambda _: LEASE, most=1)) == [1]
    clock.advance(1)
    [again] = await store.write(outgoing.claim, a_wish(clock))
    await store.write(settle, done(again, clock, "dead"))
    assert await by_hand(store, lambda c: intervene.replay(c, Filter(), began, lambda _: LEASE, most=1)) == [2]
    assert await by_hand(store, lambda c: intervene.replay(c, Filter(), began, lambda _: LEASE, most=1)) == []
    assert await states(store) == {1: "dead", 2: "queued"}


@pytest.mark.parametrize(("before", "after"), list(product(STATES, STATES)))
async def test_there_is_no_way_but_those_that_are_drawn(
    store: Store, clock: SetClock, before: State, after: State
) -> None:
    await enqueue(store, clock, "a")
    await by_hand(store, lambda c: c.execute(text("UPDATE deliveries SET state = :state"), {"state": before}))
    if after not in TRANSITIONS[before]:
        with pytest.raises(ValueError, match=f"{before} cannot become {after}"):
            move(before, after)
        return
    for other in STATES:
        if other != before and after in TRANSITIONS[other]:
            assert await by_hand(store, lambda c, other=other: c.execute(move(other, after)).rowcount) == 0  # type: ignore[misc]
            assert await by_hand(store, lambda c, other=other: c.execute(stay(other).values(rule="x")).rowcount) == 0  # type: ignore[misc]
    assert await by_hand(store, lambda c: c.execute(move(before, after)).rowcount) == 1
    assert await states(store) == {1: after}


def test_every_state_is_drawn_and_can_be_come_to() -> None:
    assert set(TRANSITIONS) == set(STATES)
    reached = {state for after in TRANSITIONS.values() for state in after}
    assert reached == set(STATES)
