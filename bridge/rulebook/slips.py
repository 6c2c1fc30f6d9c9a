"""What to do about YAML that cannot be read: the parser says only what it stumbled over, often lines below the slip."""

from contextlib import suppress
from typing import Any

from yaml import MarkedYAMLError
from yaml.events import ScalarEvent
from yamlcore import CCoreLoader

_TABS = "indent with blanks, never with tabs"
_ADVICE = (
    (
        "mapping values are not allowed",
        'put a text with ": " in it in quotes; or mend the indentation, or the line above, where a ":" may be missing',
    ),
    (
        "did not find expected '-' indicator",
        "mend the indentation: the list of {opened} has all its dashes below one another",
    ),
    (
        "did not find expected key",
        "mend the indentation: the keys of {opened} stand below one another; or put the whole text in quotes, "
        "where something stands behind a quotation mark or a bracket",
    ),
    (
        "did not find expected ',' or",
        "close the bracket of {opened}; or a comma is missing, "
        'or quotes around a text that has ": " or quotation marks in it',
    ),
    ("found unexpected end of stream", "close the quotation mark of {opened}"),
    ("found character that cannot start any token", 'a text that begins with "{character}" has to be in quotes'),
    ("could not find expected ':'", 'write ":" and a blank behind the key of {opened}, or indent it if it is a text'),
    ("did not find expected comment or line break", "a text begins in the line below its | or >; or put it in quotes"),
    ("did not find expected alphabetic or numeric character", "put a text that begins with & or * in quotes"),
    ("mapping keys are not allowed", 'put a text that begins with "? " in quotes'),
    ("block sequence entries are not allowed", 'begin a list in a line of its own, or put a text with "- " in quotes'),
    (
        "did not find expected node content",
        "put the text in quotes; or a value is missing before it, or a bracket is not closed",
    ),
    (
        "found unknown escape character",
        "a backslash in double quotes is more than itself: write patterns in single quotes",
    ),
)
"""The parser's complaints by their beginnings. `opened` is where that began which the parser was in."""


def advice(error: MarkedYAMLError, source: str) -> str:
    """The next step for whoever wrote `source`; empty where the parser's complaint is none of the usual ones."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return ""
    lines = source.splitlines()
    if any(line.lstrip(" ").startswith("\t") for line in lines[max(0, mark.line - 1) : mark.line + 1]):
        return _TABS
    if (quote := _long_quote(source, mark.line)) is not None:
        return f"is a quotation mark missing? The one of {_said(quote.start_mark)} is closed only here"
    for complaint, step in _ADVICE:
        if (error.problem or "").startswith(complaint):
            return step.format(opened=_said(error.context_mark or mark), character=_character(lines, mark))
    return ""


def _said(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _character(lines: list[str], mark: Any) -> str:
    return lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""


def _long_quote(source: str, line: int) -> Any:
    """The last text in quotes before the slip, if it began lines above and ends in this one.

    Most often its own quotation mark is missing, and it was closed by the one that opens the next text.
    """
    last: Any = None
    loader = CCoreLoader(source)
    try:
        with suppress(MarkedYAMLError):
            while loader.check_event():
                event: Any = loader.get_event()
                if isinstance(event, ScalarEvent):
                    last = event
    finally:
        loader.dispose()
    is_long = last is not None and last.style in ("'", '"') and last.start_mark.line < last.end_mark.line == line
    return last if is_long else None
