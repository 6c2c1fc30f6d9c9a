"""The filters and methods that templates have: an allow-list. Each bounds what it makes, before it makes it."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, TemplateRuntimeError, Undefined, UndefinedError
from jinja2.utils import missing

from bridge.adapter.dialect import whole
from bridge.templating.meter import METER, RenderError

LARGEST = 10**30
"""Whole numbers stay below this, so that no arithmetic takes long."""

MOST_ITEMS = 10_000
"""A list that a template makes has at most this many items, those of lists in it included."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?\s*")


class Missing(StrictUndefined):
    """A value that is not there. Using it raises UndefinedError with "=" and its name, or with a sentence (`hint`)."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: object = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        super().__init__(f"={name}" if hint is None else hint, obj, name, exc)

    def complain(self) -> None:
        self._fail_with_undefined_error()


class Rendered(str):
    """Text that a macro, block or include made: its values are escaped already, so that it is not escaped again."""

    __slots__ = ()


def say_kind(value: object) -> str:
    """What a value is, in a template author's words; never the value itself."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float() | Decimal():
            return "a number"
        case datetime() | date() | time():
            return "a date"
        case timedelta():
            return "a duration"
        case Mapping():
            return "a mapping"
        case list() | tuple() | range():
            return "a list"
    return "something else"


def wrong(value: object, needs: str) -> RenderError:
    """The error for a value of the wrong kind: "upper needs text". Raises UndefinedError where the value is missing."""
    if isinstance(value, Missing):
        value.complain()
    if isinstance(value, Undefined):
        return RenderError(f"{needs}, and there is none, because the condition of an `if` without `else` is not true")
    return RenderError(f"{needs}, and this is {say_kind(value)}")


def text_of(value: object, what: str) -> str:
    """`value` as text, where it is text, a number, a date or a duration. `what` names the operation in the error."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal | date | time | timedelta):
        return str(value)
    raise wrong(value, f"{what} needs text")


def items_of(value: object, what: str) -> Sequence[object]:
    """The items of a list, the keys of a mapping, the characters of a text."""
    if isinstance(value, list | tuple | range | str):
        return value
    if isinstance(value, Mapping):
        return list(value)
    raise wrong(value, f"{what} needs a list")


def new_list(items: Collection[object]) -> list[object]:
    """A list made by a template: counted, and refused when there is too much in it, however deep.

    A list that holds another one twice, which holds another one twice, is small and yet endless to compare.
    """
    METER.get().step(len(items))
    made = list(items)
    waiting: list[object] = [*made]
    left = MOST_ITEMS - len(waiting)
    while waiting and left >= 0:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
            left -= len(value)
        elif isinstance(value, list | tuple):
            waiting.extend(value)
            left -= len(value)
    if left < 0:
        raise RenderError(f"it makes a list with more than {MOST_ITEMS:,} items in it")
    return made


def _note(text: str) -> str:
    METER.get().text(len(text))
    return text


def _keep(change: Callable[[str], str], what: str) -> Callable[[object], str]:
    """A filter that changes no character with a meaning in Markdown: rendered text stays rendered."""

    def apply(value: object) -> str:
        text = _note(text_of(value, what))
        made = change(text)
        return Rendered(made) if type(text) is Rendered else made

    return apply


def _title(text: str) -> str:
    return _WORD.sub(lambda word: word[0][0].upper() + word[0][1:].lower(), text)


upper = _keep(str.upper, "upper")
lower = _keep(str.lower, "lower")
capitalize = _keep(str.capitalize, "capitalize")
title = _keep(_title, "title")
trim = _keep(str.strip, "trim")


def default(value: object, otherwise: object = "", empty: bool = False) -> object:
    """`otherwise` where the value is not there or null; with `empty` also where it is empty, zero or false."""
    if value is None or isinstance(value, Undefined):
        return otherwise
    return value or otherwise if empty else value


def truncate(value: object, length: object = 100, end: object = "…") -> str:
    """At most `length` characters, `end` included; cut after a word where there is one."""
    text, tail, size = text_of(value, "truncate"), text_of(end, "truncate"), _number(length, "truncate")
    if len(text) <= size:
        return text
    room = max(size - len(tail), 0)
    cut = whole(text[: room + 1], room)
    word = text.rfind(" ", 0, room + 1)
    return _note((text[: word if word > 0 else cut].rstrip() + tail)[: max(size, 0)])


def replace(value: object, old: object, new: object) -> str:
    text, old, new = text_of(value, "replace"), text_of(old, "replace"), text_of(new, "replace")
    if not old:
        raise RenderError("replace needs to know what to replace: its first text is empty")
    METER.get().text(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def urlencode(value: object) -> str:
    """The text as a part of a URL: everything but letters, digits and `-._~` is percent-encoded."""
    text = text_of(value, "urlencode")
    METER.get().text(len(text))
    return _note(quote(text, safe="", errors="replace"))


def split(value: object, separator: object = None) -> list[object]:
    """The words of a text, or what stands between `separator`s."""
    text = text_of(value, "split")
    if separator is not None and not text_of(separator, "split"):
        raise RenderError("split needs a separator that is not empty")
    METER.get().text(len(text))
    return new_list(text.split(None if separator is None else text_of(separator, "split"), MOST_ITEMS))


def starts_with(value: object, beginning: object) -> bool:
    return text_of(value, "startswith").startswith(text_of(beginning, "startswith"))


def ends_with(value: object, ending: object) -> bool:
    return text_of(value, "endswith").endswith(text_of(ending, "endswith"))


def length(value: object) -> int:
    if isinstance(value, str | list | tuple | range | Mapping):
        return len(value)
    raise wrong(value, "length needs text or a list")


def first(value: object) -> object:
    items = items_of(value, "first")
    return items[0] if items else Missing("an empty list has no first item")


def last(value: object) -> object:
    items = items_of(value, "last")
    return items[-1] if items else Missing("an empty list has no last item")


def items(value: object) -> list[object]:
    """The pairs of a mapping, as a list."""
    if isinstance(value, Mapping):
        return new_list(value.items())
    raise wrong(value, "items needs a mapping")


def keys(value: Mapping[object, object]) -> list[object]:
    return new_list(value)


def values(value: Mapping[object, object]) -> list[object]:
    return new_list(value.values())


def get(value: Mapping[object, object], key: object, otherwise: object = None) -> object:
    return value.get(key, otherwise)


def sort(value: object, reverse: bool = False, attribute: object = None) -> list[object]:
    """A list in its order: numbers by size, texts by letters whatever their case; `attribute` names what to sort by."""

    def key(item: object) -> Any:
        found = item if attribute is None else of(item, attribute)
        if isinstance(found, str):
            return found.casefold()
        if isinstance(found, int | float | Decimal | date | time | timedelta):
            return found
        raise wrong(found, "sort needs texts or numbers")

    return sorted(new_list(items_of(value, "sort")), key=key, reverse=bool(reverse))


def of(item: object, attribute: object) -> object:
    """The value of a mapping's key, for `sort` and `join`."""
    if isinstance(item, Mapping):
        return item.get(attribute, Missing(name=text_of(attribute, "attribute")))
    raise wrong(item, "attribute needs a list of mappings")


def _number(value: object, what: str) -> int:
    if isinstance(value, int):
        return value
    raise wrong(value, f"{what} needs a whole number")


def _fits(value: int | float | Decimal) -> bool:
    return -LARGEST < value < LARGEST


def to_int(value: object, otherwise: object = 0) -> object:
    """A whole number from a number or a text; `otherwise` where it is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(Decimal(value.strip()))
    if isinstance(value, int | float | Decimal) and _fits(value):
        return int(value)
    return otherwise if isinstance(value, str | int | float | Decimal | None) else _number(value, "int")


def to_float(value: object, otherwise: object = 0.0) -> object:
    """A number from a number or a text; `otherwise` where it is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, int | float | Decimal) and _fits(value):
        return float(value)
    return otherwise if isinstance(value, str | int | float | Decimal | None) else _number(value, "float")


def round_to(value: object, digits: object = 0) -> object:
    """A number with `digits` (0 to 10) digits after the point; without any it is a whole number."""
    places = _number(digits, "round")
    if not 0 <= places <= 10:
        raise RenderError("round takes 0 to 10 digits")
    if isinstance(value, int | float | Decimal) and _fits(value):
        return round(value, places) if places else round(value)
    raise wrong(value, "round needs a number that is not too large")


TEXT_METHODS: Mapping[str, Callable[..., object]] = {
    "upper": upper, "lower": lower, "title": title, "capitalize": capitalize, "strip": trim, "split": split,
    "replace": replace, "startswith": starts_with, "endswith": ends_with,
}  # fmt: skip
MAPPING_METHODS: Mapping[str, Callable[..., object]] = {"items": items, "keys": keys, "values": values, "get": get}
FILTERS: Mapping[str, Callable[..., object]] = {
    "capitalize": capitalize, "d": default, "default": default, "first": first, "float": to_float, "int": to_int,
    "items": items, "last": last, "length": length, "lower": lower, "replace": replace, "round": round_to,
    "sort": sort, "split": split, "title": title, "trim": trim, "truncate": truncate, "upper": upper,
    "urlencode": urlencode,
}  # fmt: skip
"""Those that need neither a time zone nor the format; see `sandbox.py` for `date` and `join`."""
