"""An adapter's steps, driven over real connections to a fake of its platform."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from bridge.adapter.http import Door, no_files
from bridge.adapter.protocol import HttpAnswer, Post, ReadFile, Steps
from bridge.clock import SetClock
from bridge.model.delivery import Outcome
from tests.values import NOON


async def no_mailbox(mail: Post) -> HttpAnswer:
    raise AssertionError("only the web chat has mailboxes")


async def drive(
    steps: Steps,
    *,
    patience: float = 20,
    clock: SetClock | None = None,
    read: Callable[[ReadFile], Awaitable[HttpAnswer]] = no_files,
) -> Outcome:
    """What they come to; `patience` is how many seconds an answer may take."""
    async with Door(clock or SetClock(NOON)) as door:
        outcome, _ = await door.drive(steps, no_mailbox, timedelta(seconds=patience), read=read)
    return outcome
