"""Backtest: the same rules come to the same, other rules to what they would have come to, and nothing is written."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import StoreError
from bridge.lab.backtest import Backtested, Period, backtest
from bridge.lab.backtest_talks import MOST_LINES, Comparison, heard, said
from bridge.lab.recollection import Conversations, Recollection
from bridge.line.decide import Behaviour
from bridge.line.render import Rendered
from bridge.model.conversation import EMPTY, Timer, begin
from bridge.model.delivery import Reply
from bridge.store.recorded import Chosen, recorded
from tests.lab.recording import Recorder, behaviour_of
from tests.values import NOON, an_event

PRICE: Mapping[str, Any] = {
    "name": "price",
    "when": {"text": {"words": "price"}},
    "limit": {"times": 2, "per": "conversation", "within": "1h"},
    "do": [
        {"reply": {"text": "9 EUR"}},
        {
            "after": "10m",
            "unless": ["agent_message", "contact_message"],
            "do": [{"reply": {"text": "Still there?"}}],
        },
    ],
}
GREETING = {"name": "greeting", "when": {"text": {"words": ["hi", "hello"]}}, "do": [{"reply": {"text": "Hello!"}}]}
AT_ONCE = {"name": "long", "when": {"text": {"words": "long"}},
           "do": [{"reply": {"text": "{{ messages | length }} messages"}}]}  # fmt: skip
BURST = {**AT_ONCE, "burst": "2s"}


def run(
    record: Recorder, behaviour: Behaviour, *, since: datetime = NOON, chosen: Chosen | None = None, **options: Any
) -> Backtested:
    with recorded(record.url) as records:
        return backtest(
            records, behaviour, Period(since=since, until=record.clock.now()), chosen or Chosen(), **options
        )


def lines(result: Backtested) -> list[list[str]]:
    """What differs, a conversation at a time: '+ greeting: Hello!'."""
    return [[f"{sign} {line.who}: {line.text}" for sign, line in one.lines] for one in result.differences]


def figures(result: Backtested) -> dict[str, tuple[int, int, int, int]]:
    """Of each rule that did anything: fired then, fires now, replies then, replies now."""
    return {
        one.rule: (one.fired_then, one.fires_now, one.replies_then, one.replies_now) for one in result.rules if one.any
    }


async def talk(record: Recorder) -> None:
    """Two are greeted and ask for the price; one hears the follow-up, the other is helped by an agent."""
    await record.says("hi")
    await record.wait(20)
    await record.says("what is the price")
    await record.wait(1000)
    await record.says("hello, the price", conversation="second")
    await record.wait(60)
    await record.says("I can help", conversation="second", sender="agent")
    await record.wait(1000)


async def test_the_same_rules_come_to_the_same(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING, PRICE)) as record:
        await talk(record)
        result = run(record, record.behaviour)
    assert (result.events, result.before, result.conversations, result.different) == (4, 0, 2, 0)
    assert figures(result) == {"greeting": (2, 2, 2, 2), "price": (2, 2, 3, 3)}
    assert result.notes == ()


async def test_other_words_are_shown_beside_those_of_then(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING, PRICE)) as record:
        await talk(record)
        other = {**PRICE, "do": [{"reply": {"text": "10 EUR"}}, PRICE["do"][1]]}
        result = run(record, behaviour_of(GREETING, other))
    assert result.different == 2
    assert lines(result) == [
        ["  greeting: Hello!", "  contact: what is the price", "- price: 9 EUR", "+ price: 10 EUR",
         "  price: Still there?"],
        ["  contact: hello, the price", "  greeting: Hello!", "- price: 9 EUR", "+ price: 10 EUR",
         "  agent: I can help"],
    ]  # fmt: skip
    assert figures(result) == {"greeting": (2, 2, 2, 2), "price": (2, 2, 3, 3)}


async def test_follow_ups_that_are_new_come_at_their_time_and_those_that_are_gone_do_not(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING, PRICE)) as record:
        await talk(record)
        followed = {**GREETING, "do": [*GREETING["do"], {"after": "15m", "do": [{"reply": {"text": "Well?"}}]}]}
        result = run(record, behaviour_of(followed, {**PRICE, "do": PRICE["do"][:1]}))
    # The agent who helped keeps the new follow-up quiet in the second conversation.
    assert lines(result) == [
        ["  contact: what is the price", "  price: 9 EUR", "- price: Still there?", "+ greeting: Well?"]
    ]
    [difference] = result.differences
    assert [(line.at - NOON).total_seconds() for _, line in difference.lines] == [20, 20, 620.1, 900]
    assert figures(result) == {"greeting": (2, 2, 2, 3), "price": (2, 2, 3, 2)}


async def test_rules_that_are_new_and_rules_that_are_gone_are_counted(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING)) as record:
        await record.says("hi")
        await record.says("a long story")
        result = run(record, behaviour_of({**GREETING, "name": "renamed"}, AT_ONCE))
    assert figures(result) == {"renamed": (0, 1, 0, 1), "long": (0, 1, 0, 1), "greeting": (1, 0, 1, 0)}
    assert [one.rule for one in result.rules if one.place is None] == ["greeting"]
    # What is said is the same, whatever the rule is called that says it.
    assert lines(result) == [["  greeting: Hello!", "  contact: a long story", "+ long: 1 messages"]]


async def test_bursts_are_made_again_from_their_messages(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(BURST)) as record:
        for text in ("a long", "story", "of mine"):
            await record.says(text)
            await record.wait(1)
        await record.wait(10)
        same = run(record, record.behaviour)
        at_once = run(record, behaviour_of(AT_ONCE))
    assert (same.different, figures(same)) == (0, {"long": (1, 1, 1, 1)})
    assert lines(at_once) == [
        ["  contact: a long", "+ long: 1 messages", "  contact: story", "  contact: of mine", "- long: 3 messages"]
    ]


async def test_memory_is_rebuilt_from_before_the_period_which_is_not_counted(tmp_path: Path) -> None:
    once = {**GREETING, "limit": {"times": 1, "per": "contact"}}
    async with Recorder(tmp_path, behaviour_of(once)) as record:
        await record.says("hi")
        await record.wait(3600)
        await record.says("hi", conversation="another of the same contact")
        result = run(record, behaviour_of(GREETING), since=NOON + timedelta(minutes=30))
        same = run(record, record.behaviour, since=NOON + timedelta(minutes=30))
    assert (result.events, result.before, figures(result)) == (1, 1, {"greeting": (0, 1, 0, 1)})
    assert lines(result) == [["  contact: hi", "+ greeting: Hello!"]]
    assert (same.different, figures(same)) == (0, {})


async def test_only_an_account_or_a_conversation_is_rehearsed_and_what_that_hides_is_said(tmp_path: Path) -> None:
    once = {**GREETING, "limit": {"times": 1, "per": "rule"}}
    async with Recorder(tmp_path, behaviour_of(GREETING)) as record:
        await record.says("hi")
        await record.says("hi", conversation="second")
        await record.says("hi", conversation="second", account="support", platform="edna")
        by_account = run(record, behaviour_of(once), chosen=Chosen(account="site"))
        by_talk = run(record, behaviour_of(once), chosen=Chosen(account="site", conversation="second"))
    assert (by_account.events, by_account.conversations, by_account.different) == (2, 2, 1)
    assert by_account.notes == ("what is remembered or counted per rule (greeting) is known from this account alone",)
    assert (by_talk.events, by_talk.conversations, by_talk.different) == (1, 1, 0)
    assert by_talk.notes == ("what is remembered or counted per rule (greeting) is known from this conversation alone",)


async def test_operations_find_nothing_unless_it_is_said_what_they_find(tmp_path: Path) -> None:
    look_up = {
        "name": "look-up",
        "do": [
            {
                "edna.client": {
                    "phones": ["123"],
                    "remember": {"client": "0.name"},
                    "then": [{"reply": {"text": "Hello {{ memory.client | default('stranger') }}"}}],
                }
            }
        ],
    }
    async with Recorder(tmp_path, behaviour_of()) as record:
        await record.says("hi")
        without = run(record, behaviour_of(look_up))
        found = run(record, behaviour_of(look_up), findings={"edna.client": [{"name": "Ann"}]})
    assert lines(without)[0][-1] == "+ look-up: Hello stranger"
    assert without.notes == (
        "operations were taken to be done and to find nothing, though rules go on with what they find (edna.client 1); "
        "--found OPERATION=JSON says what one finds",
    )
    assert lines(found)[0][-1] == "+ look-up: Hello Ann"
    assert found.notes == ()


async def test_actions_that_fail_now_are_counted_and_shown(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING)) as record:
        await record.says("hi")
        result = run(record, behaviour_of({**GREETING, "do": [{"reply": {"text": "Hello {{ memory.name }}"}}]}))
    assert [(one.rule, one.failed, one.replies_now) for one in result.rules] == [("greeting", 1, 0)]
    assert lines(result)[0][2].startswith("+ greeting: failed: rules/a.yaml:1:")


async def test_events_of_an_account_that_is_gone_are_said(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING)) as record:
        await record.says("hi", account="old")
        assert run(record, record.behaviour).notes == (
            "the settings have no account old any more, to which 1 of the events came",
        )


async def test_a_record_that_begins_after_the_period_and_an_empty_one(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING)) as record:
        empty = run(record, record.behaviour, since=NOON - timedelta(days=1))
        await record.says("hi")
        late = run(record, record.behaviour, since=NOON - timedelta(days=1))
    assert (empty.events, empty.conversations, empty.different) == (0, 0, 0)
    assert late.notes == ("the record begins only at 2026-03-27 12:00:00 UTC",)


async def test_at_most_so_many_conversations_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING)) as record:
        for number in range(20):
            await record.says("hi", conversation=f"c{number}")
        result = run(record, behaviour_of({**GREETING, "do": [{"reply": {"text": "Hi!"}}]}), most=3)
    assert (result.different, [one.conversation for one in result.differences]) == (20, ["c0", "c1", "c2"])


async def test_the_record_is_left_as_it_is(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING, PRICE)) as record:
        await talk(record)
    before = (tmp_path / "data/bridge.db").read_bytes()
    assert run(record, behaviour_of(BURST)).different == 2
    assert (tmp_path / "data/bridge.db").read_bytes() == before


async def test_what_was_held_back_is_held_back_again(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING)) as record:
        await record.says("hi")
        await record.wait(5)
        await record.says("hi")
        same, other = run(record, record.behaviour), run(record, behaviour_of(PRICE))
    assert (same.different, figures(same)) == (0, {"greeting": (2, 2, 1, 1)})
    assert lines(other)[0][-1] == (
        "- greeting: Hello!\n(held back: the same text was sent to this conversation less than a minute ago)"
    )


async def test_what_became_of_a_delivery_later_is_no_difference(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(GREETING)) as record:
        for number in range(3):
            await record.says("hi", conversation=f"c{number}")

        def settle(connection: Any, items: Any) -> list[None]:
            for number, state in enumerate(("sent", "dead", "cancelled"), 1):
                connection.exec_driver_sql(
                    f"UPDATE deliveries SET state = '{state}', detail = 'by a person', finished_at = created_at + 900 "
                    f"WHERE id = {number}"
                )
            return [None]

        await record.store.write(settle, None)
        result = run(record, record.behaviour)
    assert (lines(result), figures(result)) == ([], {"greeting": (3, 3, 3, 3)})


async def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of()) as record:

        def age(connection: Any, items: Any) -> list[None]:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
            return [None]

        await record.store.write(age, None)
    with pytest.raises(StoreError, match=r"has version 0000, .*serve"), recorded(record.url):
        pass


HAPPENINGS: Mapping[str, Mapping[str, Any]] = {
    "price": {"text": "price"},
    "hi": {"text": "hi"},
    "long": {"text": "a long story"},
    "agent": {"text": "I can help", "sender": "agent"},
    "typing": {"text": None, "kind": "typing", "state": "started"},
    "ended": {"text": None, "kind": "ended", "sender": "system"},
    "elsewhere": {"text": "price", "conversation": "second"},
}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.floats(0, 2000)), max_size=12))
async def test_whatever_happened_the_same_rules_come_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, float]]
) -> None:
    behaviour = behaviour_of(GREETING, PRICE, BURST)
    async with Recorder(tmp_path_factory.mktemp("record"), behaviour, wake_late=0) as record:
        for what, wait in steps:
            await record.says(**HAPPENINGS[what])
            await record.wait(round(wait, 3))
        result = run(record, behaviour)
    assert lines(result) == []
    assert all(one.fired_then == one.fires_now and one.replies_then == one.replies_now for one in result.rules)


def said_by(rule: str, text: str) -> Rendered:
    return Rendered(rule=rule, action="0", account="site", lane="site/abcdef0123456789", to={}, reply=Reply(text=text))


def test_of_a_conversation_that_goes_on_differently_only_so_many_lines_are_kept() -> None:
    comparison = Comparison(most=1)
    for number in range(MOST_LINES * 3):
        event = an_event(text=f"m{number}")
        then, now = (said([said_by("r", f"{when} {number}")], event, NOON) for when in ("then", "now"))
        comparison.add(event, heard(event, NOON), then, now)
    [difference] = comparison.differences()
    assert difference.cut
    assert len(difference.lines) <= 2 * MOST_LINES
    assert comparison.different == 1


def test_what_is_said_only_by_one_side_is_bounded_as_well() -> None:
    comparison = Comparison(most=1)
    for number in range(MOST_LINES * 3):
        comparison.add(an_event(), None, [], said([said_by("r", str(number))], an_event(), NOON))
    [difference] = comparison.differences()
    assert (len(difference.lines), difference.cut) == (MOST_LINES, True)


def test_sides_that_become_the_same_again_do_not_differ() -> None:
    comparison, event = Comparison(most=1), an_event()
    line = said([said_by("r", "x")], event, NOON)
    comparison.add(event, None, [], line)
    assert comparison.different == 1
    comparison.add(event, None, line, [])
    assert (comparison.different, comparison.differences()) == (0, [])


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.one_of(st.none(), st.integers(0, 99)))))
def test_conversations_are_kept_as_in_a_dictionary(steps: list[tuple[str, int | None]]) -> None:
    plain: dict[str, Any] = {}
    kept = Conversations(lively=3)
    for key, number in steps:
        if number is None:
            if key in plain:
                del kept[key]
            plain.pop(key, None)
        else:
            kept[key] = plain[key] = begin(an_event(conversation=str(number))), EMPTY.remember({"n": number})
        assert dict(kept) == plain
        assert (len(kept), key in kept, kept.get(key)) == (len(plain), key in plain, plain.get(key))


def test_an_event_is_kept_for_as_long_as_a_timer_is_about_it() -> None:
    page = Recollection(NOON)
    for number in (7, 8):
        page.expect(number)
        event = an_event(key=str(number))
        page.record(event, ())
        timer = Timer(rule="r", action="0", due=page.at + 1000, since=page.at, events=(7,))
        page.keep(page.facts(event).conversation.arm(timer))
    page.turn_to(NOON + timedelta(milliseconds=500))
    assert page.event(7) == an_event(key="7")
    assert page.event(8) is None
    page.turn_to(NOON + timedelta(seconds=2))
    page.take_due("site/abcdef0123456789")
    assert page.event(7) is not None
    page.turn_to(NOON + timedelta(seconds=3))
    assert page.event(7) is None
