"""A server whose lease ran out sends nothing more of what it had claimed: another may have sent it by now."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from tests.broadcasts.test_runs import begin, customers, shop, states
from tests.fakes.inbox import Inbox


async def test_what_another_server_has_taken_over_is_not_sent(tmp_path: Path) -> None:
    def take_over(connection: Connection, items: Sequence[None]) -> list[None]:
        connection.exec_driver_sql("UPDATE deliveries SET worker = 'another' WHERE unsure_since IS NULL")
        return [None] * len(items)

    async with Inbox() as inbox, shop(tmp_path, inbox, customers(4), max_in_flight=2) as site:
        inbox.go.clear()
        number = await begin(site)
        await site.until(lambda: inbox.calls and states(site, number) == {"claimed": 4})
        under_way = inbox.calls
        assert under_way < 4
        await site.running.store.write(take_over, None)
        inbox.go.set()
        # Who is asked for last is sent to last, so by then it has come to those that it has lost.
        await begin(site, "another run", only={"email": "last@shop.example"})
        await site.until(lambda: "last@shop.example" in inbox.got)
        held = "SELECT worker FROM deliveries WHERE state = 'claimed'"
        await site.until(lambda: {row.worker for row in site.rows(held)} == {"another"})
        assert len(site.rows(held)) == 4 - under_way
        assert inbox.calls == under_way + 1
