"""The kinds of field that the API's description uses; each takes one value or refuses it by name."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from bridge.errors import Refused

LONGEST = 8192
"""Our own bound, in characters, for texts that the description leaves unbounded."""

_UNTAKEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.0{1,9})?")
_LARGEST = 2**53
_SHOWN = 40

Usual = tuple[int, int, Callable[[str], object]]
"""At least and at most so many characters, and a test: a text that keeps to them needs no closer look by `take`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text. `least`, `most`, `pattern`, `default` are the description's own; `bound` is ours where it has no `most`.

    `accepts` is what really decides on the content, in linear time; `says` is the sentence for what it refuses.
    """

    name: str
    required: bool = False
    least: int = 1
    most: int | None = None
    bound: int = LONGEST
    pattern: str = ""
    default: str = ""
    accepts: Callable[[str], object] | None = None
    says: str = ""
    secret: bool = False
    type: str = "string"

    @property
    def usual(self) -> Usual:
        # An empty text says nothing, so it is never one of these.
        return self.least or 1, self.most or self.bound, self.accepts or str.isprintable

    def take(self, value: object) -> object:
        """The text. Raises Refused(400)."""
        if not isinstance(value, str):
            raise Refused(400, f"{self.name}: {kind_of(value)} is given where a text is expected")
        most = self.most or self.bound
        if len(value) < self.least:
            raise self._refused(value, f"is too short: at least {self.least} characters")
        if len(value) > most:
            raise self._refused(value, f"is too long: {len(value)} characters, at most {most} are taken")
        if self.accepts is None:
            check_text(self.name, value)
        elif not self.accepts(value):
            raise self._refused(value, self.says)
        return value

    def _refused(self, value: str, complaint: str) -> Refused:
        shown = "the value" if self.secret else shorten(value)
        return Refused(400, f"{self.name}: {shown} {complaint}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag(Text):
    """A text by the description, a boolean by its sample: both are taken as they are."""

    def take(self, value: object) -> object:
        return value if isinstance(value, bool) else Text.take(self, value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A whole number, as such or as a text of digits. `most` is the description's, and not enforced: see doc.md."""

    name: str
    required: bool = False
    least: int | None = None
    most: int | None = None
    default: str = ""
    pattern: str = ""
    type: str = "number"

    @property
    def usual(self) -> Usual:
        """No text is a number as it stands."""
        return 1, 0, bool

    def take(self, value: object) -> int:
        """The number. Raises Refused(400)."""
        if isinstance(value, str):
            if not _NUMBER.fullmatch(value):
                raise Refused(400, f"{self.name}: {shorten(value)} is not a whole number of at most 15 digits")
            number = int(value.partition(".")[0])
        elif value.__class__ is int and -_LARGEST <= value <= _LARGEST:
            number = value
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(400, f"{self.name}: {kind_of(value)} is given where a number is expected")
        elif abs(value) > _LARGEST or value != int(value):
            raise Refused(400, f"{self.name}: {shorten(str(value))} is not a whole number of at most 15 digits")
        else:
            number = int(value)
        if self.least is not None and number < self.least:
            raise Refused(400, f"{self.name}: {number} is too small: at least {self.least}")
        return number


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file: a part of a multipart body, or base64 (the description's `byte`)."""

    name: str
    required: bool = True
    least: int | None = None
    most: int | None = None
    default: str = ""
    pattern: str = ""
    type: str = "string, byte"


Field = Text | Number


def check_text(name: str, text: str) -> None:
    """Refuse control characters other than line feed, carriage return and tab: no store or screen takes them well."""
    if not text.isprintable() and (found := _UNTAKEN.search(text)):
        raise Refused(400, f"{name}: the control character U+{ord(found[0]):04X} is not taken")


def shorten(value: str) -> str:
    """The value in quotes as an error shows it: at most 40 characters, all of them printable."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value[:_SHOWN])
    return f'"{shown}"' if len(value) <= _SHOWN else f'"{shown}..."'


def kind_of(value: object) -> str:
    """What a JSON value is, in words; the value itself may be private or large."""
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case None:
            return "null"
    return "an object"


def is_name(text: str) -> bool:
    """Whether a customer's name has only letters and marks of any script, digits, blanks, ' ’ . and -."""
    return text.replace(" ", "").isalpha() or all(c in " '’.-" or unicodedata.category(c) in _IN_NAMES for c in text)


_IN_NAMES = frozenset(("Ll", "Lu", "Lo", "Lm", "Lt", "Mn", "Mc", "Me", "Nd"))


def matches(pattern: str) -> Callable[[str], object]:
    """Whether the whole text matches; a `$` would let a line feed follow."""
    return re.compile(pattern).fullmatch
