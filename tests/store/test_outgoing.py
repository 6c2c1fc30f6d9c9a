"""Deliveries in the store: one at a time in a lane, none lost, none handed out twice."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from bridge.clock import SetClock, to_ms
from bridge.model.delivery import URGENCIES, Attempt, Delivery, Failed, Sent, Settled, State, Urgency
from bridge.store import history, intervene, leases, outgoing
from bridge.store.intervene import Filter
from bridge.store.leases import Heirs, Held
from bridge.store.ledger import Claim, Ledger
from bridge.store.outgoing import Backlog, Standing, Take, Want
from bridge.store.page import Entry
from bridge.store.settle import Done, settle
from bridge.store.store import Store
from tests.values import a_delivery

LEASE = timedelta(minutes=2)


async def enqueue(store: Store, clock: SetClock, *lanes: str) -> list[Delivery]:
    """A delivery in each lane; gives those claimed for the worker "w"."""

    def work(connection: Connection, items: Sequence[None]) -> list[tuple[Delivery, ...]]:
        ledger = Ledger(connection, [], clock.now())
        for lane in lanes:
            number = ledger.next_delivery()
            delivery = a_delivery(id=number, event=number, lane=lane, created_at=clock.now())
            ledger.enqueue(Entry(delivery=delivery))
        return [ledger.write(Claim(worker="w", until=clock.now() + LEASE))]

    return list(await store.write(work, None))


def done(delivery: Delivery, clock: SetClock, state: State = "sent", due_in: float | None = None) -> Done:
    due_at = None if due_in is None else clock.now() + timedelta(seconds=due_in)
    outcome = Sent() if state == "sent" else Failed(reason="unavailable", detail="503")
    attempts = (Attempt(delivery=delivery.id, at=clock.now(), took=0.01, outcome=outcome, status=200, answer="ok"),)
    settled = Settled(state=state, due_at=due_at)
    return Done(delivery=delivery, attempts=attempts, settled=settled, at=clock.now(), worker="w", lease=LEASE)


ALL = Want(account="site", urgency="live", most=100)


def the_heirs(clock: SetClock, **changes: tuple[str, ...]) -> Heirs:
    return Heirs(at=clock.now(), lease=LEASE, **changes)


def a_wish(clock: SetClock, worker: str = "w", *wants: Want) -> Take:
    return Take(worker=worker, at=clock.now(), lease=LEASE, wants=wants or (ALL,), heirs=the_heirs(clock))


async def states(store: Store) -> dict[int, State]:
    listed = await store.read(lambda connection: history.list_deliveries(connection, Filter(), 1000))
    return {one.delivery.id: one.state for one in listed}


async def test_a_lane_goes_on_with_its_next_when_one_is_finished(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a", "a", "a")
    second = await store.write(settle, done(first, clock))
    assert second is not None
    assert second.id == 2
    third = await store.write(settle, done(second, clock, "dead"))
    assert third is not None
    assert third.id == 3
    assert await store.write(settle, done(third, clock)) is None
    assert await states(store) == {1: "sent", 2: "dead", 3: "sent"}


async def test_a_retry_keeps_its_place_before_those_behind_it(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a", "a")
    assert await store.write(settle, done(first, clock, "queued", due_in=5)) is None
    clock.advance(4.9)
    assert await store.write(outgoing.claim, a_wish(clock)) == []
    clock.advance(0.1)
    [again] = await store.write(outgoing.claim, a_wish(clock))
    assert (again.id, again.attempts) == (1, 1)
    follower = await store.write(settle, done(again, clock))
    assert follower is not None
    assert follower.id == 2


async def test_what_is_new_waits_behind_a_retry(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a")
    await store.write(settle, done(first, clock, "queued", due_in=60))
    assert await enqueue(store, clock, "a") == []
    clock.advance(60)
    assert [delivery.id for delivery in await store.write(outgoing.claim, a_wish(clock))] == [1]


async def test_a_claim_is_taken_over_only_after_its_lease(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a", "b")
    clock.advance(119)
    assert await store.write(outgoing.claim, a_wish(clock, "other")) == []
    await store.write(leases.renew, Held(worker="w", at=clock.now(), lease=LEASE, numbers=(1,)))
    clock.advance(2)
    assert [delivery.id for delivery in await store.write(outgoing.claim, a_wish(clock, "other"))] == [2]


async def test_who_lost_its_claim_settles_nothing(store: Store, clock: SetClock) -> None:
    [mine] = await enqueue(store, clock, "a")
    clock.advance(121)
    [_] = await store.write(outgoing.claim, a_wish(clock, "other"))
    await store.write(settle, done(mine, clock, "dead"))
    assert await states(store) == {1: "claimed"}


async def test_what_a_dead_server_held_is_sent_again_or_held_for_a_person(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a")
    assert await store.write(leases.take_over, the_heirs(clock)) == 1
    assert await states(store) == {1: "queued"}
    [_] = await store.write(outgoing.claim, a_wish(clock))
    await store.write(leases.take_over, the_heirs(clock, hold=("site",)))
    assert await states(store) == {1: "queued"}, "it was claimed, and no attempt had begun"
    [_] = await store.write(outgoing.claim, a_wish(clock))
    await store.write(leases.begin, leases.Begun(delivery=1, worker="w", at=clock.now()))
    await store.write(leases.take_over, the_heirs(clock, hold=("site",)))
    assert await states(store) == {1: "unknown"}


async def test_given_back_claims_are_taken_at_once(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a")
    assert await store.write(leases.release, Held(worker="w", at=clock.now())) == 1
    assert [delivery.id for delivery in await store.write(outgoing.claim, a_wish(clock, "other"))] == [1]


async def test_what_is_under_way_is_not_given_back(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a", "b", "c")
    assert await store.write(leases.release, Held(worker="w", at=clock.now(), numbers=(2,))) == 2
    assert await store.write(leases.release, Held(worker="another", at=clock.now())) == 0
    assert await states(store) == {1: "queued", 2: "claimed", 3: "queued"}


async def test_only_what_is_wanted_is_claimed(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, "a", "b", "c")
    await store.write(leases.release, Held(worker="w", at=clock.now()))
    other = Want(account="another", urgency="live", most=9)
    later = Want(account="site", urgency="broadcast", most=9)
    assert await store.write(outgoing.claim, a_wish(clock, "w", other, later)) == []
    two = Want(account="site", urgency="live", most=2)
    assert [one.id for one in await store.write(outgoing.claim, a_wish(clock, "w", two))] == [1, 2]


async def test_replay_queues_the_dead_again_one_a_lane_at_a_time(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a", "a")
    second = await store.write(settle, done(first, clock, "dead"))
    assert second is not None
    await store.write(settle, done(second, clock, "dead"))
    clock.advance(3600)

    def replay(connection: Connection, items: Sequence[Filter]) -> list[list[int]]:
        return [intervene.replay(connection, chosen, clock.now(), lambda _: timedelta(hours=1)) for chosen in items]

    assert await store.write(replay, Filter(numbers=(99,))) == []
    assert await store.write(replay, Filter()) == [1, 2]
    [again] = await store.write(outgoing.claim, a_wish(clock))
    assert again.id == 1
    assert again.expires_at == clock.now() + timedelta(hours=1)
    follower = await store.write(settle, done(again, clock))
    assert follower is not None
    assert follower.id == 2
    assert await store.write(replay, Filter()) == []


async def test_a_delivery_is_told_with_its_attempts(store: Store, clock: SetClock) -> None:
    [first] = await enqueue(store, clock, "a")
    await store.write(settle, done(first, clock, "queued", due_in=1))
    clock.advance(1)
    [again] = await store.write(outgoing.claim, a_wish(clock))
    await store.write(settle, done(again, clock))
    story = await store.read(lambda connection: history.tell(connection, 1))
    assert story is not None
    assert [(one.outcome, one.reason, one.status, one.answer) for one in story.tries] == [
        ("failed", "unavailable", 200, "ok"),
        ("sent", None, 200, "ok"),
    ]


async def test_nobody_looks_for_work_where_none_is_due(store: Store, clock: SetClock) -> None:
    assert await store.read(outgoing.standing) == Standing(backlogs=(), lease=None)
    first, _ = await enqueue(store, clock, "a", "b")
    lease = to_ms(clock.now() + LEASE)
    assert await store.read(outgoing.standing) == Standing(backlogs=(), lease=lease)
    await store.write(settle, done(first, clock, "queued", due_in=7))
    backlog = Backlog(account="site", urgency="live", due=to_ms(clock.now()) + 7000)
    assert await store.read(outgoing.standing) == Standing(backlogs=(backlog,), lease=lease)


async def test_each_account_and_urgency_is_a_backlog_of_its_own(store: Store, clock: SetClock) -> None:
    urgencies: list[Urgency] = ["broadcast", "live", "follow_up", "broadcast"]
    full = [(account, urgency) for account in ("a", "b") for urgency in URGENCIES]

    def work(connection: Connection, items: Sequence[None]) -> list[None]:
        ledger = Ledger(connection, [], clock.now())
        for number, (account, urgency) in enumerate([(a, u) for a in ("b", "a") for u in urgencies], 1):
            made = a_delivery(id=number, event=number, lane=str(number), account=account, urgency=urgency)
            ledger.enqueue(Entry(delivery=made))
        assert ledger.write(Claim(worker="w", until=clock.now(), full=full)) == ()
        return [None]

    await store.write(work, None)
    standing = await store.read(outgoing.standing)
    assert [(one.account, one.urgency) for one in standing.backlogs] == full
    assert {one.due for one in standing.backlogs} == {to_ms(clock.now())}
    wants = [Want(account="a", urgency=urgency, most=1) for urgency in URGENCIES]
    claimed = await store.write(outgoing.claim, a_wish(clock, "w", *wants))
    assert [(one.id, one.urgency) for one in claimed] == [(6, "live"), (7, "follow_up"), (5, "broadcast")]
