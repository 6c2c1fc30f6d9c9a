"""Arguments of operations. A rule's templates make texts of numbers, so a number may come as a text of digits."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from bridge.adapter.account import Options
from bridge.adapter.number import LARGEST

_LONGEST = 30


def _from_digits(given: object) -> object:
    if not isinstance(given, str):
        return given
    digits = given.strip()
    if len(digits) <= _LONGEST and digits.isascii() and digits.isdigit():
        return int(digits)
    raise ValueError(f'"{given[:80]}" is not a whole number')


Whole = Annotated[int, BeforeValidator(_from_digits)]
"""A whole number, or its ASCII digits; bounds are added where it is used."""

Number = Annotated[Whole, Field(ge=1, le=LARGEST)]
"""The number of something on a platform: an agent, a department, a user."""


class Nothing(Options):
    """No arguments."""
