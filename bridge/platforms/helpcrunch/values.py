"""Values as HelpCrunch writes them: its documentation names types that its programs do not keep to.

Numbers come as texts, times as numbers or as texts with fractions, statuses in several spellings.
"""

import math
from datetime import UTC, datetime

LAST = 253_402_300_799
"""The end of the year 9999, in seconds since 1970."""


def seconds_of(given: object) -> float | None:
    """A time, in seconds since 1970: 1594139170, "1594139170" or "1594139170.913"; None for anything else."""
    if not isinstance(given, str | int | float) or isinstance(given, bool) or len(str(given)) > 30:
        return None
    try:
        seconds = float(given)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def moment_of(given: object) -> datetime | None:
    """The same as a moment in UTC; None also for times before 1970 or after the year 9999."""
    seconds = seconds_of(given)
    if seconds is None or not 0 <= seconds < LAST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def plain_status(status: str) -> str:
    """The one spelling of a chat's status: HelpCrunch writes "on hold", "onhold" and "on-hold" for the same."""
    return "".join(letter for letter in status.casefold() if letter.isalnum())
