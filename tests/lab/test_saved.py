"""Recorded conversations as tests: whatever was written, the file can be read; people are made unknown."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.lab.play import play
from bridge.lab.rehearsal import Rehearsal
from bridge.lab.saved import Entry, as_test, contacts_in
from bridge.lab.stand_ins import StandIns
from bridge.model.conversation import Timer
from bridge.model.delivery import Command, Reply
from bridge.model.event import KINDS, SENDERS, Attachment, Contact, Event
from bridge.store.recorded import Told
from tests.lab.playing import UTC, behaviour_of, mistakes, scenes_of, wrong
from tests.values import NOON, a_delivery, an_event

ADA = Contact(
    id="17", name="José García", email="jose@garcia.example", phone="+44 20 7946 0000", extra={"plan": "gold"}
)


def entry(number: int, event: Event, *answers: Told, after: float = 0) -> Entry:
    return Entry(number=number, event=event, at=NOON + timedelta(seconds=after), answers=answers)


def told(text: str = "", state: Any = "sent", **changes: Any) -> Told:
    kept = {key: changes.pop(key) for key in ("reason", "reference") if key in changes}
    delivery = a_delivery(reply=Reply(text=text), **changes)
    return Told(delivery=delivery, state=state, reason=kept.get("reason"), detail=None, reference=kept.get("reference"))


def lines(*entries: Entry, as_is: bool = True) -> list[str]:
    """The steps of the test that is made."""
    text = as_test(entries, UTC, "t", None if as_is else StandIns(contacts_in(entries)))
    assert mistakes(text) == []
    return [line.strip().removeprefix("- ") for line in text.partition("    steps:\n")[2].splitlines()]


TEXTS = st.one_of(
    st.text(), st.text(st.characters()), st.sampled_from(["\ud83d", "a: b # c", "'\"", "\x85\ufeff", "- x", "{{ 1 }}"])
)
EVENTS = st.builds(
    an_event,
    kind=st.sampled_from([kind for kind in KINDS if kind != "timer"]),
    sender=st.sampled_from(SENDERS),
    text=st.none() | TEXTS,
    url=st.none() | TEXTS,
    state=st.none() | st.sampled_from(["started", "stopped", "expanded", "x"]),
    attachment=st.none() | st.builds(Attachment, name=TEXTS, type=st.none() | TEXTS, size=st.integers(0, 9**9)),
    contact=st.builds(Contact, id=st.none() | TEXTS, name=st.none() | TEXTS, email=st.none() | TEXTS),
)  # fmt: skip
ANSWERS = st.lists(st.builds(told, TEXTS), max_size=2)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(EVENTS, ANSWERS, st.floats(0, 10**8)), min_size=1, max_size=6), st.booleans())
def test_whatever_was_written_the_test_can_be_read(said: list[tuple[Event, list[Told], float]], as_is: bool) -> None:
    at, entries = 0.0, []
    for number, (event, answers, wait) in enumerate(said, 1):
        at += round(wait, 3)
        entries.append(entry(number, event, *answers, after=at))
    assert "wait" not in lines(*entries, as_is=as_is)[0]


RULES = """
rules:
  - name: r
    on: [message, visited]
    sender: [contact, agent]
    even_if_human: true
    limit: {times: 4, per: conversation, within: 1m}
    do:
      - reply: {text: "{{ conversation.messages }}: {{ text | default(url) }}"}
      - after: 7s
        unless: agent_message
        do: [{reply: {text: "later {{ conversation.messages }}"}}]
"""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["contact", "agent"]), st.text(min_size=1).filter(str.strip), st.floats(0, 40)),
        min_size=1,
        max_size=8,
    )
)
def test_what_was_rehearsed_passes_once_it_is_saved(said: list[tuple[str, str, float]]) -> None:
    behaviour = behaviour_of(RULES)
    rehearsal = Rehearsal(behaviour, NOON)
    recorded: list[Entry] = []

    def note(verdicts: Any) -> None:
        for verdict in verdicts:
            answers = [
                told(one.reply.text, "cancelled" if one.held else "sent", account="site") for one in verdict.rendered
            ]
            after = (rehearsal.now if verdict.event.kind != "timer" else verdict.event.at) - NOON
            recorded.append(entry(verdict.number, verdict.event, *answers, after=after.total_seconds()))

    for number, (sender, text, wait) in enumerate(said):
        note(rehearsal.turn_to(rehearsal.now + timedelta(seconds=round(wait, 3))))
        at = rehearsal.now
        note(rehearsal.hear(an_event(sender=sender, text=text, key=str(number), at=at, platform="webchat")))
    note(rehearsal.turn_to(rehearsal.now + timedelta(minutes=1)))
    (scene,) = scenes_of(as_test(recorded, UTC, "t", None))
    assert wrong(play(scene, behaviour)) == []


def test_people_are_made_unknown_everywhere_and_the_same_everywhere() -> None:
    event = an_event(
        text="I am josé GARCÍA, write to JOSE@garcia.example or me@x.example or +44 (20) 7946-0000", contact=ADA
    )
    visit = an_event(kind="visited", text=None, url="https://shop.example/?m=jose@garcia.example", contact=ADA)
    text = as_test(
        [entry(1, event, told("Hello José, order 10072, josefine")), entry(2, visit)],
        UTC,
        "t",
        StandIns(contacts_in([entry(1, event)])),
    )
    assert (
        'contact: {id: "contact-1", name: "Ada Lovelace", email: "someone1@example.com", phone: "+1 555 010000"}'
        in text
    )
    assert (
        'message: "I am Ada Lovelace, write to someone1@example.com or someone2@example.com or +1 555 010000"' in text
    )
    assert 'is: "Hello Ada, order 10072, josefine"' in text
    assert 'visited: "https://shop.example/?m=someone1@example.com"' in text
    assert "gold" not in text


def test_as_it_is() -> None:
    text = as_test([entry(1, an_event(contact=ADA))], UTC, "t", None)
    assert 'contact: {id: "17", name: "José García", email: "jose@garcia.example"' in text
    assert 'plan: "gold"' in text


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], 'expect: "nothing"'),
        ([told("a"), told("b", "dead", reason="network", attempts=3)], 'expect: {reply: [{is: "a"}, {is: "b"}]}'),
        ([told("a", account="shop")], 'expect: {reply: [{is: "a", via: "shop"}]}'),
        ([told("held", "cancelled"), told("a")], 'expect: {reply: [{is: "a"}]}'),
        ([told("", "dead", reason="template", attempts=0)], 'expect: "nothing"'),
        ([told(" ")], 'expect: {reply: [{rule: "price-question"}]}'),
        (
            [told(command=Command(operation="helpcrunch.tag", arguments={"tags": ["x"]}))],
            'expect: {reply: "nothing", operation: {helpcrunch.tag: {}}}',
        ),
    ],
)
def test_what_was_answered_is_expected(answers: list[Told], expected: str) -> None:
    assert lines(entry(1, an_event(), *answers))[-1] == expected


def test_what_came_of_an_operation_belongs_to_what_it_was_about() -> None:
    then = Timer(rule="r", action="0", due=0, since=0, events=(1,))
    asked = told(command=Command(operation="helpcrunch.tag", then=then))
    timer = an_event(kind="timer", sender="system", text=None, raw={"rule": "r", "action": "0", "events": [1]})
    assert lines(entry(1, an_event(), asked), entry(2, timer, told("b"), after=9)) == [
        'message: "How much is it?"',
        'expect: {reply: [{is: "b"}], operation: {helpcrunch.tag: {}}}',
    ]
    later = lines(entry(1, an_event(), told("a")), entry(2, timer, told("b"), after=0.5))
    assert later[1:] == ['expect: {reply: [{is: "a"}]}', "wait: 0.5s", 'expect: {reply: [{is: "b"}]}']


def test_an_echo_of_our_own_is_no_step() -> None:
    echo = an_event(sender="bot", text="a", reference="900")
    other = an_event(sender="bot", text="b", reference="901")
    assert lines(entry(1, an_event(), told("a", reference="900")), entry(2, echo), entry(3, other))[2:] == ['bot: "b"']
