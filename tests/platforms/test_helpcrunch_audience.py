"""A list of customers that changes while it is read: nobody is left out who was in it all the time."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.adapter.answers import never
from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.model.broadcast import Batch, CustomerFilter, HelpCrunchAudience, Recipient
from bridge.model.delivery import Failed
from bridge.platforms.helpcrunch import adapter
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.audience import MOST_AGAIN, MOST_IDLE, OVERLAP

SIZE = 20
ASKED = HelpCrunchAudience(
    account="shop", filter=(CustomerFilter(field="customers.city", operator="=", value="Berlin"),)
)
ACCOUNT = HelpCrunchAccount.model_validate(
    {"name": "shop", "api_key": "hc-key-1234567890abcdef", "agent": 4188, "customers_per_page": SIZE}
)
CHANGED_TOO_MUCH = (
    "the list changed so much between two pages that nobody can say who was left out; start the broadcast again"
)
THE_SAME_AGAIN = "HelpCrunch gives the same customers again and again; start the broadcast again"


def answer(call: HttpCall, listed: Sequence[int], total: str) -> HttpAnswer:
    """What HelpCrunch says while its list is this; it tells how many there are in either way, or not at all."""
    asked = json.loads(call.body or b"")
    start, limit = asked["offset"], asked["limit"]
    assert start >= 0
    assert limit == SIZE
    found: dict[str, Any] = {"data": [{"id": number, "city": "Berlin"} for number in listed[start : start + limit]]}
    told: dict[str, dict[str, Any]] = {"top": {"total": len(listed)}, "meta": {"meta": {"total": len(listed)}}}
    return HttpAnswer(status=200, body=json.dumps(found | told.get(total, {})).encode())


def read(states: Iterator[Sequence[int]], total: str = "meta") -> tuple[list[int], Failed | None]:
    """The customers that are named, in order, while the list is in another state at each call: a page is one call."""
    people = adapter.audience
    assert people is not None
    named: list[int] = []
    cursor: str | None = None
    while True:
        pages = people.page(ASKED, ACCOUNT, cursor)
        call = next(pages)
        assert isinstance(call, HttpCall)
        with pytest.raises(StopIteration) as end:
            pages.send(answer(call, next(states), total))
        page: Batch | Failed = end.value.value
        if isinstance(page, Failed):
            return named, page
        named += [int(str(one.variables["id"])) for one in page.people if isinstance(one, Recipient)]
        cursor = page.cursor
        if cursor is None:
            return named, None


def states_of(begin: int, changes: Sequence[Sequence[tuple[bool, int]]]) -> Iterator[list[int]]:
    """The list at each call: some leave and some come, anywhere, as often as `changes` says; then it stays."""
    listed, fresh = list(range(1, begin + 1)), 10_000
    yield list(listed)
    for some in changes:
        for leaves, place in some:
            if leaves and listed:
                del listed[place % len(listed)]
            elif not leaves:
                fresh += 1
                listed.insert(place % (len(listed) + 1), fresh)
        yield list(listed)
    while True:
        yield list(listed)


@given(
    begin=st.integers(0, 130),
    changes=st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=12), max_size=12),
    total=st.sampled_from(["top", "meta", "none"]),
)
@example(begin=60, changes=[[(False, 0)] * OVERLAP] * (1 + MOST_IDLE), total="meta")
def test_who_is_there_all_the_time_is_named(begin: int, changes: list[list[tuple[bool, int]]], total: str) -> None:
    *_, last = [state for state, _ in zip(states_of(begin, changes), range(len(changes) + 1), strict=False)]
    named, failed = read(states_of(begin, changes), total)
    if failed is not None:
        assert failed.detail in (CHANGED_TOO_MUCH, THE_SAME_AGAIN)
        return
    assert set(range(1, begin + 1)) & set(last) <= set(named)


@given(
    begin=st.integers(0, 130),
    changes=st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=OVERLAP - 2), max_size=12),
)
def test_few_changes_at_a_time_are_nothing_special(begin: int, changes: list[list[tuple[bool, int]]]) -> None:
    assert read(states_of(begin, changes))[1] is None


def test_a_list_that_does_not_change_is_read_once_in_few_calls() -> None:
    calls = 0

    def states() -> Iterator[Sequence[int]]:
        nonlocal calls
        while True:
            calls += 1
            yield range(1, 501)

    assert read(states()) == (list(range(1, 501)), None)
    assert calls == 1 + (500 - SIZE) // (SIZE - OVERLAP)


@pytest.mark.parametrize(
    "after",
    [range(31, 501), [*range(1001, 1051), *range(1, 501)], [*range(501, 1001), *range(1, 501)], range(491, 501)],
    ids=["some have left", "some have come before", "many have come before", "nearly all have left"],
)
@pytest.mark.parametrize("before", [2, 10, 30])
def test_a_list_that_changes_much_is_read_once_more(after: Sequence[int], before: int) -> None:
    """After `before` calls, which is more than the pages have in common."""
    calls = 0

    def states() -> Iterator[Sequence[int]]:
        nonlocal calls
        while True:
            calls += 1
            yield range(1, 501) if calls <= before else after

    named, failed = read(states())
    assert failed is None
    assert set(after) <= set(named)
    assert len(named) < len(set(named)) + before * SIZE, "whoever was named before the change is, at most, named again"
    assert calls <= before + 1 + len(after) // (SIZE - OVERLAP)


def test_a_list_that_is_another_each_time_is_given_up_soon() -> None:
    """As from a server that does not keep the order: nobody could say who was left out."""
    calls = 0

    def states() -> Iterator[Sequence[int]]:
        nonlocal calls
        while True:
            calls += 1
            yield range(calls * 10_000, calls * 10_000 + 2000 + SIZE * calls)

    _, failed = read(states())
    assert failed == never(CHANGED_TOO_MUCH)
    assert calls == 2 * (1 + MOST_AGAIN)


def test_a_server_that_gives_the_same_page_for_ever_is_given_up() -> None:
    def answers() -> Iterator[HttpAnswer]:
        while True:
            body = {"data": [{"id": number, "city": "Berlin"} for number in range(1, SIZE + 1)], "total": 500}
            yield HttpAnswer(status=200, body=json.dumps(body).encode())

    people = adapter.audience
    assert people is not None
    cursor: str | None = None
    told = answers()
    for _ in range(1 + MOST_IDLE):
        pages = people.page(ASKED, ACCOUNT, cursor)
        next(pages)
        try:
            pages.send(next(told))
        except StopIteration as end:
            page: Batch | Failed = end.value
        if isinstance(page, Failed):
            assert page.detail == THE_SAME_AGAIN
            return
        cursor = page.cursor
    raise AssertionError("it goes on for ever")
