"""Two servers on one PostgreSQL: whatever they do at the same time comes to what one of them would have done alone."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from sqlalchemy import Connection, func, insert, make_url, select, text

from bridge.clock import SetClock
from bridge.errors import StoreError
from bridge.model.broadcast import Asked
from bridge.model.conversation import Scope
from bridge.model.delivery import URGENCIES, Delivery, Settled
from bridge.model.event import Contact, Event
from bridge.store import outgoing
from bridge.store.failures import LostError
from bridge.store.history import list_deliveries
from bridge.store.intervene import Filter
from bridge.store.leases import Heirs
from bridge.store.ledger import Claim, Ledger
from bridge.store.outgoing import Take, Want
from bridge.store.page import Entry
from bridge.store.prepared import Prepared
from bridge.store.runs import ask
from bridge.store.settle import Done, settle
from bridge.store.store import Store, open_store
from bridge.store.tables import deliveries, events, memories
from bridge.store.writer import Item, Result, Work
from tests.conftest import Unwatched
from tests.postgres import PostgresServer
from tests.values import NOON, a_delivery, an_event

LEASE = timedelta(minutes=2)
CLAIM = Claim(worker="w", until=NOON + LEASE)
_REMEMBER = Prepared(insert(memories).values(document="{}", changed_at=1), ["key"])
_CUT = Prepared(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.fixture
def stores(postgres_url: str, clock: SetClock) -> Iterator[list[Store]]:
    with ExitStack() as stack:
        yield [stack.enter_context(open_store(postgres_url, clock, Unwatched())) for _ in range(2)]


def record(connection: Connection, items: Sequence[Event], scopes: Sequence[str] = ("account",)) -> list[bool]:
    """Look at events: count them in memories of these scopes; gives which were repeats."""
    ledger = Ledger(connection, items, NOON)
    repeats = []
    for event in items:
        repeats.append(ledger.is_repeat(event))
        if repeats[-1]:
            continue
        facts = ledger.facts(event)
        ledger.keep(facts.conversation)
        counted = {
            scope: memory.remember({"seen": int(str(memory.facts.get("seen", 0))) + 1})
            for scope, memory in facts.memories.items()
            if scope in scopes
        }
        ledger.remember(facts.conversation, counted)
        number = ledger.record(event, [])
        lane = f"site/{event.conversation}"
        ledger.enqueue(Entry(delivery=a_delivery(id=ledger.next_delivery(), event=number, lane=lane)))
    ledger.write(CLAIM)
    return repeats


class Meeting:
    """Two transactions that meet: the first has done its work and ends only when the second waits for it, or has got as
    far by itself, which it must not."""

    def __init__(self) -> None:
        self._first_is_in = threading.Event()
        self._second_is_through = threading.Event()

    def first(self, work: Work[Item, Result]) -> Work[Item, Result]:
        def run(connection: Connection, items: Sequence[Item]) -> Sequence[Result]:
            results = work(connection, items)
            self._first_is_in.set()
            while not self._second_is_through.is_set() and not connection.execute(_WAITING).scalar():
                pass
            return results

        return run

    def second(self, work: Work[Item, Result]) -> Work[Item, Result]:
        def run(connection: Connection, items: Sequence[Item]) -> Sequence[Result]:
            assert self._first_is_in.wait(30)
            results = work(connection, items)
            self._second_is_through.set()
            return results

        return run


_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@pytest.mark.parametrize("scope", ["conversation", "contact", "account", "rule"])
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
async def test_what_two_servers_count_at_the_same_time_is_counted_twice(
    stores: list[Store], scope: Scope, known: bool
) -> None:
    contact, meeting, count = Contact(id="c1"), Meeting(), partial(record, scopes=[scope])
    said = [
        an_event(key=str(n), conversation="talk" if scope == "conversation" else f"talk {n}", contact=contact)
        for n in range(3)
    ]
    if known:
        await stores[0].write(count, said[2])
    await asyncio.gather(
        stores[0].write(meeting.first(count), said[0]), stores[1].write(meeting.second(count), said[1])
    )
    key = f"site/{said[0].conversation}"
    ledger = stores[0].read_now(lambda c: Ledger(c, [], NOON, keys=[key]))
    assert ledger.facts_later(said[0], key).memories[scope].facts["seen"] == 2 + known


async def test_an_event_that_comes_to_two_servers_at_the_same_time_is_recorded_once(stores: list[Store]) -> None:
    meeting = Meeting()
    repeats = await asyncio.gather(
        stores[0].write(meeting.first(record), an_event()), stores[1].write(meeting.second(record), an_event())
    )
    assert list(repeats) == [False, True]


@pytest.mark.parametrize("finishes_first", [True, False])
async def test_what_is_said_while_the_one_before_is_finished_follows_it(
    stores: list[Store], finishes_first: bool
) -> None:
    """Neither is it left behind, nor is it handed over twice."""
    [before] = await stores[0].write(tell, (1,))
    done = Done(delivery=before, attempts=(), settled=Settled(state="sent"), at=NOON, worker="w", lease=LEASE)
    meeting = Meeting()
    at_first, then = (meeting.first, meeting.second) if finishes_first else (meeting.second, meeting.first)
    freed, told = await asyncio.gather(stores[0].write(at_first(settle), done), stores[1].write(then(tell), (2,)))
    given = [one.id for one in (freed, *told) if one is not None]
    assert given == [before.id + 1]


def tell(connection: Connection, items: Sequence[tuple[int, ...]]) -> list[tuple[Delivery, ...]]:
    """Enqueue a delivery for each number, all in one lane; gives what is handed over at once."""
    given = []
    for numbers in items:
        ledger = Ledger(connection, [], NOON)
        for number in numbers:
            ledger.enqueue(Entry(delivery=a_delivery(id=ledger.next_delivery(), event=number, lane="talk")))
        given.append(ledger.write(CLAIM))
    return given


async def test_a_conversation_is_answered_in_order_and_never_gets_stuck(stores: list[Store], clock: SetClock) -> None:
    """Servers take turns in no particular order: each tells events, and finishes whatever falls to it."""
    sent: list[Delivery] = []

    async def finish(store: Store, worker: str, delivery: Delivery | None) -> None:
        while delivery is not None:
            sent.append(delivery)
            done = Done(
                delivery=delivery, attempts=(), settled=Settled(state="sent"), at=NOON, worker=worker, lease=LEASE
            )
            delivery = await store.write(settle, done)

    async def serve(store: Store, worker: str, first: int) -> None:
        def tell(connection: Connection, items: Sequence[Event]) -> list[tuple[Delivery, ...]]:
            given: list[tuple[Delivery, ...]] = []
            ledger = Ledger(connection, items, NOON)
            for event in items:
                ledger.keep(ledger.facts(event).conversation)
                lane = f"site/{event.conversation}"
                number = ledger.record(event, [])
                ledger.enqueue(Entry(delivery=a_delivery(id=ledger.next_delivery(), event=number, lane=lane)))
            claimed = ledger.write(Claim(worker=worker, until=NOON + LEASE))
            given.append(claimed)
            return given + [()] * (len(items) - 1)

        for number in range(first, first + 40):
            said = await store.write(tell, an_event(key=str(number), conversation=f"talk {number % 3}"))
            await asyncio.gather(*(finish(store, worker, one) for one in said))

    await asyncio.gather(serve(stores[0], "v", 0), serve(stores[1], "w", 1000))
    states = stores[0].read_now(lambda c: {row.state for row in c.execute(select(deliveries.c.state))})
    assert states == {"sent"}
    assert len(sent) == len({one.id for one in sent}) == 80
    for talk in range(3):
        of_lane = [one.id for one in sent if one.lane == f"site/talk {talk}"]
        assert of_lane == sorted(of_lane)


async def test_two_workers_share_a_backlog_and_neither_takes_what_is_the_others(
    stores: list[Store], clock: SetClock
) -> None:
    def queue(connection: Connection, items: Sequence[None]) -> list[None]:
        ledger = Ledger(connection, [], NOON)
        for _ in range(300):
            number = ledger.next_delivery()
            ledger.enqueue(Entry(delivery=a_delivery(id=number, event=None, action=str(number), lane=str(number))))
        ledger.write(Claim(worker="w", until=NOON, full=[("site", urgency) for urgency in URGENCIES]))
        return [None]

    await stores[0].write(queue, None)

    async def take(store: Store, worker: str) -> list[int]:
        found: list[int] = []
        want = Want(account="site", urgency="live", most=20)
        heirs = Heirs(at=NOON, lease=LEASE)
        for _ in range(15):
            wish = Take(worker=worker, at=NOON, lease=LEASE, wants=(want,), heirs=heirs)
            found += [one.id for one in await store.write(outgoing.claim, wish)]
        return found

    first, second = await asyncio.gather(take(stores[0], "v"), take(stores[1], "w"))
    assert sorted(first + second) == sorted({*first, *second})
    assert len(first + second) == 300


async def test_a_run_that_both_ask_for_is_asked_for_once(stores: list[Store]) -> None:
    wishes = [Asked(broadcast="news", moment=str(n), asked_by="schedule", at=NOON) for n in range(20)]
    numbers = await asyncio.gather(*(store.write(ask, wish) for wish in wishes for store in stores))
    assert len([number for number in numbers if number is not None]) == 20
    assert len(set(numbers)) == 21


async def test_a_lost_connection_costs_nothing_that_was_acknowledged(stores: list[Store]) -> None:
    store, other = stores

    def cut(connection: Connection, items: Sequence[None]) -> list[None]:
        """Every connection of the other server, and this one's second."""
        rest = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        connection.execute(text(f"{rest} pg_backend_pid()"))
        return [None] * len(items)

    for number in range(5):
        await store.write(record, an_event(key=str(number)))
        store.read_now(lambda c: c.execute(select(func.count()).select_from(events)).scalar())
        await other.write(cut, None)
    assert store.read_now(lambda c: c.execute(select(func.count()).select_from(events)).scalar()) == 5
    assert store.trouble is None
    listed = store.read_now(lambda c: list_deliveries(c, Filter(), 100))
    assert len(listed) == 5


async def test_a_work_that_cuts_its_own_connection_is_run_again(stores: list[Store]) -> None:
    runs: list[int] = []

    def work(connection: Connection, items: Sequence[None]) -> list[int]:
        runs.append(1)
        if len(runs) == 1:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        connection.execute(text("CREATE TABLE once (id int)"))
        return [len(runs)] * len(items)

    assert await stores[0].write(work, None) == 2


async def test_the_rest_of_a_transaction_whose_connection_was_lost_is_not_written_by_itself(
    stores: list[Store],
) -> None:
    runs: list[int] = []

    def work(connection: Connection, items: Sequence[None]) -> list[int]:
        """It takes no notice of what is lost at first."""
        runs.append(1)
        _REMEMBER.execute(connection, key=f"before {len(runs)}")
        if len(runs) == 1:
            with contextlib.suppress(LostError):
                _CUT.execute(connection)
        _REMEMBER.execute(connection, key=f"after {len(runs)}")
        return [len(runs)] * len(items)

    def kept(connection: Connection) -> list[str]:
        return list(connection.scalars(select(memories.c.key).order_by(memories.c.key)))

    assert await stores[0].write(work, None) == 2
    assert stores[0].read_now(kept) == ["after 2", "before 2"]


async def test_where_no_connection_is_to_be_had_whoever_writes_is_told(
    postgres_server: PostgresServer, postgres_url: str, clock: SetClock
) -> None:
    """Nobody waits for each item of a batch to fail by itself."""
    name = make_url(postgres_url).database
    with (
        open_store(postgres_url, clock, Unwatched()) as store,
        psycopg.connect(postgres_server.url(), autocommit=True) as admin,
    ):
        store.read_now(one)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        wishes = [store.write(record, an_event(key=str(n))) for n in range(3)]
        outcomes = await asyncio.gather(*wishes, return_exceptions=True)
        assert [isinstance(outcome, StoreError) for outcome in outcomes] == [True] * 3
        assert "is not currently accepting connections" in (store.trouble or "")
        with pytest.raises(StoreError, match="could not read"):
            store.read_now(one)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        clock.advance(60)
        assert await store.write(record, an_event(key="0")) is False
        assert store.trouble is None
        assert store.read_now(one) == 1


def one(connection: Connection) -> object:
    return connection.execute(text("SELECT 1")).scalar()
