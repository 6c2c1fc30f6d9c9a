"""Several servers on one PostgreSQL, in short: whatever happens to them, nothing is lost and nothing out of order."""

from pathlib import Path

import pytest

from tests.end_to_end.chaos import PLACES, broken
from tests.end_to_end.replicas import DISTURBANCES, ENOUGH, SERVERS, chaos


@pytest.mark.timeout(300)
async def test_nothing_is_lost_or_out_of_order_with_several_servers(tmp_path: Path) -> None:
    told = await chaos(tmp_path, seconds=1)
    print(told)
    assert broken(told, SERVERS * PLACES) == []
    assert told.acknowledged >= ENOUGH
    assert set(told.done) == set(DISTURBANCES)
