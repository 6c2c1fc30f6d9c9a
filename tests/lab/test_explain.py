"""Explain: a verdict for every rule, with the conversation as it was, beside what was decided then."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.explain import Asking, Explained, explain, explain_made_up
from bridge.line.decide import Behaviour
from bridge.store.recorded import recorded
from tests.lab.recording import Recorder, behaviour_of
from tests.values import NOON, an_event

PRICE: Mapping[str, Any] = {"name": "price", "when": {"text": {"words": "price"}},
                            "do": [{"reply": {"text": "9 EUR"}}]}  # fmt: skip
LATER: Mapping[str, Any] = {
    "name": "later",
    "when": {"text": {"words": "later"}},
    "do": [{"after": "10m", "unless": ["agent_message"], "do": [{"reply": {"text": "Still there?"}}]}],
}
ALL: Mapping[str, Any] = {
    "name": "all",
    "when": {"text": {"words": "long"}},
    "burst": "2s",
    "do": [{"reply": {"text": "{{ messages | length }} messages"}}],
}


def explained(record: Recorder, number: int, *rules: Mapping[str, Any], **how: Any) -> Explained:
    """An event of the record, with the rules of the record unless others are given."""
    behaviour = behaviour_of(*rules) if rules else record.behaviour
    with recorded(record.url) as records:
        past = records.event(number)
        assert past is not None
        return explain(records, past, Asking(behaviour=behaviour, **how))


def told(result: Explained) -> dict[str, tuple[str, str, str | None]]:
    """Of each rule: its verdict, why, and what came of it then."""
    return {one.rule: (one.verdict, one.why, one.then) for one in result.opinions}


async def test_every_rule_has_its_verdict(tmp_path: Path) -> None:
    rules = (
        {"name": "first", "priority": 1, "when": {"text": {"words": "hello"}}, "do": [{"remember": {"seen": 1}}]},
        {"name": "limited", "when": {"text": {"words": "price"}}, "limit": {"times": 1, "per": "conversation",
         "within": "1h"}, "do": [{"reply": {"text": "9 EUR"}}]},
        {"name": "unfit", "when": {"text": {"words": "price"}, "memory.seen": {"above": 1}}},
        {"name": "unfit-wholly", "when": {"text": {"words": "order"}, "memory.other": 1}},
        {"name": "stopping", "when": {"text": {"words": "price"}}, "stop": True, "do": [{"remember": {"x": 1}}]},
        {"name": "too-late", "when": {"text": {"words": "price"}}},
        {"name": "unfit-anyway", "when": {"text": {"words": "order"}}},
        {"name": "visits", "on": "visited"},
        {"name": "agents", "sender": "agent"},
        {"name": "elsewhere", "account": "support"},
    )  # fmt: skip
    async with Recorder(tmp_path, behaviour_of(*rules)) as record:
        await record.says("hello, the price?")
        await record.wait(600)
        await record.says("the price!")
        result = explained(record, 2)
    assert told(result) == {
        "stopping": ("fired", "its condition holds; no later rule sees the event", "fired"),
        "limited": (
            "limited",
            "1 per conversation within 1h; again in 50m",
            "limited: 1 per conversation within 1h; again in 50m",
        ),
        "too-late": ("stopped", "stopped by stopping (rules/a.yaml:1:651)", ""),
        "unfit": ("no", "memory.seen: 1 is not above 1", ""),
        "first": ("no", 'text: "the price!" has no word of "hello"', ""),
        "unfit-anyway": ("no", 'text: "the price!" has no word of "order"', ""),
        "unfit-wholly": ("no", 'text: "the price!" has no word of "order"', ""),
        "visits": ("other", "is for visited, not for message", ""),
        "agents": ("other", "is for what the agent does, not the contact", ""),
        "elsewhere": ("other", "is for the account support, not for site", ""),
    }
    assert [one.rule for one in result.opinions][:4] == ["stopping", "limited", "too-late", "unfit"]
    assert (result.rehearsed, result.now, result.then, result.notes) == (1, (), (), ())
    assert not any(one.differs for one in result.opinions)


async def test_a_rule_is_silent_while_a_human_is_active(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(PRICE)) as record:
        await record.says("I can help", sender="agent")
        await record.wait(60)
        await record.says("the price?")
        reason = "an agent wrote 1m ago; again in 14m"
        assert told(explained(record, 2)) == {"price": ("silent", reason, f"silent: {reason}")}
        assert told(explained(record, 2, {**PRICE, "even_if_human": True})) == {
            "price": ("fired", "its condition holds", f"silent: {reason}")
        }


async def test_other_rules_differ_from_what_was_decided_then(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(PRICE)) as record:
        await record.says("the price?")
        result = explained(record, 1, {"name": "new"}, {**PRICE, "when": {"text": "exactly"}})
        gone = explained(record, 1, {"name": "new"})
    assert [(one.rule, one.verdict, one.then, one.differs) for one in result.opinions] == [
        ("new", "fired", "", True),
        ("price", "no", "fired", True),
    ]
    assert [(one.rule, one.verdict, one.then, one.differs) for one in gone.opinions][1:] == [
        ("price", "gone", "fired", True)
    ]
    assert [one.reply.text for one in result.now] == ["Hello"]
    assert [one.reply.text for one in result.then or ()] == ["9 EUR"]


async def test_a_message_waits_in_its_burst_which_is_explained_when_it_is_over(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(ALL, {**PRICE, "burst": "1s"}, LATER)) as record:
        await record.says("a long")
        await record.wait(1)
        await record.says("story")
        await record.wait(10)
        message, burst = explained(record, 1), explained(record, 3)
        at_once = explained(record, 3, {**ALL, "name": "another"})
    waits = ("waits", "waits until the contact is quiet (burst)", "waited")
    assert told(message)["all"] == told(message)["price"] == waits
    assert told(message)["later"][0] == "no"
    assert told(burst) == {
        "all": ("fired", "its condition holds", "fired"),
        "later": ("waits", "answers each message at once, not the burst", ""),
        "price": ("no", 'text: "a long\\u000astory" has no word of "price"', ""),
    }
    assert [one.reply.text for one in burst.now] == ["2 messages"]
    assert burst.about == (
        "the contact was quiet, so the burst of these messages was over:",
        "  event 1, 2026-03-27 12:00:00 UTC: contact: a long",
        "  event 2, 2026-03-27 12:00:01 UTC: contact: story",
    )
    assert [(one.rule, one.verdict) for one in at_once.opinions] == [("another", "fired"), ("all", "gone")]


async def test_a_burst_that_no_rule_answers_any_more(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(ALL)) as record:
        await record.says("a long story")
        await record.wait(10)
        other = {**ALL, "when": {"text": {"words": "short"}}}
        assert told(explained(record, 2, other)) == {
            "all": ("no", 'text: "a long story" has no word of "short"', "fired")
        }
        # Without a rule that waits, there is no burst to be over.
        assert told(explained(record, 2, PRICE)) == {
            "all": ("gone", "the rulebook has no rule of this name any more", "fired")
        }


async def follow_up(record: Recorder) -> None:
    await record.says("later")
    await record.wait(601)


@pytest.mark.parametrize(
    ("change", "verdict", "why"),
    [
        ({}, "fired", "it is due, and its condition still holds"),
        ({"when": {"conversation.idle": {"below": "1m"}}}, "no", "conversation.idle: 10m is not below 1m"),
        ({"when": {"text": "now"}}, "no", "no such follow-up waits at this time any more: its rule did not fire, or it "
         "was cancelled"),
        ({"do": [{"after": "20m", "do": [{"reply": {"text": "x"}}]}]}, "waits",
         "it is due only at 2026-03-27 12:20:00 UTC"),
        ({"name": "renamed"}, "gone", "the rulebook has no rule of this name any more"),
    ],
)  # fmt: skip
async def test_a_follow_up_is_explained(tmp_path: Path, change: Mapping[str, Any], verdict: str, why: str) -> None:
    async with Recorder(tmp_path, behaviour_of(LATER)) as record:
        await follow_up(record)
        result = explained(record, 2, {**LATER, **change})
    assert told(result) == {"later, action 0": (verdict, why, "fired")}
    assert result.about == (
        "a follow-up of rule later (action 0), because of:",
        "  event 1, 2026-03-27 12:00:00 UTC: contact: later",
    )
    assert [one.reply.text for one in result.then or ()] == ["Still there?"]
    assert bool(result.now) == (verdict == "fired")


async def test_a_follow_up_that_came_to_nothing_then(tmp_path: Path) -> None:
    forgetful = {**LATER, "when": {"text": {"words": "later"}, "conversation.messages": {"at_most": 1}}}
    async with Recorder(tmp_path, behaviour_of(forgetful)) as record:
        await record.says("later")
        await record.wait(60)
        await record.says("and more")
        await record.wait(600)
        result = explained(record, 3)
    reason = "conversation.messages: 2 is not at most 1"
    assert told(result) == {"later, action 0": ("no", reason, f"no_more: {reason}")}


async def test_what_cancels_a_follow_up_is_said_and_whether_it_did_so_then(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(LATER)) as record:
        await record.says("later")
        await record.says("I can help", sender="agent")
        kept = {**LATER, "do": [{**LATER["do"][0], "unless": ["ended"]}]}
        assert explained(record, 2).about == ("cancels the follow-up of rule later (action 0)",)
        assert explained(record, 2, kept).about == (
            "cancels the follow-up of rule later (action 0) only then, not any more",
        )


async def test_what_other_conversations_left_is_known_only_from_the_whole_record(tmp_path: Path) -> None:
    once = {**PRICE, "limit": {"times": 1, "per": "contact"}}
    async with Recorder(tmp_path, behaviour_of(once)) as record:
        await record.says("the price?", conversation="first")
        await record.says("the price?", conversation="second")
        alone, whole = explained(record, 2), explained(record, 2, whole=True)
    assert (told(alone)["price"][0], alone.rehearsed) == ("fired", 0)
    assert alone.notes == (
        "what is remembered or counted per contact (price) is known from this conversation alone; "
        "--whole rehearses all of them",
    )
    assert (told(whole)["price"][0], whole.rehearsed, whole.notes) == ("limited", 1, ())


async def test_a_conversation_whose_beginning_is_kept_no_more(tmp_path: Path) -> None:
    async with Recorder(tmp_path, behaviour_of(PRICE)) as record:
        await record.says("hi")
        await record.wait(60)
        await record.says("the price?")

        def forget(connection: Any, items: Any) -> list[None]:
            connection.exec_driver_sql("DELETE FROM events WHERE id = 1")
            return [None]

        await record.store.write(forget, None)
        result = explained(record, 2)
    assert result.notes == ("the conversation began on 2026-03-27 12:00 UTC, but its first events are kept no more",)


async def test_operations_find_what_they_are_said_to_find(tmp_path: Path) -> None:
    look_up = {
        "name": "look-up",
        "when": {"text": "hi"},
        "do": [{"edna.client": {"phones": ["123"], "remember": {"client": "0.name"}}}],
    }
    known = {"name": "known", "when": {"memory.client": "Ann"}}
    async with Recorder(tmp_path, behaviour_of(look_up, known)) as record:
        await record.says("hi")
        await record.says("well?")
        unknown = explained(record, 2)
        found = explained(record, 2, findings={"edna.client": [{"name": "Ann"}]})
    assert unknown.notes == (
        "operations were taken to find nothing (edna.client); --found OPERATION=JSON says what one finds",
    )
    assert told(unknown)["known"] == ("no", "memory.client: is not known", "")
    assert (told(found)["known"][0], found.notes) == ("fired", ())


async def test_a_message_that_never_was(tmp_path: Path) -> None:
    once = {**PRICE, "limit": {"times": 1, "per": "conversation"}}
    async with Recorder(tmp_path, behaviour_of(once)) as record:
        await record.says("the price?")
        asking = Asking(behaviour=record.behaviour)
        event = an_event(text="the price?", key="made up", at=NOON + timedelta(hours=1))
        with recorded(record.url) as records:
            after = explain_made_up(event, asking, records)
        alone = explain_made_up(event, asking)
    assert told(after) == {"price": ("limited", "1 per conversation, ever", None)}
    assert told(alone) == {"price": ("fired", "its condition holds", None)}
    assert (alone.number, alone.then, [one.reply.text for one in alone.now]) == (None, None, ["9 EUR"])


def test_without_rules_there_is_nothing_to_explain() -> None:
    behaviour: Behaviour = behaviour_of()
    assert explain_made_up(an_event(), Asking(behaviour=behaviour)).opinions == ()
