"""A JSON document -> the fields of an event, each found by a path of names and list numbers ("data.items.0.text")."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator

from bridge.errors import Refused
from bridge.model.event import Attachment, Contact

Field = Literal[
    "id", "kind", "sender", "conversation", "text", "url", "state", "channel", "at",
    "contact.id", "contact.name", "contact.email", "contact.phone", "contact.language",
    "attachment.name", "attachment.type", "attachment.url",
]  # fmt: skip
KnownKind = Literal[
    "message", "typing", "visited", "ended", "opened", "attachment", "widget", "assigned", "rated", "contact", "other"
]
"""What a sender's word may stand for: any kind but our own timer."""

FIELDS: tuple[Field, ...] = get_args(Field)
SHORT = 200
"""Characters of a conversation's id and of the words that name a kind, a sender, a state or a channel."""

_LINE = 1000
_URL = 2048
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATH = re.compile(r"[^.\s]{1,100}(?:\.[^.\s]{1,100}){0,9}")


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(f'"{text[:80]}" is not a path: write names joined by dots, for example "data.ticket.id"')
    return text


PathOption = Annotated[str, AfterValidator(_path)]
"""The type of a path in an account's options."""


class Document:
    """One document, asked for its fields; `path` says where each is, if anywhere.

    `place` is where the document stands in the body ("[3]." in a batch). All methods raise Refused(400), naming the
    place, for a value of the wrong type or length.
    """

    __slots__ = ("_document", "_path", "_place")

    def __init__(self, document: Mapping[str, object], path: Callable[[Field], str | None], place: str = "") -> None:
        self._document = document
        self._path = path
        self._place = place

    def find(self, field: Field) -> tuple[object, str]:
        """What stands there, and the place for a person."""
        path = self._path(field)
        return None if path is None else find(self._document, path), f"{self._place}{path or field}"

    def text(self, field: Field) -> str | None:
        return text_of(*self.find(field))

    def line(self, field: Field, most: int = SHORT) -> str | None:
        return line_of(*self.find(field), most)

    def url(self) -> str | None:
        return self.line("url", _URL)

    def contact(self) -> Contact:
        return Contact(
            id=self.line("contact.id"),
            name=self.line("contact.name", _LINE),
            email=self.line("contact.email", _LINE),
            phone=self.line("contact.phone", _LINE),
            language=self.line("contact.language"),
        )

    def attachment(self) -> Attachment | None:
        url = self.line("attachment.url", _URL)
        if url is None:
            return None
        name, kind = self.line("attachment.name", _LINE), self.line("attachment.type", _LINE)
        return Attachment(name=name or "file", type=kind, url=url)

    def at(self, received_at: datetime) -> datetime:
        """When it happened: never later than now, for no later event could follow a time in the future."""
        given, _ = self.find("at")
        return min(_moment(given) or received_at, received_at)


def find(document: Mapping[str, object], path: str) -> object:
    """What is at `path`; None where there is nothing. A name that itself has the dots is found too, as forms have."""
    if path in document:
        return document[path]
    value: object = document
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 6 and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def text_of(value: object, place: str) -> str | None:
    """A text that says something; a number is one too. Raises Refused(400) for a value of another type."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if value is None or isinstance(value, str):
        return value or None
    raise Refused(400, f"{place}: a text is expected")


def line_of(value: object, place: str, most: int) -> str | None:
    """The same, on one line of at most `most` characters. Raises Refused(400) for another."""
    text = text_of(value, place)
    if text is not None and (len(text) > most or _CONTROL.search(text)):
        raise Refused(400, f"{place}: one line of at most {most} characters is expected")
    return text


def _moment(given: object) -> datetime | None:
    """ISO 8601 (in UTC where it names no zone), or seconds since 1970; None for anything else."""
    try:
        if isinstance(given, str) and len(given) <= 60:
            at = datetime.fromisoformat(given)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given) and given >= 0:
            return datetime.fromtimestamp(given, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
