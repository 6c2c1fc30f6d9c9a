"""`replybridge accounts --check`: each platform's probe through the real door, with right and wrong credentials."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.model.delivery import Failed, Outcome, Sent, Unknown
from bridge.platforms.registry import ADAPTERS
from tests.fakes.chat_server import Say
from tests.fakes.chayns import LOCATION, SECRET, TAPP, Chayns
from tests.fakes.edna import BOT_TOKEN, LOGIN, PASSWORD, Edna
from tests.fakes.groupalarm import ORGANIZATION, TOKEN, GroupAlarm
from tests.fakes.helpcrunch import KEY, HelpCrunch
from tests.platforms.driving import drive

EDNA = {"hook_secret": "0123456789abcdef"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fake, the options of its account, and the one that makes them wrong."""

    fake: Any
    options: dict[str, Any]
    wrong: dict[str, Any]

    @property
    def planned(self) -> Any:
        return self.fake.log_in_answers if isinstance(self.fake, Edna) else self.fake.answers

    @property
    def changes(self) -> list[Any]:
        return [change for kept in ("sent", "changes", "messages") for change in getattr(self.fake, kept, ())]


@pytest.fixture(params=["chayns", "edna", "groupalarm", "helpcrunch"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, Case]]:
    name = str(request.param)
    async with AsyncExitStack() as stack:
        match name:
            case "chayns":
                fake: Any = await stack.enter_async_context(Chayns())
                options: dict[str, Any] = {"location_id": LOCATION, "tapp_id": TAPP, "secret": SECRET}
                wrong = {"secret": "another"}
            case "edna":
                fake = await stack.enter_async_context(Edna())
                options, wrong = {**EDNA, "login": LOGIN, "password": PASSWORD}, {"password": "another"}
            case "groupalarm":
                fake = await stack.enter_async_context(GroupAlarm())
                options, wrong = {"organization": ORGANIZATION, "api_token": TOKEN}, {"api_token": "another"}
            case _:
                fake = await stack.enter_async_context(HelpCrunch())
                options, wrong = {"agent": 4188, "api_key": KEY}, {"api_key": "another"}
        yield name, Case(fake=fake, options={**options, "base_url": fake.url}, wrong=wrong)


async def probe(name: str, **options: Any) -> Outcome:
    adapter = ADAPTERS[name]
    assert adapter.probe is not None
    return await drive(adapter.probe(adapter.account.model_validate({"name": "a", **options})))


async def test_right_and_wrong_credentials(case: tuple[str, Case]) -> None:
    name, one = case
    assert await probe(name, **one.options) == Sent()
    assert one.fake.refused == []
    outcome = await probe(name, **{**one.options, **one.wrong})
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("auth", True)
    assert len(one.fake.refused) == 1
    assert one.changes == []


async def test_a_platform_that_is_down_says_nothing_of_the_credentials(case: tuple[str, Case]) -> None:
    name, one = case
    one.planned.append(Say(status=503, body="down"))
    one.planned.append("reset")
    for reason in ("unavailable", "network"):
        outcome = await probe(name, **one.options)
        assert isinstance(outcome, Failed)
        assert (outcome.reason, outcome.permanent) == (reason, False)


async def test_a_bot_alone_cannot_be_tried() -> None:
    outcome = await probe("edna", **EDNA, base_url="http://127.0.0.1:1", bot_token=BOT_TOKEN)
    assert isinstance(outcome, Unknown)
    assert "bot_token" in outcome.detail


def test_platforms_without_credentials_of_their_own_have_none() -> None:
    assert {name for name in ("webhook", "webchat") if ADAPTERS[name].probe is not None} == set()
