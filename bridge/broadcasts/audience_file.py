"""The people of an audience file, as recipients: streamed, so that a million lines need no more memory than ten.

It reads from a disk, which takes its time: whoever calls this does so in a thread, a chunk at a time.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from zoneinfo import available_timezones

from bridge.broadcasts.lines import BadLineError, Lines
from bridge.broadcasts.person import key_of
from bridge.broadcasts.records import Record, Values, csv_records, header, json_records, variable
from bridge.errors import BridgeError, Place, Problem, did_you_mean
from bridge.model.broadcast import FileAudience, Recipient

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,3}")
_ENDS = 64 * 1024


class AudienceError(BridgeError):
    """An audience that cannot be planned: its file is not there, or something in it is wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """How far a file has been read. `file` tells the file from one that was put in its place meanwhile."""

    offset: int
    line: int
    file: str


class AudienceFile:
    """An audience file, open for reading.

    `to` says which column is which key of the platform's address. Where it is empty, the columns named like one of
    `keys` (the platform's `to:` keys, however their letters are written) are the address.
    Raises AudienceError for a file that cannot be read, or whose header is wrong.
    """

    def __init__(self, audience: FileAudience, directory: Path, *, to: Mapping[str, str], keys: Sequence[str]) -> None:
        self._audience = audience
        self._keys = tuple(keys)
        try:
            self._file: BinaryIO = (directory / audience.path).open("rb")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise AudienceError(f"{audience.path}: cannot be read: {reason}") from None
        try:
            self._begin(to)
        except BadLineError as error:
            self._file.close()
            raise AudienceError(f"{audience.path}:{max(1, self._lines.line)}:1: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _begin(self, to: Mapping[str, str]) -> None:
        self.size = self._file.seek(0, 2)
        self._state = _state(self._file)
        self._fingerprint = _fingerprint(self._file, self.size)
        self._lines = Lines(self._file)
        self.columns: tuple[str, ...] = ()
        if self._audience.format == "csv":
            self.columns = header(self._lines, self._audience.separator)
        self._language = self._if_there(self._audience.language)
        self._timezone = self._if_there(self._audience.timezone)
        self._key = tuple(self._column(name) for name in self._audience.key)
        self._to = {key: self._column(name) for key, name in to.items()}
        if self.columns and not self._to:
            self._to = self._address_columns(self.columns)
            if not self._to:
                known = ", ".join(self._keys) or "any, with `to`"
                raise BadLineError(f"no column is an address ({known}): name one so, or say `to: {{key: column}}`")

    def _column(self, name: str) -> str:
        """The variable of a column that somebody named; every file of CSV must have it."""
        try:
            found = variable(name)
        except ValueError as error:
            raise BadLineError(str(error)) from None
        if self.columns and found not in self.columns:
            hint = did_you_mean(found, self.columns) or f"; there are: {', '.join(self.columns[:20])}"
            raise BadLineError(f'there is no column "{name}"{hint}')
        return found

    def _if_there(self, name: str) -> str:
        """The variable of a column that a file may have, however the letters of its name are written there."""
        return next((found for found in self.columns if found.casefold() == name.strip().casefold()), name)

    def _address_columns(self, names: Sequence[str]) -> dict[str, str]:
        """The columns that have the names of `to:` keys, in the order of the keys."""
        by_name = {name.casefold(): name for name in reversed(names)}
        return {key: by_name[key] for key in self._keys if key in by_name}

    @property
    def cursor(self) -> Cursor:
        """How far it has been read: up to the end of the record that `read` gave last."""
        return Cursor(offset=self._lines.offset, line=self._lines.line, file=self._fingerprint)

    def read(self, after: Cursor | None = None) -> Iterator[Recipient | Problem]:
        """The recipients in their order, from the first or from `after` on; a Problem in place of a bad line.

        Two of them may be the same person: who plans them keeps each key once. Raises AudienceError for a bad line
        where the audience says `bad_lines: stop`, for a file that is not the one the cursor is of, and for a quote that
        is never closed.
        """
        if after is not None:
            self._resume(after)
        for record in self._sound():
            found = self._recipient(record)
            if isinstance(found, Problem) and self._audience.bad_lines == "stop":
                raise AudienceError(f"{found.place}: {found.message}")
            yield found
        if _state(self._file) != self._state:
            raise AudienceError(f"{self._audience.path} was changed while it was read: nobody can say who was left out")

    def _resume(self, after: Cursor) -> None:
        if after.file != self._fingerprint:
            raise AudienceError(
                f"{self._audience.path} has changed since its planning began: who is planned stays planned; start the "
                f"broadcast again for the new file"
            )
        self._lines = Lines(self._file, offset=after.offset, line=after.line)

    def _sound(self) -> Iterator[Record]:
        try:
            yield from self._records()
        except BadLineError as error:
            raise AudienceError(f"{self._audience.path}:{error.line or self._lines.line}:1: {error}") from None

    def _records(self) -> Iterator[Record]:
        if self._audience.format == "csv":
            return csv_records(self._lines, self.columns, self._audience.separator)
        return json_records(self._lines)

    def _recipient(self, record: Record) -> Recipient | Problem:
        wrong, values = record.wrong, record.values
        if wrong is None:
            try:
                address = self._address(values)
                return Recipient(
                    key=self._person(address, values),
                    address=address,
                    variables=values,
                    language=_language(values.get(self._language)),
                    zone=_zone(values.get(self._timezone)),
                    line=record.line,
                )
            except ValueError as error:
                wrong = str(error)
        return Problem(place=Place(file=self._audience.path, line=record.line, column=1), message=wrong, warning=True)

    def _address(self, values: Values) -> dict[str, object]:
        columns = self._to or self._address_columns(tuple(values))
        address = {key: _address_value(name, values[name]) for key, name in columns.items() if name in values}
        if not address:
            empty = tuple(columns.values()) or self._keys
            raise ValueError(f"it has no address: {', '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty")
        return address

    def _person(self, address: Mapping[str, object], values: Values) -> str:
        if not self._key:
            return key_of(address)
        missing = [name for name in self._key if name not in values]
        if missing:
            raise ValueError(f"its key is empty: {', '.join(missing)}")
        return key_of({name: _address_value(name, values[name]) for name in self._key})


def _state(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _fingerprint(file: BinaryIO, size: int) -> str:
    file.seek(0)
    digest = sha256(str(size).encode() + file.read(_ENDS))
    file.seek(max(0, size - _ENDS))
    digest.update(file.read(_ENDS))
    return digest.hexdigest()[:32]


def _address_value(name: str, value: object) -> object:
    """A part of an address: one line of text, a whole number, or a list of these."""
    if isinstance(value, str):
        value = value.strip()
        if not value or len(value) > 1000 or not value.isprintable():
            raise ValueError(f"{name} is no address: it must be one line of 1 to 1,000 characters")
        return value
    if isinstance(value, list) and 0 < len(value) <= 1000 and not any(isinstance(one, list) for one in value):
        return [_address_value(name, one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"{name} is no address: it must be a text, a whole number or a list of these")


def _language(value: object) -> str | None:
    """A language; whatever is none is not known, and the person gets the text in no language of their own."""
    text = value.strip() if isinstance(value, str) else ""
    return text if _LANGUAGE.fullmatch(text) else None


def _zone(value: object) -> str | None:
    """A time zone. One that is not known is an error: a message in the middle of the night is worse than none."""
    if value is None:
        return None
    text = value.strip() if isinstance(value, str) else ""
    if text and text not in _zones():
        raise ValueError(f'"{text[:60]}" is no time zone, such as Europe/Kyiv')
    return text or None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
