"""Numbers that name something on a platform: a chat, a user, a group. They come as numbers, and as texts of digits."""

LARGEST = 2**63 - 1
"""No platform has larger ones, and no store keeps them."""

_MOST_DIGITS = 19
_LONGEST = 99


def as_text(given: object) -> object:
    """A whole number as the text of its digits, anything else as it is: a session, a telephone number or an id that is
    all digits is read as a number where nobody put it in quotes."""
    return str(given) if type(given) is int else given


def whole_number(given: object, *, least: int = 1, blanks: bool = False) -> int | None:
    """The whole number from `least` to `LARGEST` that is given, as such or in ASCII digits; None for anything else.

    With `blanks`, some may stand around the digits, as a template's text has them.
    """
    if isinstance(given, str):
        if blanks and len(given) <= _LONGEST:
            given = given.strip()
        given = int(given) if given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS else None
    return given if isinstance(given, int) and not isinstance(given, bool) and least <= given <= LARGEST else None
