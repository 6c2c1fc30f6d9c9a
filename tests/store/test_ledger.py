"""The ledger: what a transaction knows of its events, and what it leaves behind."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text

from bridge.clock import SetClock, to_ms
from bridge.model.conversation import EMPTY, Timer
from bridge.model.delivery import Command
from bridge.model.event import Contact, Event
from bridge.store import history
from bridge.store.intervene import Filter
from bridge.store.ledger import Claim, Ledger
from bridge.store.page import Entry
from bridge.store.rows import conversation_from
from bridge.store.store import Store
from tests.values import NOON, a_delivery, an_event

T = TypeVar("T")
CLAIM = Claim(worker="w", until=NOON + timedelta(minutes=2))


async def on_a_page(store: Store, clock: SetClock, events: Sequence[Event], use: Callable[[Ledger], T]) -> T:
    """Open a ledger for `events`, use it, and write it."""

    def work(connection: Connection, items: Sequence[None]) -> list[T]:
        ledger = Ledger(connection, events, clock.now())
        result = use(ledger)
        ledger.write(CLAIM)
        return [result]

    return await store.write(work, None)


def take(*events: Event) -> Callable[[Ledger], list[bool]]:
    """Record what is no repeat; gives for each event whether it was one."""

    def use(ledger: Ledger) -> list[bool]:
        repeats = []
        for event in events:
            repeats.append(ledger.is_repeat(event))
            if not repeats[-1]:
                ledger.keep(ledger.facts(event).conversation)
                ledger.record(event, [])
        return repeats

    return use


async def taken(store: Store, clock: SetClock, *events: Event) -> list[bool]:
    return await on_a_page(store, clock, events, take(*events))


async def test_the_same_key_is_a_repeat_in_the_same_page_and_in_a_later_one(store: Store, clock: SetClock) -> None:
    assert await taken(store, clock, an_event(), an_event()) == [False, True]
    clock.advance(90 * 24 * 3600)
    assert await taken(store, clock, an_event()) == [True]


async def test_another_account_or_key_is_another_event(store: Store, clock: SetClock) -> None:
    events = [an_event(), an_event(account="other"), an_event(key="message/2")]
    assert await taken(store, clock, *events) == [False, False, False]


@pytest.mark.parametrize(("seconds", "repeat"), [(0, True), (9.999, True), (10, False), (60, False)])
async def test_a_weak_key_is_a_repeat_only_for_its_time(
    store: Store, clock: SetClock, seconds: float, repeat: bool
) -> None:
    yes = an_event(text="yes", key="body/1", repeat_within=timedelta(seconds=10))
    assert await taken(store, clock, yes) == [False]
    clock.advance(seconds)
    assert await taken(store, clock, yes) == [repeat]


async def test_the_time_of_a_weak_key_begins_anew_with_each_event(store: Store, clock: SetClock) -> None:
    yes = an_event(text="yes", key="body/1", repeat_within=timedelta(seconds=10))
    answers = []
    for seconds in (0, 12, 5, 12):
        clock.advance(seconds)
        answers += await taken(store, clock, yes)
    assert answers == [False, False, True, False]


async def test_a_conversation_is_counted_and_its_contact_remembered(store: Store, clock: SetClock) -> None:
    first = an_event(key="1", contact=Contact(name="José", email="jose@example.com"))
    await taken(store, clock, first)
    later = an_event(key="2", contact=Contact(phone="+351"), at=NOON + timedelta(minutes=5))
    facts = await on_a_page(store, clock, [later], lambda ledger: ledger.facts(later))
    assert facts.contact == Contact(name="José", email="jose@example.com", phone="+351")
    assert facts.conversation.messages == 2
    assert facts.conversation.idle == facts.conversation.age == timedelta(minutes=5)


async def test_memories_are_kept_by_their_scope(store: Store, clock: SetClock) -> None:
    event = an_event()

    def remember(ledger: Ledger) -> None:
        conversation = ledger.facts(event).conversation
        ledger.keep(conversation)
        ledger.record(event, [])
        ledger.remember(
            conversation,
            {
                "conversation": EMPTY.remember({"asked": True}),
                "contact": EMPTY.remember({"vip": 1}).count("greeting", 7, 3),
                "account": EMPTY.remember({"busy": "no"}),
            },
        )

    await on_a_page(store, clock, [event], remember)
    same = an_event(key="2")
    facts = await on_a_page(store, clock, [same], lambda ledger: ledger.facts(same))
    assert (facts.memory(), facts.memory("contact"), facts.memory("account")) == (
        {"asked": True},
        {"vip": 1},
        {"busy": "no"},
    )
    assert facts.memories["contact"].fired == {"greeting": (7,)}
    elsewhere = an_event(key="3", conversation="another-conversation")
    facts = await on_a_page(store, clock, [elsewhere], lambda ledger: ledger.facts(elsewhere))
    assert (facts.memory(), facts.memory("contact")) == ({}, {"vip": 1})


async def test_an_event_is_kept_whole(store: Store, clock: SetClock) -> None:
    event = an_event(raw={"messageNumber": 3, "odd": [None, {"a": "ü"}]}, url="https://shop.example/")

    def use(ledger: Ledger) -> int:
        number = ledger.record(event, [{"rule": "x", "fired": True}])
        ledger.enqueue(Entry(delivery=a_delivery(id=ledger.next_delivery(), event=number)))
        return number

    await on_a_page(store, clock, [event], use)
    story = await store.read(lambda connection: history.tell(connection, 1))
    assert story is not None
    assert story.event == event
    assert story.trace == [{"rule": "x", "fired": True}]


async def test_only_the_head_of_a_lane_is_handed_over(store: Store, clock: SetClock) -> None:
    def use(connection: Connection, items: Sequence[None]) -> list[list[int]]:
        ledger = Ledger(connection, [], clock.now())
        for number, lane in enumerate(("a", "a", "b", "full"), 1):
            delivery = a_delivery(id=ledger.next_delivery(), event=number, lane=lane, account=lane)
            ledger.enqueue(Entry(delivery=delivery))
        claim = Claim(worker="w", until=NOON, full=[("full", "live")])
        return [[delivery.id for delivery in ledger.write(claim)]]

    assert await store.write(use, None) == [1, 3]
    listed = await store.read(lambda connection: history.list_deliveries(connection, Filter(), 10))
    states = {one.delivery.id: (one.state, one.due_at is None) for one in listed}
    assert states == {1: ("claimed", True), 2: ("queued", True), 3: ("claimed", True), 4: ("queued", False)}


async def test_numbers_go_on_where_they_ended(store: Store, clock: SetClock) -> None:
    await taken(store, clock, an_event(key="1"), an_event(key="2"))
    await taken(store, clock, an_event(key="3"))
    numbers = await store.read(lambda connection: list(connection.scalars(text("SELECT id FROM events ORDER BY id"))))
    assert numbers == [1, 2, 3]


async def test_what_a_conversation_is_found_by_follows_what_happens_in_it(store: Store, clock: SetClock) -> None:
    """Its row says the same as its document, whichever of its columns an event has changed."""
    timer = Timer(rule="r", action="1", due=to_ms(NOON) + 60_000, since=to_ms(NOON), events=(1,))

    async def happens(number: int, *timers: Timer, **event: Any) -> tuple[Any, ...]:
        at = NOON + timedelta(seconds=number)
        coming = an_event(key=str(number), at=at, **event)

        def use(ledger: Ledger) -> None:
            conversation = ledger.facts(coming).conversation
            ledger.keep(replace(conversation, timers=timers))
            ledger.record(coming, [])

        def look(connection: Connection) -> Any:
            return connection.exec_driver_sql(
                "SELECT last_at, ended, waiting, wake_at, document FROM conversations"
            ).one()

        await on_a_page(store, clock, [coming], use)
        last_at, ended, waiting, wake_at, document = await store.read(look)
        now, _ = conversation_from(document)
        assert (to_ms(now.last_at), now.ended, now.waiting, now.timers) == (last_at, ended, waiting, timers)
        assert last_at == to_ms(at)
        return ended, waiting, wake_at

    assert await happens(1) == (0, 1, None)
    assert await happens(2) == (0, 1, None)
    assert await happens(3, sender="agent") == (0, 0, None)
    assert await happens(4, timer) == (0, 1, timer.due)
    assert await happens(5, timer) == (0, 1, timer.due)
    assert await happens(6, replace(timer, due=timer.due + 1)) == (0, 1, timer.due + 1)
    assert await happens(7, kind="ended") == (1, 0, None)
    assert await happens(8, kind="visited", url="https://shop.example/") == (1, 0, None)
    assert await happens(9) == (0, 1, None)


async def test_a_conversation_may_begin_and_end_in_one_page(store: Store, clock: SetClock) -> None:
    coming = [an_event(key="1"), an_event(key="2", kind="ended"), an_event(key="3", kind="visited", url="https://x.y/")]
    await taken(store, clock, *coming)

    def look(connection: Connection) -> Any:
        return connection.exec_driver_sql("SELECT ended, waiting FROM conversations").all()

    assert [tuple(row) for row in await store.read(look)] == [(1, 0)]


async def test_new_deliveries_are_kept_whole_whatever_few_of_them_have(store: Store, clock: SetClock) -> None:
    event = an_event()
    command = Command(operation="shop.find", arguments={"name": "Zoë"}, conversation="site/abcdef0123456789")
    given = [
        a_delivery(id=1, action="0", lane="a"),
        a_delivery(id=2, action="1", lane="a", expires_at=NOON + timedelta(hours=1)),
        a_delivery(id=3, action="2", lane="b", command=command),
        a_delivery(id=4, action="3", lane="c", unsure_since=NOON, on_unknown="hold", attempts=2),
        a_delivery(id=5, action="4", lane="d", urgency="follow_up"),
        a_delivery(id=6, action="5", lane="e"),
    ]

    def use(ledger: Ledger) -> None:
        ledger.keep(ledger.facts(event).conversation)
        ledger.record(event, [])
        for delivery in given[:5]:
            ledger.enqueue(Entry(delivery=delivery))
        ledger.enqueue(Entry(delivery=given[5], state="dead", reason="template", detail="x.j2:1: no"))

    await on_a_page(store, clock, [event], use)
    found = {
        one.delivery.id: one
        for one in await store.read(lambda connection: history.list_deliveries(connection, Filter(), 10))
    }
    assert [found[one.id].delivery for one in given] == given
    states = [(one.state, one.reason, one.detail) for _, one in sorted(found.items())]
    assert states == [
        ("claimed", None, None),
        ("queued", None, None),
        ("claimed", None, None),
        ("claimed", None, None),
        ("claimed", None, None),
        ("dead", "template", "x.j2:1: no"),
    ]
