"""Where in a body each field of an event is: a path of names and list numbers, joined by dots ("data.items.0.text")."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal, get_args

from bridge.errors import Refused

Field = Literal[
    "id", "kind", "sender", "conversation", "text", "url", "state", "channel", "at",
    "contact.id", "contact.name", "contact.email", "contact.phone", "contact.language",
    "attachment.name", "attachment.type", "attachment.url",
]  # fmt: skip
Scheme = Literal["standard", "cloudevents", "header"]

FIELDS: tuple[Field, ...] = get_args(Field)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
PATH = re.compile(r"[^.\s]{1,100}(?:\.[^.\s]{1,100}){0,9}")

# In these two an envelope has the kind and the time, and what happened is its `data`.
_OF_THE_ENVELOPE: Mapping[Scheme, Mapping[Field, str]] = {
    "standard": {"kind": "type", "at": "timestamp"},
    "cloudevents": {"kind": "type", "at": "time"},
}


@cache
def default_paths(scheme: Scheme) -> Mapping[Field, str]:
    """The paths that hold as long as the account says nothing else."""
    if scheme == "header":
        return {field: field for field in FIELDS}
    inside: dict[Field, str] = {field: f"data.{field}" for field in FIELDS}
    return {**inside, **_OF_THE_ENVELOPE[scheme]}


def find(document: Mapping[str, object], path: str) -> object:
    """What is at `path`; None where there is nothing."""
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
