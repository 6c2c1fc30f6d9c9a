"""The log-in: one token for all calls of an account, renewed when edna refuses it; also over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from bridge.adapter.http import Door
from bridge.adapter.protocol import ConfidentialCall, HttpAnswer
from bridge.clock import SetClock
from bridge.model.delivery import Failed, Outcome, Sent
from bridge.platforms.edna import adapter
from bridge.platforms.edna.account import EdnaAccount
from bridge.platforms.edna.integrator import issued_token
from tests.fakes.edna import PASSWORD, Edna
from tests.platforms.driving import drive, no_mailbox
from tests.platforms.edna_calls import an_account, issued, taken, token_of, walk
from tests.running import until
from tests.values import NOON, a_delivery

CLIENT = {"threads_client_id": 17}
REFUSED = HttpAnswer(status=401)
BOT_ONLY = {"login": None, "password": None, "agent_login": None}


@pytest.mark.parametrize(
    ("answer", "token"),
    [
        (issued("a.b-c_=/+"), "a.b-c_=/+"),
        (HttpAnswer(status=200, body=b'{"token":"plain"}'), "plain"),
        (HttpAnswer(status=200, body=b'{"token":"bearer Bearer twice"}'), "twice"),
        (HttpAnswer(status=200, headers={"authorization": "Bearer Bearer head"}, body=b"[]"), "head"),
        (HttpAnswer(status=200, headers={"authorization": "Bearer head"}, body=b'{"token":""}'), "head"),
        (HttpAnswer(status=200, body=b'{"token":"two words"}'), None),
        (HttpAnswer(status=200, body=b'{"token":"line\\nend"}'), None),
        (HttpAnswer(status=200, body=b'{"token":7}'), None),
        (HttpAnswer(status=200, body=b"<html>"), None),
    ],
)
def test_a_token_is_read_without_its_bearers(answer: HttpAnswer, token: str | None) -> None:
    found = issued_token(answer)
    assert (found.reveal() if found else None) == token


def test_the_second_delivery_needs_no_log_in() -> None:
    account = an_account()
    first, _ = walk(adapter.send(a_delivery(to=CLIENT), account), [issued(), taken()])
    second, _ = walk(adapter.send(a_delivery(id=2, to=CLIENT), account), [taken()])
    assert [call.safe for call in first + second] == [True, False, False]
    assert [token_of(call) for call in (first[1], second[0])] == ["tok-1", "tok-1"]


def test_who_finds_a_newer_token_goes_on_with_it() -> None:
    """Two begin without a token; the second log-in ends the first one's token."""
    account = an_account()
    one, two = (adapter.send(a_delivery(id=number, to=CLIENT), account) for number in (1, 2))
    next(one)
    next(two)
    assert token_of(one.send(issued("tok-1"))) == "tok-1"
    assert token_of(two.send(issued("tok-2"))) == "tok-2"
    assert token_of(one.send(REFUSED)) == "tok-2"
    assert account.session.token is not None


def test_a_late_refusal_leaves_the_newer_token_alone() -> None:
    account = an_account()
    walk(adapter.send(a_delivery(to=CLIENT), account), [issued("tok-0"), taken()])
    late = adapter.send(a_delivery(id=2, to=CLIENT), account)
    assert token_of(next(late)) == "tok-0"
    walk(adapter.send(a_delivery(id=3, to=CLIENT), account), [REFUSED, issued("tok-1"), taken()])
    again = late.send(REFUSED)
    assert token_of(again) == "tok-1"
    calls, _ = walk(adapter.send(a_delivery(id=4, to=CLIENT), account), [taken()])
    assert token_of(calls[0]) == "tok-1"


def test_a_new_token_that_is_refused_is_for_ever() -> None:
    calls, outcome = walk(adapter.send(a_delivery(to=CLIENT), an_account()), [issued(), REFUSED])
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent, len(calls)) == ("auth", True, 2)


def test_tokens_that_are_refused_as_others_renew_them_are_tried_later() -> None:
    account = an_account()
    steps = adapter.send(a_delivery(to=CLIENT), account)
    next(steps)
    steps.send(issued("tok-0"))
    outcome: Outcome | None = None
    for number in range(1, 4):
        walk(adapter.send(a_delivery(id=9, to=CLIENT), account), [REFUSED, issued(f"tok-{number}"), taken()])
        try:
            steps.send(REFUSED)
        except StopIteration as end:
            outcome = end.value
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("auth", False)


def test_without_a_log_in_an_agent_cannot_write() -> None:
    account = an_account(**{**BOT_ONLY, "bot_token": None, "reply_via": "shop"})
    calls, outcome = walk(adapter.send(a_delivery(to=CLIENT), account), [])
    assert calls == []
    assert isinstance(outcome, Failed)
    assert outcome.detail == "login and password: missing in the account; add them, then replay"


def test_the_log_in_and_its_answer_are_not_shown() -> None:
    call = next(adapter.send(a_delivery(to=CLIENT), an_account()))
    assert isinstance(call, ConfidentialCall)
    assert PASSWORD in (call.body or b"").decode()
    assert PASSWORD not in repr(call)


@pytest.fixture
async def fake() -> AsyncIterator[Edna]:
    async with Edna() as opened:
        yield opened


def at(fake: Edna, **options: Any) -> EdnaAccount:
    return an_account(base_url=fake.url, **options)


async def deliver(account: EdnaAccount, to: Mapping[str, object], **changes: Any) -> Outcome:
    return await drive(adapter.send(a_delivery(to=to, **changes), account))


async def test_a_token_that_is_over_is_renewed(fake: Edna) -> None:
    account = at(fake)
    assert isinstance(await deliver(account, CLIENT), Sent)
    fake.expire()
    assert isinstance(await deliver(account, CLIENT), Sent)
    assert (fake.log_ins, fake.refused) == (2, [(401, "Unauthorized")])


async def together(fake: Edna, account: EdnaAccount, door: Door, meanwhile: Callable[[], None] | None = None) -> None:
    """Twenty deliveries at once, as the workers of one process make them; once the first is there, `meanwhile`."""

    before = len(fake.sent)
    steps = [adapter.send(a_delivery(id=number, to=CLIENT), account) for number in range(20)]
    driven = [asyncio.create_task(door.drive(one, no_mailbox, timedelta(seconds=20))) for one in steps]
    if meanwhile is not None:
        await until(lambda: len(fake.sent) > before)
        meanwhile()
    assert [type(outcome) for outcome, _ in await asyncio.gather(*driven)] == [Sent] * 20
    assert len(fake.sent) == before + 20


async def test_many_at_once_log_in_once(fake: Edna) -> None:
    account = at(fake)
    async with Door(SetClock(NOON)) as door:
        await together(fake, account, door)
        await together(fake, account, door)
        assert fake.log_ins == 1
        fake.expire()
        await together(fake, account, door)
        assert fake.log_ins == 2
        # Some have been taken, some are on their way, some are still to come.
        await together(fake, account, door, fake.expire)
        assert fake.log_ins <= 3


async def test_a_user_without_rights_and_a_wrong_password(fake: Edna) -> None:
    fake.rights = False
    outcome = await deliver(at(fake), CLIENT)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent, fake.log_ins) == ("auth", True, 1)
    outcome = await deliver(at(fake, password="another"), CLIENT)
    words = 'log-in: 401: {"message": "Bad credentials"}'
    assert outcome == Failed(reason="auth", detail=words, permanent=True)
