"""Deciding: follow-ups, bursts, silence while a human is active, the loop breaker; on a page that is never written."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.lab.rehearsal import Rehearsal
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour, Verdict
from bridge.line.render import Renderer
from bridge.model.conversation import MOST_TIMERS
from bridge.platforms.edna import adapter as edna
from bridge.platforms.edna.account import EdnaAccount
from bridge.platforms.omnidesk import adapter as omnidesk
from bridge.templating import Templates
from tests.platforms.omnidesk_calls import an_account
from tests.rulebook.books import rules_of
from tests.values import NOON, an_event

HELLO = {"reply": {"text": "Hello no. {{ conversation.messages }}"}}


class Talk:
    """A conversation with a rehearsed bridge; `told` is what it said and when, in seconds since noon."""

    def __init__(self, *rules: Mapping[str, Any], per_hour: int = 20, findings: Any = None, **account: Any) -> None:
        support = EdnaAccount.model_validate(
            {"name": "support", "platform": "edna", "base_url": "https://company.example", "login": "i",
             "password": "secret", "hook_secret": "a-long-enough-secret", "agent_login": "bot"}
        )  # fmt: skip
        self.accounts = Accounts([an_account(**account), support], {"omnidesk": omnidesk, "edna": edna})
        renderer = Renderer(Templates(), self.accounts, per_hour)
        behaviour = Behaviour(rulebook=rules_of(*rules), renderer=renderer, accounts=self.accounts)
        self.bridge = Rehearsal(behaviour, NOON, findings)
        self.told: list[tuple[float, str]] = []
        self.held: list[str] = []
        self.traces: list[Any] = []
        self._count = 0

    def at(self, seconds: float) -> "Talk":
        for verdict in self.bridge.turn_to(NOON + timedelta(seconds=seconds)):
            self._hear(verdict)
        return self

    def says(self, text: str | None = "x", **changes: Any) -> "Talk":
        self._count += 1
        event = an_event(**{"text": text, "key": str(self._count), "at": self.bridge.now, **changes})
        verdict = self.bridge.say(event)
        assert verdict is not None
        self._hear(verdict)
        for later in self.bridge.settle():
            self._hear(later)
        return self

    def _hear(self, verdict: Verdict) -> None:
        self.traces.append(list(verdict.trace))
        now = (verdict.event.at - NOON).total_seconds()
        for one in verdict.rendered:
            if one.held:
                self.held.append(one.held)
            elif one.fault:
                self.told.append((now, f"FAULT {one.fault[1]}"))
            elif one.command is None:
                self.told.append((now, one.reply.text))


LATER = {
    "when": {"text": {"words": "price"}},
    "do": [
        {"reply": {"text": "9 EUR"}},
        {
            "after": "10m",
            "unless": ["agent_message", "ended", "contact_message"],
            "do": [{"reply": {"text": "Still there, after {{ conversation.messages }}?"}}],
        },
    ],
}


def test_a_follow_up_comes_when_its_time_has_come_and_once() -> None:
    talk = Talk(LATER).says("price?").at(599).at(600).at(10_000)
    assert talk.told == [(0, "9 EUR"), (600, "Still there, after 1?")]


@pytest.mark.parametrize(
    "event",
    [
        {"text": "hm"},
        {"sender": "agent", "text": "I can help"},
        {"kind": "ended", "text": None},
        {"kind": "ended", "text": None, "sender": "system"},
    ],
)
def test_what_unless_names_cancels_it(event: dict[str, Any]) -> None:
    talk = Talk(LATER).says("price?").at(300).says(**event).at(10_000)
    assert talk.told == [(0, "9 EUR")]
    assert {"rule": "rule 0", "after": "1", "cancelled": True} in talk.traces[1]


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "typing", "text": None},
        {"kind": "visited", "text": None, "url": "https://shop.example/"},
        {"sender": "bot", "text": "a bot"},
        {"conversation": "another-conversation", "text": "hm"},
    ],
)
def test_nothing_else_cancels_it(event: dict[str, Any]) -> None:
    talk = Talk(LATER).says("price?").at(300).says(**event).at(10_000)
    assert talk.told == [(0, "9 EUR"), (600, "Still there, after 1?")]


def test_the_conditions_are_asked_again_when_it_wakes() -> None:
    rule = {
        "when": {"text": {"words": "price"}, "conversation.messages": {"at_most": 2}},
        "do": [{"after": "10m", "do": [{"reply": {"text": "still?"}}]}],
    }
    assert Talk(rule).says("price").at(5).says("b").at(700).told == [(600, "still?")]
    talk = Talk(rule).says("price").at(5).says("b").says("c").at(700)
    assert talk.told == []
    assert talk.traces[-1] == [{"rule": "rule 0", "after": "0", "no_more": "conversation.messages: 3 is not at most 2"}]


def test_a_follow_up_is_quiet_while_a_human_is_active() -> None:
    rule = {"do": [{"after": "10m", "do": [{"reply": {"text": "still?"}}]}]}
    talk = Talk(rule).says("price").at(5).says("I can help", sender="agent").at(700)
    assert talk.told == []
    assert "an agent wrote" in talk.traces[-1][0]["silent"]
    assert Talk({**rule, "even_if_human": True}).says("a").at(5).says("b", sender="agent").at(700).told == [
        (600, "still?")
    ]


def test_a_follow_up_sees_the_groups_of_its_match_and_what_was_remembered_since() -> None:
    rule = {
        "when": {"text": {"matches": "order (?P<number>[0-9]+)"}},
        "do": [
            {"remember": {"asked": 1}},
            {"after": "1m", "do": [{"reply": {"text": "{{ match.number }} {{ text }} {{ memory.asked }}"}}]},
        ],
    }
    assert Talk(rule).says("my order 17").at(60).told == [(60, "17 my order 17 1")]


def test_follow_ups_within_follow_ups() -> None:
    inner = {"after": "1m", "do": [{"reply": {"text": "second"}}]}
    rule = {"when": {"text": "go"}, "do": [{"after": "1m", "do": [{"reply": {"text": "first"}}, inner]}]}
    assert Talk(rule).says("go").at(59).at(60).at(119).at(500).told == [(60, "first"), (120, "second")]


def test_a_follow_up_whose_rule_is_gone_is_dropped_and_says_so() -> None:
    talk = Talk(LATER).says("price?")
    other = Behaviour(
        rulebook=rules_of({"name": "another"}), renderer=talk.bridge.behaviour.renderer, accounts=talk.accounts
    )
    talk.bridge.behaviour = other
    talk.at(600)
    assert talk.told == [(0, "9 EUR")]
    assert talk.traces[-1] == [{"rule": "rule 0", "dropped": "the rulebook has this follow-up no more"}]


def test_a_conversation_has_only_so_many_follow_ups() -> None:
    talk = Talk({"do": [{"after": "1h", "do": [{"remember": {"a": 1}}]}]})
    for _ in range(MOST_TIMERS + 5):
        talk.says("x")
    conversation = talk.bridge.conversation("site", "abcdef0123456789")
    assert conversation is not None
    assert len(conversation.timers) == MOST_TIMERS
    assert "at most" in talk.traces[-1][-1]["dropped"]


BURST = {"burst": "2s", "do": [{"reply": {"text": "{{ messages | length }}: {{ messages | join(' + ') }}"}}]}


def test_a_burst_gets_one_reply_that_sees_all_messages() -> None:
    talk = Talk(BURST).says("hi").at(1).says("how much").at(2.5).says("is it?").at(4.4).at(4.5).at(100)
    assert talk.told == [(4.5, "3: hi + how much + is it?")]
    assert Talk(BURST).says("hi").at(1.9).at(2).at(5).says("again").at(9).told == [(2, "1: hi"), (7, "1: again")]


def test_typing_extends_a_burst_and_nothing_extends_it_beyond_ten_seconds() -> None:
    typing = {"text": None, "kind": "typing", "state": "started"}
    assert Talk(BURST).says("hi").at(1).says(**typing).at(2.9).at(3).told == [(3, "1: hi")]
    assert Talk(BURST).says("hi").at(1).says(**{**typing, "state": "stopped"}).at(2).told == [(2, "1: hi")]
    talk = Talk(BURST).says("hi")
    for second in range(1, 12):
        talk.at(second).says(**typing)
    assert talk.told == [(10, "1: hi")]


def test_the_rules_are_asked_about_all_texts_of_a_burst_together() -> None:
    rule = {"burst": "2s", "when": {"text": {"words": "how much"}}, "do": [{"reply": {"text": "9 EUR"}}]}
    assert Talk(rule).says("how").says("much?").at(9).told == [(2, "9 EUR")]
    assert Talk({**rule, "burst": "1s"}).says("how").at(5).says("much?").at(9).told == []


def test_rules_without_a_burst_answer_at_once_and_may_stop_the_event() -> None:
    quick = {"name": "quick", "when": {"text": "stop"}, "do": [{"reply": {"text": "at once"}}], "stop": True}
    talk = Talk(quick, BURST).says("hello").at(0.5).says("stop").at(20)
    assert talk.told == [(0.5, "at once"), (2, "1: hello")]


def test_an_account_may_have_all_its_rules_wait() -> None:
    talk = Talk({"do": [{"reply": {"text": "{{ text | replace('\\n', '/') }}"}}]}, burst="3s")
    talk.says("a").at(1).says("b").says(None, kind="visited", url="https://shop.example/").at(20)
    assert talk.told == [(4, "a/b")]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 8), st.booleans()), min_size=1, max_size=12))
def test_no_message_of_any_burst_is_lost_or_answered_twice(steps: list[tuple[float, bool]]) -> None:
    talk = Talk(BURST, per_hour=1000)
    now, said = 0.0, []
    for number, (wait, types) in enumerate(steps):
        now += round(wait, 3)
        talk.at(now)
        if types:
            talk.says(None, kind="typing", state="started")
        else:
            talk.says(f"m{number}")
            said.append(f"m{number}")
    talk.at(now + 100)
    answered = [part for _, text in talk.told for part in text.partition(": ")[2].split(" + ")]
    assert answered == said


def test_a_rule_that_answers_is_quiet_while_a_human_is_active() -> None:
    only_remembers = {"name": "notes", "do": [{"remember": {"seen": True}}]}
    talk = Talk({"name": "answers", "do": [HELLO]}, only_remembers)
    talk.says("a").at(10).says("I can help", sender="agent").at(20).says("b")
    assert talk.told == [(0, "Hello no. 1")]
    assert talk.traces[-1] == [
        {"rule": "answers", "silent": "an agent wrote 10s ago; again in 14m 50s"},
        {"rule": "notes", "fired": True},
    ]
    talk.at(10 + 15 * 60).says("c")
    assert talk.told[1:] == [(910, "Hello no. 3")]


def test_even_if_human_answers_all_the_same() -> None:
    talk = Talk({"even_if_human": True, "do": [HELLO]}).says("a", sender="agent").says("b")
    assert [text for _, text in talk.told] == ["Hello no. 1"]


def test_an_answer_to_somebody_else_is_not_silenced() -> None:
    to_the_team = {"send": {"text": "look!", "via": "support", "to": {"client_id": "team"}}}
    talk = Talk({"do": [to_the_team]}).says("a", sender="agent").at(1).says("b")
    assert [text for _, text in talk.told] == ["look!"]


def test_the_same_text_is_not_said_twice_within_a_minute() -> None:
    talk = Talk({"do": [{"reply": {"text": "the same"}}]}).says().at(59.999).says().at(60).says().at(61).says()
    assert [at for at, _ in talk.told] == [0, 60]
    assert talk.held == ["the same text was sent to this conversation less than a minute ago"] * 2
    talk.says("y", conversation="another-conversation")
    assert len(talk.told) == 3


def test_the_loop_breaker_lets_so_many_replies_through_in_any_hour() -> None:
    talk = Talk({"do": [HELLO]}, per_hour=3)
    for second in (0, 100, 200, 300, 3599):
        talk.at(second).says()
    assert [at for at, _ in talk.told] == [0, 100, 200]
    assert len(talk.held) == 2
    assert talk.held[0].startswith("loop breaker: this conversation had 3 automatic replies within an hour")
    talk.at(3600).says().at(3650).says().at(3700).says()
    assert [at for at, _ in talk.told] == [0, 100, 200, 3600, 3700]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1500), max_size=40), st.integers(1, 5))
def test_two_machines_that_answer_each_other_come_to_rest(steps: list[float], per_hour: int) -> None:
    talk = Talk({"do": [HELLO]}, per_hour=per_hour)
    now = 0.0
    for step in steps:
        now += round(step, 3)
        talk.at(now).says()
    times = [at for at, _ in talk.told]
    assert all(sum(at - 3600 < one <= at for one in times) <= per_hour for at in times)


def test_an_echo_of_our_own_does_not_fire_nor_count_as_a_human() -> None:
    talk = Talk({"sender": ["agent", "contact"], "even_if_human": True, "do": [HELLO]})
    talk.bridge.page.note_ours("site", "900")
    talk.says("echo", sender="agent", reference="900")
    assert talk.told == []
    talk.says("from a person", sender="agent", reference="901")
    assert len(talk.told) == 1


def test_what_comes_after_an_operation_sees_what_it_found() -> None:
    look_up = {
        "edna.client": {"phones": ["{{ contact.phone | default('0') }}"], "remember": {"client": "0.name"},
                        "then": [{"reply": {"text": "Hello {{ memory.client }}"}}]},
    }  # fmt: skip
    talk = Talk({"do": [look_up]}, findings={"edna.client": [{"name": "Ann"}]}).says("hi")
    assert talk.told == [(0, "Hello Ann")]


def test_one_of_several_wordings_is_the_same_in_one_conversation() -> None:
    rule = {"do": [{"reply": {"one_of": ["a{{ text }}", "b{{ text }}", "c{{ text }}"]}}]}
    talk = Talk(rule)
    for conversation in range(60):
        for number in range(2):
            talk.says(f"{conversation}/{number}", conversation=f"c{conversation}")
    chosen: dict[str, set[str]] = {}
    for _, text in talk.told:
        chosen.setdefault(text[1:].partition("/")[0], set()).add(text[0])
    assert {len(letters) for letters in chosen.values()} == {1}
    assert {letter for letters in chosen.values() for letter in letters} == {"a", "b", "c"}


def test_files_and_choices_of_a_reply_are_rendered_and_empty_ones_left_out() -> None:
    reply = {
        "text": "see",
        "attachments": [{"url": "https://shop.example/{{ text }}.pdf"}, {"url": "{% if false %}x{% endif %}"},
                        {"url": "https://shop.example/a.png", "name": "{{ text }}.png"}],
        "quick_replies": ["yes", "{{ text }}", "{% if false %}no{% endif %}"],
        "private": True,
    }  # fmt: skip
    talk = Talk({"do": [{"reply": reply}]})
    verdict = talk.bridge.say(an_event(text="plan"))
    assert verdict is not None
    [one] = verdict.rendered
    assert [(file.name, file.url) for file in one.reply.attachments] == [
        ("plan.pdf", "https://shop.example/plan.pdf"), ("plan.png", "https://shop.example/a.png"),
    ]  # fmt: skip
    assert one.reply.quick_replies == ("yes", "plan")
    assert one.reply.private


def test_another_file_is_not_the_same_text() -> None:
    reply = {"text": "see", "attachments": ["https://shop.example/{{ text }}.pdf"]}
    talk = Talk({"do": [{"reply": reply}]}).says("a").says("b").says("a")
    assert (len(talk.told), len(talk.held)) == (2, 1)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://[bad", "file:///etc/passwd", "no address"])
def test_an_attachment_that_is_no_address_is_a_dead_letter(url: str) -> None:
    talk = Talk({"do": [{"reply": {"text": "see", "attachments": ["{{ text }}"]}}]}).says(url)
    [(_, fault)] = talk.told
    assert fault.endswith("attachments: what is rendered is not the address of a file (https://...)")
