"""What can go wrong, as types.

    BridgeError             a person can act on the message
      SettingsError         bridge.toml or the environment
      RulebookError         rules and templates; carries every Problem found
      StoreError            the durable state cannot be reached or written
    Refused                 a webhook that is turned away, with its HTTP status

A message says the value, the place and the next step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from msgspec import Struct


class BridgeError(Exception):
    """Something a person has to mend; the message says what, where and how."""


class SettingsError(BridgeError):
    """The settings cannot be used: "accounts.shop.api_key: missing"."""


class StoreError(BridgeError):
    """The store cannot be opened, read or written."""


class Place(Struct, frozen=True, kw_only=True, order=True, gc=False):
    """Where something stands in a file; line and column count from 1. A line of 0 is the whole file."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Problem:
    """One finding in a rulebook: an error keeps the rulebook from going live, a warning does not."""

    place: Place
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {'warning: ' if self.warning else ''}{self.message}"


class RulebookError(BridgeError):
    """A rulebook that must not go live, with every problem found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class Refused(Exception):  # noqa: N818 - it is an answer to the caller, not a fault of ours
    """A webhook that is turned away. `status` is the HTTP status, `message` what the sender reads.

    `retry_after` (seconds) is given with 429 and 503.
    """

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """' (did you mean "text"?)' for the known word nearest to `word`, or '' where none is near."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""
