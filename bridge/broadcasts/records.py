"""The records of an audience file, CSV or JSON Lines, each as names and values with the line where it begins."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from bridge.broadcasts.lines import BadLineError, Lines
from bridge.model.quantity import say_count
from bridge.rulebook.yaml import shown

MAX_COLUMNS = 1000
RESERVED = ("contact", "broadcast", "memory", "now")
"""Names that a template of a broadcast knows already."""

_LARGEST = 2.0**53
_OPEN, _BEHIND, _RETURN = "unexpected end of data", "expected after", "new-line character"
_EXPLAINED = {
    _OPEN: "a quote is opened and not closed before the file ends",
    _BEHIND: 'something stands behind a closing quote; a quote inside a value in quotes is written twice: ""',
    "field larger than": f"a value has more than {csv.field_size_limit():,} characters",
    _RETURN: "a carriage return stands in a value: put the value in quotes, or end lines with a line feed",
}

Values = Mapping[str, object]


class Record(NamedTuple):
    """What one record says, without what is empty; or why it cannot be used. `line` is where it begins."""

    line: int
    values: Values = MappingProxyType({})
    wrong: str | None = None


@lru_cache(maxsize=4096)
def variable(name: str) -> str:
    """The name by which templates know a column: "First name" is First_name. Raises ValueError where there is none."""
    if (separator := next((c for c in ";\t|" if c in name), None)) is not None:
        word = "tab" if separator == "\t" else f'"{separator}"'
        raise ValueError(f"{shown(name)} looks like several columns: say `separator: {word}` if that is between them")
    made = "".join(c if c.isalnum() else "_" for c in name.strip())
    if made[:1].isdigit():
        made = f"_{made}"
    if len(made) > 100 or not made.isidentifier() or not made.strip("_"):
        raise ValueError(f'{shown(name)} is no name for a column: use letters, digits, blanks, "-" or "_"')
    if made in RESERVED:
        raise ValueError(f"a column cannot be named {shown(name)}, because templates know {made} as something else")
    return made


def header(lines: Lines, separator: str) -> tuple[str, ...]:
    """The variables of a CSV file's columns, from its first line. Raises BadLineError for what is wrong with it."""
    try:
        row = next(csv.reader(lines, delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise BadLineError(_explained(error)) from None
    if lines.fault:
        raise BadLineError(lines.fault)
    if not row:
        raise BadLineError("the first line must name the columns, and it is empty")
    if len(row) > MAX_COLUMNS:
        raise BadLineError(f"there are {len(row):,} columns; at most {MAX_COLUMNS:,} are read")
    return _variables(row)


def _variables(row: Sequence[str]) -> tuple[str, ...]:
    names: dict[str, int] = {}
    for number, cell in enumerate(row, 1):
        if not cell.strip():
            raise BadLineError(f"column {number} has no name")
        try:
            name = variable(cell)
        except ValueError as error:
            raise BadLineError(f"column {number}: {error}") from None
        if name in names:
            raise BadLineError(f"column {number} has the same name as column {names[name]}: {name}")
        names[name] = number
    return tuple(names)


def csv_records(lines: Lines, columns: Sequence[str], separator: str) -> Iterator[Record]:
    """The records after the header. An empty line is none.

    Raises BadLineError for a quote that is never closed: what would follow it may be the inside of a value, and nobody
    can tell a person from a piece of text there.
    """
    reader = csv.reader(lines, delimiter=separator, strict=True)
    width = len(columns)
    while True:
        lines.begin()
        start = lines.line + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, BadLineError) as error:
            wrong = _up_to(start, lines.line, _explained(error))
            if _OPEN in str(error) or (lines.line > start and not _closed(error)):
                raise BadLineError(wrong, start) from None
            yield Record(start, wrong=wrong)
            continue
        if lines.fault:
            yield Record(start, wrong=_up_to(start, lines.line, lines.fault))
        elif len(row) == width:
            yield Record(start, {name: cell for name, cell in zip(columns, row, strict=True) if cell})
        elif row:
            yield Record(start, wrong=f"the line has {say_count(len(row), 'column')}, and the header names {width:,}")


def json_records(lines: Lines) -> Iterator[Record]:
    """One JSON object a line. An empty line is none."""
    while True:
        lines.begin()
        start = lines.line + 1
        try:
            raw = lines.raw().rstrip()
        except StopIteration:
            return
        except BadLineError as error:
            yield Record(start, wrong=str(error))
            continue
        if raw:
            try:
                yield Record(start, _object(raw))
            except ValueError as error:
                yield Record(start, wrong=str(error))


def _object(raw: bytes) -> Values:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg} (at character {error.pos + 1:,})") from None
    if not isinstance(found, dict):
        raise ValueError('it is no JSON object, such as {"email": "ann@shop.example"}')
    if b"\\u0000" in raw:
        raise ValueError("it has a character U+0000")
    if len(found) > MAX_COLUMNS:
        raise ValueError(f"it has {len(found):,} names; at most {MAX_COLUMNS:,} are read")
    values = {variable(name): value for name, value in found.items()}
    if len(values) < len(found):
        raise ValueError("two of its names are the same variable")
    return {name: value for name, value in values.items() if _said(name, value)}


def _said(name: str, value: Any) -> bool:
    if type(value) is float and abs(value) >= _LARGEST:
        raise ValueError(f"{name} is too large for a number: put it in quotes")
    return value is not None and value != ""


def _closed(error: Exception) -> bool:
    """Whether the quotes of a record were closed before what is wrong with it."""
    return _BEHIND in str(error) or _RETURN in str(error)


def _up_to(start: int, end: int, wrong: str) -> str:
    return wrong if end <= start else f"lines {start:,} to {end:,}: {wrong}"


def _explained(error: Exception) -> str:
    return next((said for sign, said in _EXPLAINED.items() if sign in str(error)), str(error))
