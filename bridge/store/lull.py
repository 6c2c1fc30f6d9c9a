"""Lull: the moment at which the event loop has nothing more at hand."""

import asyncio
from collections.abc import Callable

STILL = 3
"""Rounds of the event loop that bring nothing new, after which there is a lull. From the bytes of a request to what is
made of it are two."""
LONGEST = 0.01
"""Seconds after which no lull is waited for any more, where more and more comes."""


class Lull:
    """Calls `then` once no more comes, or `most` has. `size` says how much has come by now. For one event loop."""

    def __init__(
        self, *, size: Callable[[], int], most: int, then: Callable[[], None], monotonic: Callable[[], float]
    ) -> None:
        self._size = size
        self._most = most
        self._then = then
        self._monotonic = monotonic
        self._until = 0.0
        self._waits = False

    def wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to wait for the next lull, where nobody does yet."""
        if not self._waits:
            self._waits = True
            self._until = self._monotonic() + LONGEST
            loop.call_soon(self._look, loop, 0, 0)

    def _look(self, loop: asyncio.AbstractEventLoop, had: int, still: int) -> None:
        """There was so much at the last look, for `still` rounds."""
        has = self._size()
        still = still + 1 if has == had else 0
        if still < STILL and has < self._most and self._monotonic() < self._until:
            loop.call_soon(self._look, loop, has, still)
        else:
            self._waits = False
            self._then()
