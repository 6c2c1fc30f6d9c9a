"""Deliveries in the store: one at a time in a lane, none lost, none handed out twice."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from bridge.clock import SetClock
from bridge.model.delivery import Attempt, Delivery, Failed, Sent, Settled, State
from bridge.store import history, outgoing
from bridge.store.ledger import Claim, Ledger
from bridge.store.outgoing import Done, Filter, Held, Take
from bridge.store.store import Store
from tests.values import a_delivery

LEASE = timedelta(minutes=2)


async def enqueue(store: Store, clock: SetClock, *lanes: str) -> list[Delivery]:
    """A delivery in each lane; gives those claimed for the worker "w"."""

    def work(connection: Connection, items: Sequence[None]) -> list[tuple[Delivery, ...]]:
        ledger = Ledger(connection, [], clock.now())
        for lane in lanes:
            number = ledger.next_delivery()
            ledger.enqueue(a_delivery(id=number, event=number, lane=lane, created_at=clock.now()))
        return [ledger.write(Claim(worker="w", until=clock.now() + LEASE))]

    return list(await store.write(work, None))


def done(delivery: Delivery, clock: SetClock, state: State = "sent", due_in: float | None = None) -> Done:
    due_at = None if due_in is None else clock.now() + timedelta(seconds=due_in)
    outcome = Sent() if state == "sent" else Failed(reason="unavailable", detail="503")
    attempt = Attempt(delivery=delivery.id, at=clock.now(), took=0.01, outcome=outcome, status=200, answer="ok")
    settled = Settled(state=state, due_at=due_at)
    return Done(delivery=delivery, attempt=attempt, settled=settled, at=clock.now(), worker="w", lease=LEASE)


def a_wish(clock: SetClock, worker: str = "w", **changes: object) -> Take:
    return Take(**{"worker": worker, "at": clock.now(), "lease": LEASE, "most": 100, **changes})  # type: ignore[arg-type]


async def states(store: Store) -> dict[int, State]:
    listed = await store.read(lambda connection: history.list_deliveries(connection, Filter(), 1000))
    return {one.delivery.id: one.state for one in listed}


async def test_a_lane_goes_on_with_its_next_when_one_is_finished(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a", "a", "a")
    second = await store.write(outgoing.settle, done(first, clock))
    assert second is not None
    assert second.id == 2
    third = await store.write(outgoing.settle, done(second, clock, "dead"))
    assert third is not None
    assert third.id == 3
    assert await store.write(outgoing.settle, done(third, clock)) is None
    assert await states(store) == {1: "sent", 2: "dead", 3: "sent"}


async def test_a_retry_keeps_its_place_before_those_behind_it(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a", "a")
    assert await store.write(outgoing.settle, done(first, clock, "queued", due_in=5)) is None
    clock.advance(4.9)
    assert await store.write(outgoing.claim, a_wish(clock)) == []
    clock.advance(0.1)
    [again] = await store.write(outgoing.claim, a_wish(clock))
    assert (again.id, again.attempts) == (1, 1)
    follower = await store.write(outgoing.settle, done(again, clock))
    assert follower is not None
    assert follower.id == 2


async def test_what_is_new_waits_behind_a_retry(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a")
    await store.write(outgoing.settle, done(first, clock, "queued", due_in=60))
    assert await enqueue(store, clock, "a") == []
    clock.advance(60)
    assert [delivery.id for delivery in await store.write(outgoing.claim, a_wish(clock))] == [1]


async def test_a_claim_is_taken_over_only_after_its_lease(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a", "b")
    clock.advance(119)
    assert await store.write(outgoing.claim, a_wish(clock, "other")) == []
    await store.write(outgoing.renew, Held(worker="w", at=clock.now(), lease=LEASE, numbers=(1,)))
    clock.advance(2)
    assert [delivery.id for delivery in await store.write(outgoing.claim, a_wish(clock, "other"))] == [2]


async def test_who_lost_its_claim_settles_nothing(store: Store, clock: SetClock) -> None:
    [mine] = await enqueue(store, clock, "a")
    clock.advance(121)
    [_] = await store.write(outgoing.claim, a_wish(clock, "other"))
    await store.write(outgoing.settle, done(mine, clock, "dead"))
    assert await states(store) == {1: "claimed"}


async def test_what_a_dead_server_held_is_sent_again_or_held_for_a_person(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a")
    assert await store.write(outgoing.take_over, a_wish(clock, "new", most=0)) == 1
    assert await states(store) == {1: "queued"}
    [_] = await store.write(outgoing.claim, a_wish(clock))
    await store.write(outgoing.take_over, a_wish(clock, "new", most=0, hold=("site",)))
    assert await states(store) == {1: "unknown"}


async def test_given_back_claims_are_taken_at_once(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a")
    assert await store.write(outgoing.release, Held(worker="w", at=clock.now())) == 1
    assert [delivery.id for delivery in await store.write(outgoing.claim, a_wish(clock, "other"))] == [1]


async def test_what_is_under_way_is_not_given_back(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a", "b", "c")
    assert await store.write(outgoing.release, Held(worker="w", at=clock.now(), numbers=(2,))) == 2
    assert await store.write(outgoing.release, Held(worker="another", at=clock.now())) == 0
    assert await states(store) == {1: "queued", 2: "claimed", 3: "queued"}


async def test_accounts_without_room_are_passed_over(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a")
    assert await store.write(outgoing.release, Held(worker="w", at=clock.now())) == 1
    assert await store.write(outgoing.claim, a_wish(clock, full=("site",))) == []


async def test_replay_queues_the_dead_again_one_a_lane_at_a_time(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a", "a")
    second = await store.write(outgoing.settle, done(first, clock, "dead"))
    assert second is not None
    await store.write(outgoing.settle, done(second, clock, "dead"))
    clock.advance(3600)

    def replay(connection: Connection, items: Sequence[Filter]) -> list[list[int]]:
        return [outgoing.replay(connection, chosen, clock.now(), lambda _: timedelta(hours=1)) for chosen in items]

    assert await store.write(replay, Filter(numbers=(99,))) == []
    assert await store.write(replay, Filter()) == [1, 2]
    [again] = await store.write(outgoing.claim, a_wish(clock))
    assert again.id == 1
    assert again.expires_at == clock.now() + timedelta(hours=1)
    follower = await store.write(outgoing.settle, done(again, clock))
    assert follower is not None
    assert follower.id == 2
    assert await store.write(replay, Filter()) == []


async def test_a_delivery_is_told_with_its_attempts(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a")
    await store.write(outgoing.settle, done(first, clock, "queued", due_in=1))
    clock.advance(1)
    [again] = await store.write(outgoing.claim, a_wish(clock))
    await store.write(outgoing.settle, done(again, clock))
    story = await store.read(lambda connection: history.tell(connection, 1))
    assert story is not None
    assert [(one.outcome, one.reason, one.status, one.answer) for one in story.tries] == [
        ("failed", "unavailable", 200, "ok"),
        ("sent", None, 200, "ok"),
    ]


async def test_nobody_looks_for_work_where_none_is_due(store: Store, clock: SetClock) -> None:
    assert await store.read(outgoing.next_wake) is None
    [first] = await enqueue(store, clock, "a")
    await store.write(outgoing.settle, done(first, clock))
    assert await store.read(outgoing.next_wake) is None
