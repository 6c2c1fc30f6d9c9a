"""By hand: messages, operations and probes through the real door to the fakes, with no store."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.adapter.protocol import Ability
from bridge.clock import SetClock
from bridge.errors import BridgeError
from bridge.line.accounts import Known
from bridge.line.by_hand import check_address, check_reply, operate, probe, send
from bridge.model.delivery import Failed, Reply, Sent, Unknown
from bridge.model.event import Attachment
from bridge.platforms.registry import ADAPTERS
from tests.fakes.groupalarm import ORGANIZATION, TOKEN, GroupAlarm
from tests.fakes.helpcrunch import KEY, HelpCrunch
from tests.fakes.sockets import closes, hangs, serving
from tests.values import NOON

HELLO = Reply(text="Hello")


@pytest.fixture
async def fake() -> AsyncIterator[HelpCrunch]:
    async with HelpCrunch() as opened:
        opened.add_chat(1, {"id": 45})
        yield opened


def known(platform: str, name: str = "mine", **options: Any) -> Known:
    adapter = ADAPTERS[platform]
    return Known(account=adapter.account.model_validate({"name": name, **options}), adapter=adapter)


def shop(fake: HelpCrunch, **options: Any) -> Known:
    return known("helpcrunch", **{"api_key": KEY, "agent": 4188, "base_url": fake.url, **options})


async def test_a_message_is_sent_at_once(fake: HelpCrunch) -> None:
    outcome = await send(HELLO, {"chat": 1}, shop(fake), SetClock(NOON))
    assert isinstance(outcome, Sent)
    assert [(m["chat"], m["text"]) for m in fake.messages] == [(1, "Hello")]
    assert outcome.reference == str(fake.messages[0]["id"])


async def test_a_message_that_is_refused_is_not_tried_again(fake: HelpCrunch) -> None:
    outcome = await send(HELLO, {"chat": 99}, shop(fake), SetClock(NOON))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, fake.messages, len(fake.refused)) == ("not_found", [], 1)


async def test_an_operation_is_done_at_once(fake: HelpCrunch) -> None:
    by = shop(fake)
    nothing = by.adapter.operations["close"].arguments()
    assert isinstance(await operate("close", nothing, {"chat": 1}, by, SetClock(NOON)), Sent)
    assert fake.chats[1]["status"] == "closed"


@pytest.mark.parametrize(
    ("platform", "to", "told"),
    [
        ("helpcrunch", {"chatt": 1}, 'to: helpcrunch knows no "chatt" (did you mean "chat"?); it knows chat, customer'),
        ("groupalarm", {"visitor": 1}, 'to: groupalarm knows no "visitor"; it knows room'),
    ],
)
def test_a_key_that_the_platform_does_not_know(platform: str, to: dict[str, object], told: str) -> None:
    with pytest.raises(BridgeError) as caught:
        check_address(to, ADAPTERS[platform])
    assert str(caught.value).startswith(told)


def test_a_platform_without_keys_of_its_own_takes_any() -> None:
    check_address({"anything": [1]}, ADAPTERS["webhook"])


async def test_an_operation_has_an_address_too(fake: HelpCrunch) -> None:
    by = shop(fake)
    with pytest.raises(BridgeError, match='to: helpcrunch knows no "chatt"'):
        await operate("close", by.adapter.operations["close"].arguments(), {"chatt": 1}, by, SetClock(NOON))
    assert fake.changes == []


async def test_nobody_is_not_an_address(fake: HelpCrunch) -> None:
    with pytest.raises(BridgeError, match="to: missing; say whom the message is for, by chat, customer, "):
        await send(HELLO, {}, shop(fake), SetClock(NOON))


EXTRAS: dict[Ability, dict[str, Any]] = {
    "private": {"private": True},
    "attachments": {"attachments": (Attachment(name="a", url="https://files.example/a"),)},
    "quick_replies": {"quick_replies": ("yes",)},
}


@pytest.mark.parametrize("platform", list(ADAPTERS))
@pytest.mark.parametrize("ability", list(EXTRAS))
def test_what_a_platform_cannot_say_is_refused_by_name(platform: str, ability: Ability) -> None:
    adapter, reply = ADAPTERS[platform], Reply(text="x", **EXTRAS[ability])
    if ability in adapter.can:
        check_reply(reply, adapter)
        return
    with pytest.raises(BridgeError, match=f"{platform} cannot send "):
        check_reply(reply, adapter)


async def test_the_web_chat_needs_a_server_that_runs() -> None:
    with pytest.raises(BridgeError, match="webchat sends through the store of a running server, so not by hand"):
        await send(HELLO, {"visitor": "0" * 32}, known("webchat"), SetClock(NOON))


async def test_all_accounts_are_probed(fake: HelpCrunch) -> None:
    async with GroupAlarm() as alarm:
        duty = {"base_url": alarm.url, "organization": ORGANIZATION}
        asked = [
            shop(fake),
            known("helpcrunch", "wrong", base_url=fake.url, api_key="wrong", agent=1),
            known("groupalarm", "duty", api_token=TOKEN, **duty),
            known("webhook", "crm", secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]),
            known("omnidesk", "site", api_keys=["k"], chat_servers=["https://chat.example"]),
        ]
        found = await probe(asked, SetClock(NOON))
    assert {name for name, outcome in found.items() if isinstance(outcome, Sent)} == {"mine", "duty"}
    assert {name for name, outcome in found.items() if outcome is None} == {"crm", "site"}
    assert isinstance(found["wrong"], Failed)
    assert found["wrong"].reason == "auth"
    assert fake.messages == []


async def test_a_platform_that_hangs_keeps_nobody_waiting() -> None:
    async with serving(hangs) as server:
        asked = known("helpcrunch", base_url=server.url, api_key="k", agent=1)
        (found,) = (await probe([asked], SetClock(NOON), within=0.2)).values()
    assert found == Failed(reason="timeout", detail="no answer within 0 seconds")


async def test_nobody_knows_of_a_message_without_an_answer() -> None:
    async with serving(closes) as server:
        by = known("helpcrunch", base_url=server.url, api_key="k", agent=1)
        assert isinstance(await send(HELLO, {"chat": 1}, by, SetClock(NOON)), Unknown)
