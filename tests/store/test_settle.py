"""Settling: what was sent is known by its id, what was found is remembered, and doubt is kept."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from bridge.clock import SetClock, to_ms
from bridge.model.conversation import Conversation, Memory, Timer
from bridge.model.delivery import Attempt, Command, Delivery, Failed, Outcome, Sent, Settled, Unknown
from bridge.model.finding import facts_in
from bridge.store import history, intervene, leases, outgoing
from bridge.store.intervene import Filter
from bridge.store.learn import LONGEST_FACT
from bridge.store.leases import Heirs
from bridge.store.ledger import Claim, Ledger
from bridge.store.outgoing import Take, Want
from bridge.store.page import Entry
from bridge.store.rows import conversation_from
from bridge.store.settle import Done, settle
from bridge.store.store import Store
from tests.values import NOON, a_delivery, an_event

LEASE = timedelta(minutes=2)
KEY = "site/abcdef0123456789"
AFTER = Timer(rule="r", action="1", due=to_ms(NOON), since=to_ms(NOON), events=(1,), groups={"word": "price"})
LOOK_UP = Command(operation="shop.find", conversation=KEY, keep={"customer": "id", "all": ""}, then=AFTER)


async def enqueue(store: Store, clock: SetClock, *given: Delivery) -> list[Delivery]:
    """These deliveries, in a conversation that exists; gives those claimed for the worker "w"."""

    def work(connection: Connection, items: Sequence[None]) -> list[tuple[Delivery, ...]]:
        event = an_event()
        ledger = Ledger(connection, [event], clock.now())
        if not ledger.is_repeat(event):
            ledger.record(event, [])
            ledger.keep(ledger.facts(event).conversation)
        for delivery in given:
            ledger.enqueue(Entry(delivery=delivery))
        return [ledger.write(Claim(worker="w", until=clock.now() + LEASE))]

    return list(await store.write(work, None))


def done(delivery: Delivery, clock: SetClock, *outcomes: Outcome, worker: str = "w", **settled: Any) -> Done:
    attempts = tuple(Attempt(delivery=delivery.id, at=clock.now(), took=0.01, outcome=one) for one in outcomes)
    became = Settled(**{"state": "sent", **settled})
    return Done(delivery=delivery, attempts=attempts, settled=became, at=clock.now(), worker=worker, lease=LEASE)


async def conversation(store: Store) -> tuple[Conversation, Memory, int | None]:
    """As it is kept, with the moment (ms) at which it wants to be looked at."""

    def look(connection: Connection) -> Any:
        return connection.exec_driver_sql("SELECT document, wake_at FROM conversations").one()

    document, wake_at = await store.read(look)
    return *conversation_from(document), wake_at


async def test_what_was_found_is_remembered_and_what_comes_after_is_due(store: Store, clock: SetClock) -> None:
    [mine] = await enqueue(store, clock, a_delivery(command=LOOK_UP))
    clock.advance(30)
    await store.write(settle, done(mine, clock, Sent(found={"id": 5, "name": "Ann"})))
    known, memory, wake_at = await conversation(store)
    assert memory.facts == {"customer": 5, "all": {"id": 5, "name": "Ann"}}
    assert (known.timers, wake_at) == ((AFTER,), AFTER.due)


@pytest.mark.parametrize(
    ("command", "outcome", "state"),
    [
        (LOOK_UP, Failed(reason="invalid", detail="no", permanent=True), "dead"),
        (LOOK_UP, Failed(reason="unavailable", detail="no"), "queued"),
        (LOOK_UP, Unknown(reason="timeout", detail="no"), "unknown"),
        (Command(operation="shop.find", conversation=KEY), Sent(found={"id": 5}), "sent"),
        (Command(operation="shop.find", conversation="site/gone", keep={"a": ""}), Sent(found=1), "sent"),
        (None, Sent(found={"id": 5}), "sent"),
    ],
)
async def test_nothing_is_remembered_of_what_was_not_done_or_not_asked_for(
    store: Store, clock: SetClock, command: Command | None, outcome: Outcome, state: str
) -> None:
    [mine] = await enqueue(store, clock, a_delivery(command=command))
    await store.write(settle, done(mine, clock, outcome, state=state))
    known, memory, wake_at = await conversation(store)
    assert (known.timers, dict(memory.facts), wake_at) == ((), {}, None)


async def test_who_lost_its_claim_teaches_nothing(store: Store, clock: SetClock) -> None:
    [mine] = await enqueue(store, clock, a_delivery(command=LOOK_UP))
    await store.write(settle, done(mine, clock, Sent(found={"id": 5}), worker="another"))
    known, memory, _ = await conversation(store)
    assert (known.timers, dict(memory.facts)) == ((), {})


async def test_what_is_sent_what_failed_and_what_was_lost_may_be_settled_together(
    store: Store, clock: SetClock
) -> None:
    waiting = [a_delivery(id=n + 10, action=f"1{n}", lane=f"l{n}") for n in range(1, 5)]
    first = [a_delivery(id=n, action=str(n), lane=f"l{n}") for n in range(1, 5)]
    mine = await enqueue(store, clock, *first, *waiting)
    clock.advance(1)
    no = Failed(reason="unavailable", detail="busy")
    later = clock.now() + timedelta(seconds=5)
    given = [
        done(mine[0], clock, Sent(reference="m1")),
        done(mine[1], clock, no, state="queued", due_at=later, reason="unavailable", detail="busy"),
        done(mine[2], clock, Sent(), worker="another"),
        done(mine[3], clock, no, Sent()),
    ]

    def together(connection: Connection, items: Sequence[Sequence[Done]]) -> list[list[Delivery | None]]:
        return [settle(connection, one) for one in items]

    freed = await store.write(together, given)
    assert [one and one.id for one in freed] == [11, None, None, 14], "a retry and a lost claim leave their lane busy"
    found = await store.read(lambda connection: history.list_deliveries(connection, Filter(), 10))
    stand = {one.delivery.id: (one.state, one.delivery.attempts, one.reference, one.detail) for one in found}
    assert [stand[n] for n in (1, 2, 3, 4)] == [
        ("sent", 1, "m1", None),
        ("queued", 1, None, "busy"),
        ("claimed", 0, None, None),
        ("sent", 2, None, None),
    ]
    assert {one.delivery.id: one.due_at for one in found}[2] == later


async def test_the_same_outcome_told_twice_counts_once(store: Store, clock: SetClock) -> None:
    [mine] = await enqueue(store, clock, a_delivery(), a_delivery(id=2, action="1"))
    twice = [done(mine, clock, Sent(reference="m1"))] * 2

    def together(connection: Connection, items: Sequence[Sequence[Done]]) -> list[list[Delivery | None]]:
        return [settle(connection, one) for one in items]

    freed = await store.write(together, twice)
    assert {one.id for one in freed if one is not None} == {2}
    [_, sent] = await store.read(lambda connection: history.list_deliveries(connection, Filter(), 10))
    assert (sent.state, sent.delivery.attempts) == ("sent", 1)


async def test_several_lessons_for_one_conversation_add_up(store: Store, clock: SetClock) -> None:
    keeps = ({"a": "x"}, {"b": "x"}, {"big": ""})
    commands = [Command(operation="shop.find", conversation=KEY, keep=keep) for keep in keeps]
    lanes = [a_delivery(id=n, action=str(n), lane=f"l{n}", command=one) for n, one in enumerate(commands, 1)]
    mine = await enqueue(store, clock, *lanes)
    found = ({"x": 1}, {"x": [2]}, "y" * LONGEST_FACT)

    def together(connection: Connection, items: Sequence[Sequence[Done]]) -> list[object]:
        return [settle(connection, one) for one in items]

    await store.write(together, [done(d, clock, Sent(found=f)) for d, f in zip(mine, found, strict=True)])
    _, memory, _ = await conversation(store)
    assert memory.facts == {"a": 1, "b": [2]}, "what is too long is not remembered"


FOUND = {"items": [{"id": 7, "tags": []}], "name": "Ann", "none": None, "dot.ted": 1}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", FOUND),
        ("name", "Ann"),
        ("items.0.id", 7),
        ("items.0.tags", []),
        ("items.1", None),
        ("items.-1", None),
        ("items.²", None),
        ("items.99999999999999999999", None),
        ("name.0", None),
        ("none", None),
        ("nobody.here", None),
        ("dot.ted", None),
        (".", None),
    ],
)
def test_a_path_leads_to_a_value_or_to_nothing(path: str, value: object) -> None:
    assert facts_in(FOUND, {"fact": path}) == ({} if value is None else {"fact": value})


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(found=PLAIN, path=st.text(alphabet="ab.01", max_size=8))
def test_any_path_into_anything_is_harmless(found: object, path: str) -> None:
    assert set(facts_in(found, {"fact": path})) <= {"fact"}


async def test_our_own_messages_are_known_by_their_ids(store: Store, clock: SetClock) -> None:
    """Not what an operation answers: that may be the id of anything, of a chat or a customer."""
    command = Command(operation="shop.assign")
    given = [
        a_delivery(),
        a_delivery(id=2, action="1", lane="b", command=command),
        a_delivery(id=3, action="2", lane="c"),
    ]
    for mine, name in zip(await enqueue(store, clock, *given), ("542335", "17", None), strict=True):
        await store.write(settle, done(mine, clock, Sent(reference=name)))
    asked = [("site", "542335"), ("shop", "542335"), ("site", "17"), ("site", "1")]
    assert await store.read(lambda connection: outgoing.ours(connection, asked)) == {("site", "542335")}
    listed = await store.read(lambda connection: history.list_deliveries(connection, Filter(), 9))
    assert [one.reference for one in listed] == [None, None, "542335"]


async def test_doubt_is_kept_and_the_question_recorded_as_an_attempt(store: Store, clock: SetClock) -> None:
    [mine] = await enqueue(store, clock, a_delivery())
    lost = Unknown(reason="timeout", detail="no answer")
    began, due_at = clock.now(), clock.now() + timedelta(seconds=1)
    await store.write(settle, done(mine, clock, lost, state="queued", due_at=due_at, unsure_since=began))
    clock.advance(1)
    [again] = await store.write(outgoing.claim, a_wish(clock))
    assert (again.unsure_since, again.attempts) == (began, 1)
    question = Attempt(
        delivery=1, at=clock.now(), took=0, outcome=Failed(reason="network", detail="not there"), note="asked"
    )
    sent = Attempt(delivery=1, at=clock.now(), took=0, outcome=Sent(reference="7"))
    both = Done(
        delivery=again,
        attempts=(question, sent),
        settled=Settled(state="sent"),
        at=clock.now(),
        worker="w",
        lease=LEASE,
    )
    await store.write(settle, both)
    story = await store.read(lambda connection: history.tell(connection, 1))
    assert story is not None
    assert (story.listed.delivery.attempts, story.listed.delivery.unsure_since) == (3, None)
    assert [(one.outcome, one.detail) for one in story.tries] == [
        ("unknown", "no answer"), ("failed", "asked: not there"), ("sent", "7"),
    ]  # fmt: skip


def the_heirs(clock: SetClock, **changes: tuple[str, ...]) -> Heirs:
    return Heirs(at=clock.now(), lease=LEASE, **changes)


def a_wish(clock: SetClock, **heirs: tuple[str, ...]) -> Take:
    wants = (Want(account="site", urgency="live", most=9),)
    return Take(worker="w", at=clock.now(), lease=LEASE, wants=wants, heirs=the_heirs(clock, **heirs))


@pytest.mark.parametrize("hold", [(), ("site",)])
async def test_a_reply_whose_worker_died_is_asked_about_where_that_is_possible(
    store: Store, clock: SetClock, hold: tuple[str, ...]
) -> None:
    """Operations are not: for them `on_unknown` decides, as it does for replies elsewhere."""
    command = a_delivery(id=2, action="1", lane="b", command=LOOK_UP)
    other = a_delivery(id=3, action="2", lane="c", account="other")
    await enqueue(store, clock, a_delivery(), command, other)
    if hold:
        await store.write(leases.begin, leases.Begun(delivery=2, worker="w", at=clock.now()))
    clock.advance(30)
    await store.write(leases.take_over, the_heirs(clock, ask=("site",), hold=hold))
    listed = await store.read(lambda connection: history.list_deliveries(connection, Filter(), 9))
    reply, operation, others = reversed(listed)
    assert (reply.state, reply.delivery.unsure_since) == ("queued", NOON)
    begun = ("unknown", NOON) if hold else ("queued", None)
    assert (operation.state, operation.delivery.unsure_since) == begun
    assert (others.state, others.delivery.unsure_since) == ("queued", None)


async def test_the_attempt_that_died_began_in_its_lease(store: Store, clock: SetClock) -> None:
    await enqueue(store, clock, a_delivery())
    clock.advance(3600)
    await store.write(leases.take_over, the_heirs(clock))
    [_] = await store.write(outgoing.claim, a_wish(clock))
    clock.advance(121)
    [taken] = await store.write(outgoing.claim, a_wish(clock, ask=("site",)))
    assert taken.unsure_since == NOON + timedelta(seconds=3600 - 120)
    clock.advance(121)
    [taken] = await store.write(outgoing.claim, a_wish(clock, ask=("site",)))
    assert taken.unsure_since == NOON + timedelta(seconds=3600 - 120), "the earliest doubt counts"


async def test_whoever_replays_has_looked(store: Store, clock: SetClock) -> None:
    [mine] = await enqueue(store, clock, a_delivery())
    await store.write(settle, done(mine, clock, state="unknown", unsure_since=NOON))

    def replay(connection: Connection, items: Sequence[None]) -> list[list[int]]:
        return [intervene.replay(connection, Filter(), clock.now(), lambda _: LEASE) for _ in items]

    assert await store.write(replay, None) == [1]
    [again] = await store.write(outgoing.claim, a_wish(clock))
    assert again.unsure_since is None
