"""Asking a platform for people, and the calls of a program that runs beside the server."""

import asyncio
from dataclasses import replace

import pytest

from bridge.adapter.http import Door
from bridge.adapter.protocol import Pages, People
from bridge.chance import SeededChance
from bridge.clock import SetClock
from bridge.line.accounts import Accounts, Known
from bridge.line.audience import Audiences, NotToldError, OwnCalls
from bridge.model.broadcast import MetAudience
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.registry import ADAPTERS


async def test_it_keeps_to_the_pace_of_the_budget(clock: SetClock) -> None:
    account = HelpCrunchAccount.model_validate({"name": "shop", "api_key": "k" * 20, "agent": 1, "budget": "60/min"})
    calls, made = OwnCalls(clock, Accounts([account], ADAPTERS)), list[float]()

    async def ask() -> None:
        for _ in range(4):
            await calls.turn("shop", "broadcast")
            made.append(clock.monotonic())

    began = clock.monotonic()
    task = asyncio.create_task(ask())
    while not task.done():
        await asyncio.sleep(0)
        clock.advance(0.25)
        await asyncio.sleep(0)
    assert [at - began for at in made] == [0, 1, 2, 3]


def broken(asked: object, account: object, cursor: str | None) -> Pages:
    yield from ()
    raise KeyError(cursor)


async def test_a_fault_of_an_adapter_is_said(clock: SetClock) -> None:
    account = HelpCrunchAccount.model_validate({"name": "shop", "api_key": "k" * 20, "agent": 1})
    people = People(page=broken, knows=(), always=())
    known = Known(account=account, adapter=replace(ADAPTERS["helpcrunch"], audience=people))
    calls = OwnCalls(clock, Accounts([account], ADAPTERS))
    async with Door(clock) as door:
        audiences = Audiences(door=door, calls=calls, clock=clock, chance=SeededChance(1))
        with pytest.raises(NotToldError, match=r"accounts\.shop: .* the adapter failed: KeyError"):
            await audiences.page(known, MetAudience(), None)
