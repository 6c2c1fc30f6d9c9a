"""Driving an adapter's steps through the door: which outcome follows from which answer, or from none."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bridge.adapter.http import Door
from bridge.adapter.protocol import ConfidentialCall, HttpAnswer, HttpCall, Post, Steps
from bridge.clock import SetClock
from bridge.model.delivery import Failed, Outcome, Sent, Unknown
from tests.fakes.sockets import Behaviour, closes, hangs, polite, serving
from tests.values import NOON

QUICK = timedelta(seconds=1)
PATIENT = timedelta(seconds=20)
OK = HttpAnswer(status=200, headers={"content-length": "2"}, body=b"ok")


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door(SetClock(NOON)) as opened:
        yield opened


def a_call(url: str, *, safe: bool = False) -> HttpCall:
    return HttpCall(method="POST", url=url, body=b"{}", safe=safe)


async def post(mail: Post) -> HttpAnswer:
    return HttpAnswer(status=200, body=mail.mailbox.encode())


class Adapter:
    """Yields what it is given, step by step, then says how often it was answered; notes that it was closed."""

    def __init__(self, *given: HttpCall | Post) -> None:
        self.given = given
        self.answers: list[HttpAnswer] = []
        self.closed = False

    def steps(self) -> Steps:
        try:
            for step in self.given:
                self.answers.append((yield step))
            return Sent(reference=f"{len(self.answers)} answers")
        finally:
            self.closed = True


async def drive(door: Door, adapter: Adapter, timeout: timedelta = PATIENT) -> tuple[Outcome, HttpAnswer | None]:
    steps = adapter.steps()
    outcome, answer = await door.drive(steps, post, timeout)
    assert adapter.closed, "not left to the garbage collector, while somebody holds the steps"
    del steps
    return outcome, answer


async def test_steps_are_walked_to_their_outcome(door: Door) -> None:
    turns: list[None] = []

    async def turn() -> None:
        turns.append(None)

    async with serving(polite) as server:
        adapter = Adapter(a_call(server.url), Post(mailbox="m1", body={}), a_call(server.url))
        outcome, last = await door.drive(adapter.steps(), post, PATIENT, turn)
    assert outcome == Sent(reference="3 answers")
    assert [answer.body for answer in adapter.answers] == [b"ok", b"m1", b"ok"]
    assert last is adapter.answers[-1]
    assert len(turns) == 1, "whoever drives has waited for the first request's turn, and mail takes none"


async def test_an_adapter_may_decide_without_asking(door: Door) -> None:
    assert await drive(door, Adapter()) == (Sent(reference="0 answers"), None)


@pytest.mark.parametrize(
    ("url", "permanent"), [("http://127.0.0.1:1", False), ("gopher://127.0.0.1", True), ("http://a:b@127.0.0.1", True)]
)
@pytest.mark.parametrize("safe", [True, False])
async def test_never_sent_is_failed(door: Door, url: str, permanent: bool, safe: bool) -> None:
    outcome, _ = await drive(door, Adapter(a_call(url, safe=safe)))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("invalid" if permanent else "network", permanent)


@pytest.mark.parametrize(("behave", "reason", "timeout"), [(closes, "network", PATIENT), (hangs, "timeout", QUICK)])
async def test_no_answer_is_unknown_unless_the_call_is_safe(
    door: Door, behave: Behaviour, reason: str, timeout: timedelta
) -> None:
    async with serving(polite) as fine, serving(behave) as server:
        for safe, kind in ((False, Unknown), (True, Failed)):
            outcome, last = await drive(door, Adapter(a_call(fine.url), a_call(server.url, safe=safe)), timeout)
            assert (type(outcome), last) == (kind, OK)
            assert not isinstance(outcome, Sent)
            assert outcome.reason == reason
            assert not isinstance(outcome, Failed) or not outcome.permanent


async def test_what_an_adapter_raises_comes_out(door: Door) -> None:
    def broken() -> Steps:
        yield Post(mailbox="m1", body={})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await door.drive(broken(), post, PATIENT)


async def test_the_answer_to_a_confidential_call_is_not_kept(door: Door) -> None:
    async with serving(polite) as server:
        adapter = Adapter(ConfidentialCall(method="POST", url=server.url, body=b"{}", safe=True))
        assert await drive(door, adapter) == (Sent(reference="1 answers"), HttpAnswer(status=200))
    assert adapter.answers[0].body == b"ok"
