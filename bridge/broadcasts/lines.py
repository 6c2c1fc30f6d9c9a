"""A file, line by line: bounded, counted, with its place, and never whole in memory."""

from collections.abc import Iterator
from typing import BinaryIO

MAX_LINE = 1024 * 1024
"""In bytes: of one line, and of one record that goes on over several lines."""

_BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")


class BadLineError(Exception):
    """A line that cannot be read; the message says why. `line` is where its record begins, where that is not clear."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class Lines(Iterator[str]):
    """The lines of a file from its beginning, or from where somebody stopped.

    `line` is the number of the last line taken and `offset` the bytes up to its end. `fault` says what was wrong with a
    line of this record although it was given: the end of a record can be found only by reading it.
    """

    def __init__(self, file: BinaryIO, *, offset: int = 0, line: int = 0) -> None:
        file.seek(offset)
        self._file = file
        self._taken = 0
        self.offset = offset
        self.line = line
        self.fault: str | None = None

    def begin(self) -> None:
        """A new record begins."""
        self._taken = 0
        self.fault = None

    def __next__(self) -> str:
        raw = self.raw()
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            self.fault = f"byte {raw[error.start]:#04x} is not UTF-8: save the file as UTF-8"
            return raw.decode(errors="replace")
        if "\0" in text:
            self.fault = "it has a character U+0000"
        return text

    def raw(self) -> bytes:
        """The next line as it stands, without a byte order mark.

        Raises BadLineError for one that is too long, with the lines before it in the same record; StopIteration at the
        end.
        """
        raw = self._file.readline(MAX_LINE + 1)
        if not raw:
            raise StopIteration
        self.line += 1
        self.offset += len(raw)
        self._taken += len(raw)
        if self.offset == len(raw):
            raw = _without_mark(raw)
        if len(raw) > MAX_LINE:
            self._skip_to_end(raw)
            raise BadLineError(f"it is longer than {MAX_LINE:,} bytes")
        if self._taken > MAX_LINE:
            raise BadLineError(f"together they are longer than {MAX_LINE:,} bytes: is a quote not closed?")
        return raw

    def _skip_to_end(self, raw: bytes) -> None:
        while raw and not raw.endswith(b"\n"):
            raw = self._file.readline(MAX_LINE)
            self.offset += len(raw)


def _without_mark(raw: bytes) -> bytes:
    if raw.startswith(_OTHER_ENCODINGS):
        raise BadLineError("the file is UTF-16: save it as UTF-8")
    return raw.removeprefix(_BOM)
