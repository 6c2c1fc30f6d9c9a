"""A broadcast while its servers are killed again and again, in short: everybody once, but for outcomes nobody knows."""

from pathlib import Path

import pytest

from tests.end_to_end.broadcast_chaos import a_round, broken
from tests.postgres import Databases

PEOPLE = 1500
"""So many that servers are killed in the middle of planning and of sending."""


async def test_everybody_gets_it_once_or_is_listed_as_unknown(tmp_path: Path) -> None:
    told = await a_round(tmp_path, lambda: "sqlite:///data/bridge.db", people=PEOPLE, kills=(2, 3))
    print(told)
    assert broken(told) == []
    assert told.sent + told.unknown == PEOPLE
    assert told.killed.total() > 0


@pytest.mark.timeout(300)
async def test_several_servers_see_the_schedule_and_make_one_run_of_it(
    tmp_path: Path, postgres_databases: Databases
) -> None:
    told = await a_round(tmp_path, postgres_databases.create, people=PEOPLE, kills=(1, 3), servers=3)
    print(told)
    assert broken(told) == []
    assert told.sent + told.unknown == PEOPLE
