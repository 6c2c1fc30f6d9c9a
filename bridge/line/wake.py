"""Wake: conversations whose timers are due go through the line again. Timers are durable; this only looks for them."""

import asyncio
from datetime import datetime, timedelta
from functools import partial

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.line.duty import Duty
from bridge.line.handle import Line
from bridge.line.trouble import Trouble
from bridge.observe import log
from bridge.store.ledger import due_conversations
from bridge.store.store import Store

LOOK_EVERY = 0.25
WAKE_AT_ONCE = 200
TRY_AGAIN = timedelta(minutes=1)


class Waker:
    """Where several servers share the store, the one looks whose `duty` it is."""

    def __init__(self, line: Line, store: Store, clock: Clock, duty: Duty) -> None:
        self._line = line
        self._store = store
        self._clock = clock
        self._duty = duty
        self._put_off: dict[str, datetime] = {}

    async def run(self) -> None:
        """Look for timers that are due, for ever."""
        trouble = Trouble("look for due timers")
        while True:
            try:
                woken = await self._look()
                trouble.over()
            except StoreError as error:
                trouble.meets(error)
                woken = 0
            if woken < WAKE_AT_ONCE:
                await self._clock.sleep(LOOK_EVERY)

    async def _look(self) -> int:
        """Wake what is due; gives how many conversations."""
        if not await self._duty.mine():
            return 0
        now = self._clock.now()
        self._put_off = {key: until for key, until in self._put_off.items() if until > now}
        most = WAKE_AT_ONCE + len(self._put_off)
        due = await self._store.read(partial(due_conversations, now=now, most=most))
        keys = [key for key in due if key not in self._put_off]
        outcomes = await asyncio.gather(*(self._line.wake(key) for key in keys), return_exceptions=True)
        for key, outcome in zip(keys, outcomes, strict=True):
            if isinstance(outcome, Exception):
                # One conversation that fails must not keep the others from waking; its timers are kept.
                log().error("a timer failed; it is tried again", conversation=key, error=str(outcome))
                self._put_off[key] = now + TRY_AGAIN
        return len(keys)
