"""Bell: a rest between two looks, which ends early when somebody rings."""

import asyncio

from bridge.clock import Clock


class Bell:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self, _: str = "") -> None:
        """End the rest; where there is none, the next is over at once. What a signal names does not matter."""
        self._rung.set()

    def hush(self) -> None:
        """Forget earlier rings; to be called before a look, so that what comes during the look is not forgotten."""
        self._rung.clear()

    async def rest(self, seconds: float) -> None:
        """Until somebody rings, at most so many seconds."""
        waits = [asyncio.ensure_future(wait) for wait in (self._rung.wait(), self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
