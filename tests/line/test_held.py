"""What a worker holds stays its own, and is sent once, whatever happens to clocks, to the store and to the worker."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from tests.fakes.chat_server import ChatServer, Say
from tests.running import Site, a_site

OTHERS = tuple(f"conversation-{number}" for number in range(5))


async def change(bridge: Site, statement: str) -> None:
    """What somebody else does to the store."""

    def work(connection: Connection, items: Sequence[str]) -> list[None]:
        connection.exec_driver_sql(items[0])
        return [None]

    await bridge.running.store.write(work, statement)


async def pause(bridge: Site, fake: ChatServer, seconds: int) -> None:
    """Let the platform ask for a pause, and then have five replies wait for its end."""
    fake.answers.append(Say(status=429, headers={"Retry-After": str(seconds)}))
    await bridge.say("first")
    await bridge.until(lambda: bridge.deliveries()[0].due_at, tick=0)
    for conversation in OTHERS:
        await bridge.say("hello", chatSessionID=conversation)
    assert [one.state for one in bridge.deliveries()] == ["queued", *["claimed"] * 5]


async def wait(bridge: Site, seconds: float) -> None:
    end = bridge.clock.monotonic() + seconds
    await bridge.until(lambda: bridge.clock.monotonic() >= end, tick=0.5)


def sent_to(fake: ChatServer) -> list[str]:
    return sorted(str(one["chatSessionID"]) for one in fake.received[1:] if one["chatSessionID"] in OTHERS)


async def test_a_clock_that_is_set_back_makes_nobody_forget_what_is_held(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, fake):
        bridge.clock.set_by(-3600)
        await pause(bridge, fake, 400)
        await bridge.settle(tick=0.5)
        assert sent_to(fake) == sorted(OTHERS)


async def test_a_clock_that_is_set_forward_sends_nothing_twice(tmp_path: Path) -> None:
    async with a_site(tmp_path, expires="2h") as (bridge, fake):
        await pause(bridge, fake, 200)
        bridge.clock.set_by(1800)
        await bridge.settle(tick=0.5)
        assert sent_to(fake) == sorted(OTHERS)


async def test_what_another_worker_has_taken_over_is_left_to_it(tmp_path: Path) -> None:
    """As after a stop for longer than the leases, during which another server went on."""
    async with a_site(tmp_path) as (bridge, fake):
        await pause(bridge, fake, 60)
        theirs = "UPDATE deliveries SET worker = 'another', wake_at = wake_at + 36000000 WHERE lane LIKE '%-3'"
        await change(bridge, theirs)
        await bridge.until(lambda: len(bridge.deliveries("sent")) == 5, tick=0.5)
        await wait(bridge, 10)
        assert sent_to(fake) == sorted({*OTHERS} - {"conversation-3"})
        assert [one.delivery.lane for one in bridge.deliveries("claimed")] == ["site/conversation-3"]


async def test_a_store_that_cannot_be_written_for_longer_than_a_lease_sends_nothing_twice(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, fake):
        await pause(bridge, fake, 200)
        no_room = "CREATE TRIGGER no_room BEFORE UPDATE ON deliveries BEGIN SELECT RAISE(FAIL, 'no room'); END"
        await change(bridge, no_room)
        await wait(bridge, 300)
        assert sent_to(fake) == [], "nothing is begun of which nobody could say afterwards whether it was sent"
        await change(bridge, "DROP TRIGGER no_room")
        await bridge.settle(tick=0.5)
        assert sent_to(fake) == sorted(OTHERS)
