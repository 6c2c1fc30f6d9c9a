"""Driving an adapter's steps through the door: which outcome follows from which answer, or from none."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import pytest

from bridge.adapter.http import Door
from bridge.adapter.protocol import ConfidentialCall, HttpAnswer, HttpCall, Post, ReadFile, Step, Steps
from bridge.clock import SetClock
from bridge.model.delivery import Failed, Outcome, Sent, Unknown
from tests.fakes.sockets import Behaviour, Connection, answer, closes, hangs, polite, serving
from tests.running import until
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

    def __init__(self, *given: Step) -> None:
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


async def test_a_file_of_ours_is_read_and_not_shown_as_the_platforms_answer(door: Door) -> None:
    asked: list[str] = []

    async def read(step: ReadFile) -> HttpAnswer:
        asked.append(step.url)
        return HttpAnswer(status=200, body=b"bytes")

    async with serving(polite) as server:
        adapter = Adapter(ReadFile(url="https://bridge.example/a"), a_call(server.url), ReadFile(url="b"))
        turns: list[None] = []

        async def turn() -> None:
            turns.append(None)

        outcome, seen = await door.drive(adapter.steps(), post, PATIENT, turn, read)
    assert (outcome, seen, asked, turns) == (Sent(reference="3 answers"), OK, ["https://bridge.example/a", "b"], [])
    assert [answer.body for answer in adapter.answers] == [b"bytes", b"ok", b"bytes"]


async def test_who_keeps_no_files_says_so(door: Door) -> None:
    adapter = Adapter(ReadFile(url="https://bridge.example/a"))
    await drive(door, adapter)
    assert [answer.status for answer in adapter.answers] == [404]


def a_log_in(url: str, body: bytes = b"me") -> ConfidentialCall:
    return ConfidentialCall(method="POST", url=url, headers={"a": "1"}, body=body, safe=True)


@dataclass
class Slow:
    """A server that answers when it is told to."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, connection: Connection) -> None:
        while True:
            await connection.request()
            await self.go_on.wait()
            await connection.say(answer())


async def test_equal_confidential_calls_in_flight_are_one(door: Door) -> None:
    slow = Slow()
    async with serving(slow) as server:
        first, second = Adapter(a_log_in(server.url)), Adapter(a_log_in(server.url))
        other = Adapter(a_log_in(server.url, b"somebody else"))
        driven = [asyncio.create_task(drive(door, adapter)) for adapter in (first, second, other)]
        await until(lambda: len(server.requests) == 2)
        slow.go_on.set()
        await asyncio.gather(*driven)
        assert [one.answers[0].body for one in (first, second, other)] == [b"ok"] * 3
        assert len(server.requests) == 2
        await drive(door, Adapter(a_log_in(server.url)))
        assert len(server.requests) == 3, "an answer is shared, not kept"


async def test_who_is_cancelled_takes_the_answer_from_nobody(door: Door) -> None:
    slow = Slow()
    async with serving(slow) as server:
        first, second = Adapter(a_log_in(server.url)), Adapter(a_log_in(server.url))
        driven = [asyncio.create_task(drive(door, adapter)) for adapter in (first, second)]
        await until(lambda: server.requests)
        driven[0].cancel()
        slow.go_on.set()
        gone, got = await asyncio.gather(*driven, return_exceptions=True)
        assert isinstance(gone, asyncio.CancelledError)
        assert got == (Sent(reference="1 answers"), HttpAnswer(status=200))
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("method", "length"), [("POST", b"0"), ("PUT", b"0"), ("PATCH", b"0"), ("GET", None), ("DELETE", None)]
)
@pytest.mark.parametrize("body", [None, b""])
async def test_an_empty_body_has_a_length_where_one_is_expected(
    door: Door, method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"], body: bytes | None, length: bytes | None
) -> None:
    async with serving(polite) as server:
        await door.call(HttpCall(method=method, url=server.url, body=body), timeout=PATIENT)
        lines = server.requests[0].lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(b"content-length")] == (
        [] if length is None else [b"content-length: " + length]
    )
