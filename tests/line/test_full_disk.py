"""A disk that is full: senders are told to come again, /readyz says why, and with room it goes on by itself."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from tests.running import TOKEN, Site, a_site


async def allow(bridge: Site, pages: int) -> None:
    """Let the database have so many pages; it says that the disk is full when it needs more."""

    def work(connection: Connection, items: Sequence[int]) -> list[None]:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {items[0]}")
        return [None]

    await bridge.running.store.write(work, pages)


async def ready(bridge: Site) -> tuple[int, str]:
    async with bridge.client.get(f"{bridge.running.url}/readyz") as answer:
        return answer.status, await answer.text()


async def test_a_full_disk_is_told_and_left_behind(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (bridge, fake):
        await bridge.say("before")
        await bridge.settle()
        await allow(bridge, 1)
        answers = []
        for number in range(40):
            message = {"chatAccountToken": TOKEN, "message": f"{number} " + "x" * 4000, "messageNumber": number + 9}
            status, answer = await bridge.call("notifyUserNewChatMessage", **message)
            answers.append((status, str(answer)))
        refused = [answer for status, answer in answers if status != 200]
        assert {status for status, _ in answers} <= {200, 503}
        assert refused, "the file may not grow, so not all of it has room"
        status, why = await ready(bridge)
        assert status == 503
        assert "database or disk is full" in why
        await allow(bridge, 1_000_000)
        bridge.clock.advance(6)
        assert (await ready(bridge))[0] == 200
        await bridge.say("after")
        assert {one.state for one in await bridge.settle()} == {"sent"}
        acknowledged = sum(status == 200 for status, _ in answers)
        assert len(fake.received) == acknowledged + 2
