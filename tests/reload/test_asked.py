"""One process asks, another answers; here both are in one loop, with the files between them."""

import asyncio
from pathlib import Path

import pytest

from bridge.clock import SystemClock
from bridge.errors import BridgeError, Place, Problem
from bridge.reload.asked import Asked, Status

PROBLEM = Problem(place=Place(file="rules/a.yaml", line=3, column=9), message="no")


def status(token: str) -> Status:
    return Status(answers=token, came="refused", running="abc", rules=3, problems=(PROBLEM,))


async def taken(asked: Asked) -> str:
    while (token := asked.take()) is None:
        await asyncio.sleep(0.005)
    return token


async def test_the_answer_is_that_to_the_question(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    asked.answer(status("an older question"))
    with asked.serving():
        asking = asyncio.create_task(asked.ask("mine", SystemClock()))
        assert await taken(asked) == "mine"
        assert asked.take() is None
        asked.answer(status("mine"))
        assert await asking == status("mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["serving", "status.json"]


async def test_who_asks_before_the_first_was_taken_shares_its_answer(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    with asked.serving():
        both = [asyncio.create_task(asked.ask(token, SystemClock())) for token in ("first", "second")]
        await asyncio.sleep(0)
        assert await taken(asked) == "first"
        asked.answer(status("first"))
        assert await asyncio.gather(*both) == [status("first")] * 2


@pytest.mark.parametrize("before", [False, True])
async def test_without_a_server_nobody_waits(tmp_path: Path, before: bool) -> None:
    asked = Asked(tmp_path / "data" / "rulebook")
    if before:
        with asked.serving():
            pass
    with pytest.raises(BridgeError, match=r"no server runs on .*data; `replybridge serve` starts one"):
        await asked.ask("mine", SystemClock())
    assert asked.take() is None


async def test_a_server_that_goes_away_is_noticed(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    with asked.serving():
        asking = asyncio.create_task(asked.ask("mine", SystemClock()))
        await taken(asked)
    with pytest.raises(BridgeError, match="no server runs"):
        await asking


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"answers": 7}', b"[]"])
async def test_a_damaged_answer_is_none(tmp_path: Path, content: bytes) -> None:
    asked = Asked(tmp_path)
    with asked.serving():
        (tmp_path / "status.json").write_bytes(content)
        asking = asyncio.create_task(asked.ask("mine", SystemClock()))
        await taken(asked)
        asked.answer(status("mine"))
        assert (await asking).problems == (PROBLEM,)
