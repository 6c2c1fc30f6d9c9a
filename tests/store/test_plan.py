"""A run's recipients in the store: planned once each, and let go when their turn comes."""

from datetime import datetime, timedelta
from itertools import pairwise

from msgspec.structs import replace
from sqlalchemy import text

from bridge.clock import SetClock, to_ms
from bridge.model.broadcast import Asked
from bridge.model.delivery import Reply
from bridge.store import runs, tally
from bridge.store.leases import Heirs
from bridge.store.outgoing import Take, Want, claim
from bridge.store.plan import Chunk, Planned, Release, plan, release
from bridge.store.rows import dump
from bridge.store.store import Store
from tests.values import NOON

CHUNK = Chunk(
    run=1,
    broadcast="offer",
    account="shop",
    on_unknown="hold",
    people=(),
    before=None,
    cursor="1",
    last=False,
    at=NOON,
)
WISH = Release(
    run=1,
    at=NOON,
    window=50,
    gap=timedelta(0),
    ahead=timedelta(seconds=1),
    expires=timedelta(hours=1),
    allowed=None,
)


def somebody(person: str, text: str = "", line: int = 0, zone: str | None = None) -> Planned:
    return Planned(person=person, to={"email": person}, reply=dump(Reply(text=text or person)), line=line, zone=zone)


def nobody(person: str, why: str) -> Planned:
    return Planned(person=person, state="cancelled", detail=why)


async def begin(store: Store) -> None:
    await store.write(runs.ask, Asked(broadcast="offer", moment="1", at=NOON))
    await store.write(
        runs.change, runs.Change(run=1, come_from=("asked",), to="planning", at=NOON, plan='{"broadcast":"offer"}')
    )


def ledger(store: Store) -> list[tuple[str, str, str | None, int | None]]:
    return store.read_now(lambda c: [(one.person, one.state, one.detail, one.line) for one in runs.lines(c, 1)])


async def test_of_several_who_are_one_person_the_first_counts_whatever_they_get(store: Store) -> None:
    await begin(store)
    first = (
        somebody("ann", line=2),
        nobody("bob", "opted out"),
        somebody("ann", "again"),
        somebody("bob"),
        nobody("ann", "x"),
    )
    assert await store.write(plan, replace(CHUNK, people=first))
    later = nobody("ann", "opted out"), somebody("bob"), somebody("carl", line=9), nobody("dora", "blocked")
    assert await store.write(plan, replace(CHUNK, people=later, before="1", cursor=None, last=True))
    assert ledger(store) == [
        ("ann", "planned", None, 2),
        ("bob", "cancelled", "opted out", None),
        ("carl", "planned", None, 9),
        ("dora", "cancelled", "blocked", None),
    ]
    run = store.read_now(lambda connection: runs.find(connection, 1))
    assert run is not None
    assert (run.state, run.duplicates, run.planned_at) == ("running", 5, NOON)


async def test_who_has_come_less_far_plans_nothing(store: Store) -> None:
    await begin(store)
    assert await store.write(plan, replace(CHUNK, people=(somebody("ann"),)))
    for stale in (CHUNK, replace(CHUNK, before="0")):
        assert not await store.write(plan, replace(stale, people=(somebody("bob"),), cursor="2"))
    assert await store.write(plan, replace(CHUNK, before="1", cursor=None, last=True))
    assert not await store.write(plan, replace(CHUNK, before=None, people=(somebody("carl"),)))
    assert [person for person, *_ in ledger(store)] == ["ann"]


async def test_what_is_let_go_is_sent_as_it_was_planned(store: Store, clock: SetClock) -> None:
    await begin(store)
    await store.write(plan, replace(CHUNK, people=(somebody("ann", "Hello Ann"),), cursor=None, last=True))
    released = await store.write(release, WISH)
    assert released is not None
    assert (released.gone, released.on_the_way, released.next_at) == (1, 1, None)
    lease = timedelta(minutes=2)
    wants = (Want(account="shop", urgency="broadcast", most=10),)
    [delivery] = await store.write(
        claim, Take(worker="w", at=NOON, lease=lease, wants=wants, heirs=Heirs(at=NOON, lease=lease))
    )
    assert (delivery.to, delivery.reply, delivery.on_unknown) == ({"email": "ann"}, Reply(text="Hello Ann"), "hold")
    assert (delivery.rule, delivery.action, delivery.lane) == ("broadcast offer", "1", f"shop:run 1/{delivery.id}")
    assert (delivery.created_at, delivery.expires_at) == (NOON, NOON + timedelta(hours=1))
    assert (delivery.event, delivery.attempts, delivery.urgency) == (None, 0, "broadcast")


async def test_each_is_let_go_in_turn_and_not_before_it_may(store: Store) -> None:
    await begin(store)
    people = (somebody("ann"), somebody("bob", zone="Asia/Tokyo"), somebody("carl"), somebody("dora"))
    await store.write(plan, replace(CHUNK, people=people, cursor=None, last=True))
    morning = NOON + timedelta(hours=9)

    def allowed(zone: str | None, moment: datetime) -> datetime:
        return morning if zone == "Asia/Tokyo" else moment

    wish = replace(WISH, gap=timedelta(milliseconds=400), allowed=allowed)
    released = await store.write(release, wish)
    assert released is not None
    assert (released.gone, released.put_off, released.on_the_way, released.next_at) == (3, 1, 3, morning)
    rows = store.read_now(
        lambda connection: connection.execute(
            text("SELECT person, wake_at, not_before FROM deliveries ORDER BY id")
        ).all()
    )
    turns = [("ann", 0), ("carl", 400), ("dora", 800)]
    assert [(row.person, row.wake_at) for row in rows if row.wake_at] == [(one, to_ms(NOON) + at) for one, at in turns]
    assert [(row.person, row.not_before) for row in rows if row.not_before] == [("bob", to_ms(morning))]
    await store.write(runs.change, runs.Change(run=1, come_from=("running",), to="paused", at=NOON))
    assert await store.write(release, wish) is None


async def test_no_stretch_of_time_has_more_turns_than_the_rate(store: Store) -> None:
    """Whenever somebody looks, and however long nobody did."""
    await begin(store)
    people = tuple(somebody(f"p{number}") for number in range(60))
    await store.write(plan, replace(CHUNK, people=people, cursor=None, last=True))
    for look in (*range(0, 3000, 250), *range(7000, 12_000, 333)):
        at = NOON + timedelta(milliseconds=look)
        await store.write(release, replace(WISH, at=at, window=60, gap=timedelta(seconds=1) / 7))
    with_turns = text("SELECT wake_at FROM deliveries WHERE wake_at IS NOT NULL ORDER BY wake_at")
    turns = store.read_now(lambda connection: connection.scalars(with_turns).all())
    assert len(turns) == 60
    assert min(later - earlier for earlier, later in pairwise(turns)) >= 142
    assert min(later - earlier for earlier, later in zip(turns, turns[7:], strict=False)) >= 999


async def test_who_was_dead_before_anything_was_sent_is_no_failure_and_gets_nothing_later(store: Store) -> None:
    await begin(store)
    unworded = Planned(person="bob", state="dead", reason="template", detail="no name")
    await store.write(plan, replace(CHUNK, people=(somebody("ann"), unworded)))
    last = somebody("carl"), replace(unworded, person="dora"), replace(unworded, person="bob")
    await store.write(plan, replace(CHUNK, people=last, before="1", cursor=None, last=True))
    assert store.read_now(lambda connection: (tally.failed(connection, 1), tally.unmade(connection, 1))) == (0, 2)
    assert await store.write(runs.again, runs.Again(run=1, at=NOON)) == 0
    assert [state for _, state, *_ in ledger(store)] == ["planned", "dead", "planned", "dead"]
