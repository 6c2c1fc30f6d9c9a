"""Half a bridge must not go on: it would acknowledge what nobody answers."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import pytest

from bridge.app.background import Background
from tests.running import until

Work = Callable[[], Coroutine[object, object, None]]


async def ends_well() -> None:
    return None


async def goes_on() -> None:
    await asyncio.Event().wait()


async def dies() -> None:
    raise ZeroDivisionError("nobody foresaw it")


@pytest.mark.parametrize("others", [(), (goes_on, ends_well), (dies,)])
async def test_the_error_of_the_first_that_dies_is_told(others: Sequence[Work]) -> None:
    background = Background()
    async with background.run(dies()):
        for other in others:
            async with background.run(other()):
                pass
        await until(background.failed.done)
    assert repr(background.failed.result()) == repr(ZeroDivisionError("nobody foresaw it"))


async def test_nothing_is_told_of_what_ends_or_is_ended() -> None:
    background = Background()
    async with background.run(ends_well()), background.run(goes_on()):
        await asyncio.sleep(0)
    assert not background.failed.done()
