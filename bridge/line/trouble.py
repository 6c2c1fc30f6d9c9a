"""Trouble: what fails again and again is told when it begins and when it is over, not each time."""

from bridge.observe import log


class Trouble:
    """`what` is what cannot be done while it lasts: "look for due timers"."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lasts = False

    def meets(self, error: Exception) -> None:
        """It has failed; the first time in a row is told."""
        if not self._lasts:
            log().error(f"cannot {self._what}; trying again and again", error=str(error))
        self._lasts = True

    def over(self) -> None:
        """It has gone well."""
        if self._lasts:
            log().info(f"can {self._what} again")
        self._lasts = False
