"""Chaos in its short form: whatever happens, nothing acknowledged is lost, and nothing comes out of order."""

from pathlib import Path

import pytest

from tests.end_to_end.chaos import DISTURBANCES, broken, chaos


@pytest.mark.timeout(200)
async def test_nothing_is_lost_or_out_of_order_whatever_happens(tmp_path: Path) -> None:
    told = await chaos(tmp_path, seconds=5)
    print(told)
    assert broken(told) == []
    assert told.acknowledged > 100
    assert set(told.done) == set(DISTURBANCES)
    assert told.refused > 0
