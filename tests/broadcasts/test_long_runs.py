"""What is done several times a second for a run costs no more for a long run than for a short one."""

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from bridge.model.broadcast import Asked
from bridge.store import runs, tally
from bridge.store.plan import Planned, plan, release
from bridge.store.store import Store
from tests.store.test_plan import CHUNK, WISH
from tests.values import NOON


def planned(connection: Connection, people: int) -> None:
    """A run of so many people, all of them planned; a few are on their way and a few have failed."""
    runs.ask(connection, [Asked(broadcast="offer", moment="1", at=NOON)])
    runs.change(connection, [runs.Change(run=1, come_from=("asked",), to="planning", at=NOON, plan="{}")])
    everybody = tuple(
        Planned(person=f"p{number}", state="dead" if number < 5 else "queued") for number in range(people)
    )
    chunk = replace(CHUNK, people=everybody, cursor=None, last=True)
    assert plan(connection, [chunk]) == [True]
    [released] = release(connection, [WISH])
    assert released is not None
    assert released.gone == 50


def steps(connection: Connection, work: Callable[[], object]) -> int:
    """How many steps of SQLite's machine it takes."""
    driver, count = connection.connection.driver_connection, 0

    def note() -> None:
        nonlocal count
        count += 1

    assert driver is not None
    driver.set_progress_handler(note, 1)
    try:
        work()
    finally:
        driver.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize(
    "work",
    [
        lambda connection: release(connection, [WISH]),
        lambda connection: tally.failed(connection, 1),
        lambda connection: tally.sent(connection, 1, 20),
        tally.going,
    ],
    ids=["release", "failed", "sent", "going"],
)
async def test_it_takes_as_many_steps_among_many_as_among_few(
    store: Store, work: Callable[[Connection], object]
) -> None:
    taken = []

    def measure(connection: Connection, items: Sequence[int]) -> list[None]:
        for people in items:
            connection.exec_driver_sql("DELETE FROM deliveries")
            connection.exec_driver_sql("DELETE FROM runs")
            planned(connection, people)
            work(connection)
            taken.append(steps(connection, lambda: work(connection)))
        return [None] * len(items)

    await store.write(measure, 1000)
    await store.write(measure, 4000)
    few, many = taken
    assert many <= few + 20
