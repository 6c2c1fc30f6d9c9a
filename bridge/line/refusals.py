"""Refusals: what was turned away at the door is told to whoever runs the bridge, not only to who sent it."""

from bridge.clock import Clock
from bridge.observe import log

EVERY = 60.0
"""Seconds between two lines about the same: whoever tries keys could otherwise fill the disk."""
_ABOUT_KEYS = (401, 403)


class Refusals:
    """Notes refusals in the log, one line a minute for each route, account and status."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted: dict[tuple[str, str | None, int], float] = {}
        self._since: dict[tuple[str, str | None, int], int] = {}

    def note(self, route: str, account: str | None, status: int, message: str) -> None:
        """`account` is one that exists, or None; `more` in the line counts those that had none of their own.

        What a refusal says of a key, an address or a signature is in our own words. Of others only the field is told,
        because the rest may quote a customer.
        """
        same = (route, account, status)
        now = self._clock.monotonic()
        if now - self._noted.get(same, -EVERY) < EVERY:
            self._since[same] = self._since.get(same, 0) + 1
            return
        self._noted[same] = now
        why = message if status in _ABOUT_KEYS else message.partition(":")[0]
        more = self._since.pop(same, 0)
        counted = {"more": more} if more else {}
        log(account=account).warning("refused", route=route, status=status, why=why, **counted)
