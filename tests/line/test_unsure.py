"""An attempt of which nobody knows whether it arrived: the platform is asked, where it can be."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.app.listening import Patience
from bridge.clock import SetClock
from tests.fakes.chat_server import Behaviour, ChatServer, Say
from tests.fakes.helpcrunch import KEY, HelpCrunch
from tests.running import Site, a_bridge, site, until
from tests.values import NOON

TWO = """
rules:
  - name: two
    on: message
    do: [{reply: {text: "{{ text }} 1"}}, {reply: {text: "{{ text }} 2"}}]
"""
IMPATIENT = Patience(grace=0.2)


@asynccontextmanager
async def a_shop(directory: Path, fakes: "Fakes", *, clock: SetClock, **options: str) -> AsyncIterator[Site]:
    """A bridge whose site is answered in HelpCrunch."""
    shop = (
        f'\n[accounts.shop]\nplatform = "helpcrunch"\napi_key = "{KEY}"\nagent = 4188\n'
        f'base_url = "{fakes.crunch.url}"\nidentity = {{ email = "contact.email" }}\n'
    )
    shop += "".join(f'{name} = "{value}"\n' for name, value in options.items())
    settings = site(fakes.chat, reply_via="shop") + shop
    async with a_bridge(
        directory, settings, TWO, clock=clock, chat_server=fakes.chat.url, patience=IMPATIENT
    ) as bridge:
        yield bridge


class Fakes:
    """A HelpCrunch with one chat, whose clock is ours, and a chat server."""

    def __init__(self) -> None:
        self.crunch, self.chat = HelpCrunch(), ChatServer()

    async def __aenter__(self) -> "Fakes":
        await self.crunch.__aenter__()
        await self.chat.__aenter__()
        self.crunch.clock = NOON.timestamp()
        self.crunch.add_chat(17, {"id": 5, "email": "ann@shop.example"})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.chat.__aexit__(None, None, None)
        await self.crunch.__aexit__(None, None, None)

    @property
    def said(self) -> list[str]:
        return [str(one["plain"]) for one in self.crunch.messages]


async def say(bridge: Site, text: str) -> None:
    await bridge.say(text, emailAddress="ann@shop.example")


def told(bridge: Site, number: int) -> list[tuple[str, str | None]]:
    """The attempts at a delivery, as a person reads them."""
    return [(one.outcome, one.detail) for one in bridge.story(number).tries]


@pytest.mark.parametrize("on_unknown", ["resend", "hold"])
async def test_what_arrived_without_an_answer_is_found_and_not_sent_again(tmp_path: Path, on_unknown: str) -> None:
    async with Fakes() as fakes, a_shop(tmp_path, fakes, clock=SetClock(NOON), on_unknown=on_unknown) as bridge:
        fakes.crunch.answers.extend([None, "reset"])
        await say(bridge, "x")
        assert [one.state for one in await bridge.settle()] == ["sent", "sent"]
        assert fakes.said == ["x 1", "x 2"]
        (first, why), found = told(bridge, 1)
        assert (first, found) == ("unknown", ("sent", "asked what came of it: 542335"))
        assert why is not None
        assert "no whole answer" in why
        assert bridge.deliveries()[0].reference == "542335"


@pytest.mark.parametrize("on_unknown", ["resend", "hold"])
async def test_what_did_not_arrive_is_sent_in_the_same_turn(tmp_path: Path, on_unknown: str) -> None:
    async with Fakes() as fakes, a_shop(tmp_path, fakes, clock=SetClock(NOON), on_unknown=on_unknown) as bridge:
        fakes.crunch.answers.extend([None, "reset"])
        await say(bridge, "x")
        await bridge.until(lambda: bridge.deliveries()[0].delivery.unsure_since)
        fakes.crunch.messages.clear()
        assert [one.state for one in await bridge.settle()] == ["sent", "sent"]
        assert fakes.said == ["x 1", "x 2"]
        assert told(bridge, 1)[1:] == [
            ("failed", "asked what came of it: it is not in the chat, so it was not sent"),
            ("sent", "542335"),
        ]
        assert bridge.deliveries()[0].delivery.unsure_since is None


@pytest.mark.parametrize(("on_unknown", "said"), [("resend", ["x 1", "x 1", "x 2"]), ("hold", ["x 1", "x 2"])])
async def test_where_the_platform_cannot_tell_the_accounts_policy_decides(
    tmp_path: Path, on_unknown: str, said: list[str]
) -> None:
    async with Fakes() as fakes, a_shop(tmp_path, fakes, clock=SetClock(NOON), on_unknown=on_unknown) as bridge:
        fakes.crunch.answers.extend([None, "reset", Say(status=403, body="no")])
        await say(bridge, "x")
        states = [one.state for one in await bridge.settle()]
        assert states == ["unknown" if on_unknown == "hold" else "sent", "sent"]
        assert fakes.said == said
        asked = told(bridge, 1)[1]
        assert asked == ("unknown", "asked what came of it: whether it arrived cannot be looked up: 403: no")


@pytest.mark.parametrize("on_unknown", ["resend", "hold"])
@pytest.mark.parametrize("trouble", [Say(status=503), Say(status=429, headers={"Retry-After": "9"}), "reset"])
async def test_a_question_that_could_not_be_put_is_put_again(
    tmp_path: Path, on_unknown: str, trouble: Behaviour
) -> None:
    """Sending blindly because a look-up failed for a moment would be a second message for nothing."""
    async with Fakes() as fakes, a_shop(tmp_path, fakes, clock=SetClock(NOON), on_unknown=on_unknown) as bridge:
        fakes.crunch.answers.extend([None, "reset", None, trouble])
        await say(bridge, "x")
        assert [one.state for one in await bridge.settle(tick=0.2)] == ["sent", "sent"]
        assert fakes.said == ["x 1", "x 2"]
        assert [outcome for outcome, _ in told(bridge, 1)] == ["unknown", "unknown", "sent"]


async def test_when_it_is_too_late_to_send_it_is_still_asked_what_came_of_it(tmp_path: Path) -> None:
    async with Fakes() as fakes, a_shop(tmp_path, fakes, clock=SetClock(NOON), expires="30s") as bridge:
        fakes.crunch.answers.extend([None, "reset"])
        await say(bridge, "x")
        await bridge.until(lambda: bridge.deliveries()[0].delivery.unsure_since)
        fakes.crunch.answers.append(Say(status=503))
        bridge.clock.advance(2)
        await bridge.until(lambda: len(bridge.story(1).tries) == 2)
        bridge.clock.advance(60)
        first, second = await bridge.settle()
        assert (first.state, second.state, second.reason) == ("sent", "dead", "expired")
        assert fakes.said == ["x 1"]


async def crash(directory: Path, fakes: Fakes, clock: SetClock, **options: str) -> None:
    """Leave behind what a killed process leaves: a message that HelpCrunch has taken, and nobody has recorded."""
    fakes.crunch.answers.extend([None, "hang"])
    async with a_shop(directory, fakes, clock=clock, **options) as bridge:
        await say(bridge, "x")
        await until(lambda: fakes.crunch.messages)
    fakes.crunch.answers.clear()


@pytest.mark.parametrize("options", [{}, {"on_unknown": "hold"}])
@pytest.mark.parametrize("arrived", [True, False])
async def test_after_a_crash_the_platform_is_asked(tmp_path: Path, options: Mapping[str, str], arrived: bool) -> None:
    clock = SetClock(NOON)
    async with Fakes() as fakes:
        await crash(tmp_path, fakes, clock, **options)
        if not arrived:
            fakes.crunch.messages.clear()
        clock.advance(60)
        async with a_shop(tmp_path, fakes, clock=clock, **options) as bridge:
            assert [one.state for one in await bridge.settle()] == ["sent", "sent"]
            assert [outcome for outcome, _ in told(bridge, 1)] == (["sent"] if arrived else ["failed", "sent"])
        assert fakes.said == ["x 1", "x 2"]
