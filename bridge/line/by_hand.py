"""By hand: one thing done on a platform now, because a person asked for it, with neither store nor second try."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from bridge.adapter.ability import unsayable
from bridge.adapter.account import Options
from bridge.adapter.http import Door
from bridge.adapter.protocol import Adapter, HttpAnswer, Post, Steps
from bridge.clock import Clock
from bridge.errors import BridgeError, did_you_mean
from bridge.line.accounts import Known
from bridge.model.delivery import Command, Failed, Outcome, Reply, Sent, unstored
from bridge.model.event import Address

WITHIN = 30.0
"""Seconds that a probe may take in all; each of its calls is bounded by the account's own time-out besides."""


async def send(reply: Reply, to: Address, known: Known, clock: Clock) -> Outcome:
    """Send one message. Raises BridgeError for an address or a reply that the platform has no words for."""
    check_address(to, known.adapter)
    if not to:
        raise BridgeError(f"to: missing; say whom the message is for, by {_known(known.adapter)}")
    check_reply(reply, known.adapter)
    delivery = unstored(to, known.account.name, clock.now(), reply=reply)
    return await drive(known.adapter.send(delivery, known.account), known, clock)


async def operate(name: str, arguments: Options, to: Address, known: Known, clock: Clock) -> Outcome:
    """Do one of the platform's operations, with arguments that its model has checked.

    Raises BridgeError for an address that the platform has no words for.
    """
    check_address(to, known.adapter)
    delivery = unstored(to, known.account.name, clock.now(), command=Command(operation=f"{known.adapter.name}.{name}"))
    return await drive(known.adapter.operations[name].begin(arguments, delivery, known.account), known, clock)


async def drive(steps: Steps, known: Known, clock: Clock) -> Outcome:
    """Walk an adapter's steps to their outcome."""
    async with Door(clock) as door:
        outcome, _ = await _drive(door, steps, known)
    return outcome


async def probe(accounts: Iterable[Known], clock: Clock, within: float = WITHIN) -> Mapping[str, Outcome | None]:
    """Whether the accounts' credentials are taken, asked of all platforms at the same time; None: nothing to ask."""
    asked = list(accounts)
    async with Door(clock) as door:
        found = await asyncio.gather(*(_ask(door, known, within) for known in asked))
    return {known.account.name: outcome for known, outcome in zip(asked, found, strict=True)}


async def _ask(door: Door, known: Known, within: float) -> Outcome | None:
    if known.adapter.probe is None:
        return None
    try:
        async with asyncio.timeout(within):
            outcome, seen = await _drive(door, known.adapter.probe(known.account), known)
    except TimeoutError:
        return Failed(reason="timeout", detail=f"no answer within {within:.0f} seconds")
    # An account that only listens has credentials of others to look at, and none to show.
    return None if seen is None and isinstance(outcome, Sent) else outcome


async def _drive(door: Door, steps: Steps, known: Known) -> tuple[Outcome, HttpAnswer | None]:
    """Raises BridgeError where the steps need the store of a server that runs."""

    async def post(mail: Post) -> HttpAnswer:
        raise BridgeError(f"{known.adapter.name} sends through the store of a running server, so not by hand")

    return await door.drive(steps, post, known.account.timeout)


def check_address(to: Address, adapter: Adapter[Any]) -> None:
    """Raises BridgeError for a key that is none of the platform's; a platform without keys of its own takes any."""
    for key in to:
        if adapter.to_keys and key not in adapter.to_keys:
            raise BridgeError(
                f'to: {adapter.name} knows no "{key}"{did_you_mean(key, adapter.to_keys)}; it knows {_known(adapter)}'
            )


def check_reply(reply: Reply, adapter: Adapter[Any]) -> None:
    """Raises BridgeError for what the platform's replies cannot have."""
    if (why := unsayable(reply, adapter.name, adapter.can)) is not None:
        raise BridgeError(why)


def _known(adapter: Adapter[Any]) -> str:
    return ", ".join(adapter.to_keys) or "any key=value; all of them are sent along"
