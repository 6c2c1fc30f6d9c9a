"""From a checked `when` to a condition: every matcher must fit the type of its field."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

from bridge.errors import Place, Problem, RulebookError, did_you_mean
from bridge.rulebook.calendars import Hours, Span
from bridge.rulebook.conditions import All, Any, Evaluate, Exists, If, Not, Part, Test
from bridge.rulebook.fields import Field, Type, amount, field_of, nearly_own
from bridge.rulebook.matchers import Compare, Matcher, Pattern, Pieces, Same, UrlGlob, UrlQuery, Words, show
from bridge.rulebook.moments import DAY, Opening, TimeOfDay
from bridge.rulebook.schema import CalendarAskForm, MatcherForm, TimeForm, WhenForm
from bridge.rulebook.yaml import Node

CompileExpression = Callable[[str, Place], Evaluate]
"""Compiles a Jinja expression that stands at a place; raises RulebookError for one that is wrong."""

_TEXTS: tuple[Type, ...] = ("text", "url", "any")
_QUANTITIES: tuple[Type, ...] = ("number", "duration", "size", "any")
FITS: Mapping[str, tuple[Type, ...]] = {
    "is": get_args(Type),
    "in": get_args(Type),
    **dict.fromkeys(("words", "contains", "starts_with", "ends_with", "matches"), _TEXTS),
    **dict.fromkeys(("path", "host", "query"), ("url",)),
    **dict.fromkeys(("above", "below", "at_least", "at_most"), _QUANTITIES),
    "exists": get_args(Type),
}
"""The types of fields that each matcher can be asked of."""

_SAID: Mapping[Type, str] = {
    "text": "a text",
    "url": "an address",
    "word": "one of a few words",
    "number": "a number",
    "duration": "a duration",
    "size": "a size",
    "flag": "true or false",
    "any": "whatever was kept or sent",
}


class Compiling(Struct, frozen=True, kw_only=True):
    """What conditions are compiled with; what is wrong with them is added to `problems`.

    `calendars` has None for a calendar that is there and has a mistake; `zone` is that of a time of day without one.
    """

    expression: CompileExpression
    calendars: Mapping[str, Hours | None]
    zone: ZoneInfo
    problems: list[Problem]

    def wrong(self, place: Place, message: str, *, warning: bool = False) -> None:
        self.problems.append(Problem(place=place, message=message, warning=warning))


def compile_when(form: WhenForm, node: Node, compiling: Compiling) -> Part:
    """The condition that `form`, read from `node`, says."""
    parts: list[Part] = []
    for name, matchers in (form.__pydantic_extra__ or {}).items():
        parts += _field(name, matchers, node, compiling)
    if form.time is not None:
        parts += _time(form.time, node.at("time"), compiling)
    if form.calendar is not None:
        parts += _openings(form.calendar, node.at("calendar"), compiling)
    if form.all_ is not None:
        parts += [compile_when(one, node.at("all", number), compiling) for number, one in enumerate(form.all_)]
    if form.any_ is not None:
        several = (compile_when(one, node.at("any", number), compiling) for number, one in enumerate(form.any_))
        parts.append(Any(tuple(several)))
    if form.not_ is not None:
        parts.append(Not(compile_when(form.not_, node.at("not"), compiling)))
    if form.if_ is not None:
        # An expression costs as much as a hundred matchers, and may use the groups that they find: it comes last.
        parts += _expression(form.if_, node.at("if").place, compiling)
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _expression(source: str, place: Place, compiling: Compiling) -> list[Part]:
    try:
        return [If(source, compiling.expression(source, place))]
    except RulebookError as error:
        compiling.problems.extend(error.problems)
        return []


def _calendar(name: str, node: Node, compiling: Compiling) -> Hours | None:
    if name not in compiling.calendars:
        known = list(compiling.calendars)
        hint = did_you_mean(name, known) or (f"; known: {', '.join(known)}" if known else '; put it below "calendars:"')
        compiling.wrong(node.place, f'there is no calendar "{name}"{hint}')
    return compiling.calendars.get(name)


def _openings(form: CalendarAskForm, node: Node, compiling: Compiling) -> Iterator[Part]:
    for key, name in (("open", form.open), ("closed", form.closed)):
        if name is not None and (calendar := _calendar(name, node.at(key), compiling)) is not None:
            yield Opening(name, key == "open", calendar)


def _time(form: TimeForm, node: Node, compiling: Compiling) -> Iterator[Part]:
    zone = compiling.zone
    if form.calendar is not None:
        calendar = _calendar(form.calendar, node.at("calendar"), compiling)
        if calendar is None:
            return
        zone = calendar.zone
    for spans in _spans(form):
        if spans:
            yield TimeOfDay(zone, tuple(spans))


def _spans(form: TimeForm) -> Iterator[list[Span]]:
    """What each matcher takes. A clock shows whole minutes: "above 09:00" begins at 09:01, as it does for a person."""
    yield [form.is_] if form.is_ is not None else []
    yield form.in_ or []
    yield [(form.at_least, DAY)] if form.at_least is not None else []
    yield [(form.above + 1, DAY)] if form.above is not None else []
    yield [(0, form.below)] if form.below is not None else []
    yield [(0, form.at_most + 1)] if form.at_most is not None else []


def _field(name: str, form: MatcherForm, node: Node, compiling: Compiling) -> list[Part]:
    try:
        field = field_of(name)
    except ValueError as error:
        compiling.wrong(node.key_place(name), str(error))
        return []
    if field.type == "any" and (meant := nearly_own(name)) is not None:
        message = f'"{name}" is not one of the contact\'s own fields: did you mean "{meant}"?'
        compiling.wrong(node.key_place(name), message, warning=True)
    parts: list[Part] = []
    for word, wanted in form.said().items():
        if field.type not in FITS[word]:
            fitting = ", ".join(known for known, types in FITS.items() if field.type in types)
            message = f'"{word}" does not fit "{name}", which is {_SAID[field.type]}: use {fitting}'
            compiling.wrong(node.at(name).key_place(word), message)
            continue
        try:
            parts.append(_part(field, word, wanted))
        except ValueError as error:
            asked = node.at(name, word)
            misfit = _misfit(asked, field, wanted) if word in ("is", "in") else None
            compiling.wrong(*misfit or (asked.place, str(error)))
    return parts


def _misfit(node: Node, field: Field, wanted: object) -> tuple[Place, str] | None:
    """The place of a value, or of the first item of a list, that does not fit by itself, and why."""
    several = isinstance(wanted, list) and isinstance(node.value, list)
    for number, value in enumerate(wanted if isinstance(wanted, list) else [wanted]):
        item = node.at(number) if several else node
        try:
            _identity(field, value, item.written)
        except ValueError as error:
            return item.place, str(error)
    return None


def _part(field: Field, word: str, wanted: object) -> Part:
    if isinstance(wanted, bool) and word == "exists":
        return Exists(field, wanted)
    return Test(field, _matcher(field, word, wanted))


def _matcher(field: Field, word: str, wanted: object) -> Matcher:
    match word, wanted:
        case "is", value:
            return Same([_identity(field, value)])
        case "in", list(values):
            return Same([_identity(field, value) for value in values])
        case "words", list(values):
            return Words(values)
        case ("contains" | "starts_with" | "ends_with") as where, list(values):
            return Pieces(where, values)
        case "matches", str(pattern):
            return Pattern(pattern)
        case ("path" | "host") as part, list(globs):
            return UrlGlob(part, globs)
        case "query", dict(values):
            return UrlQuery({name: tuple(several) for name, several in values.items()})
    return Compare(word, amount(wanted, field))


def _identity(field: Field, value: object, written: str | None = None) -> str | int | float | bool | timedelta:
    """A value of `is` or `in` as the field holds it. Raises ValueError for one that the field can never have."""
    if field.type in ("number", "duration", "size"):
        return amount(value, field)
    if field.type == "flag":
        if isinstance(value, bool):
            return value
        raise ValueError(f'"{field.name}" is true or false, not {show(value)}')
    if field.type == "word" and value not in field.words:
        hint = did_you_mean(value, field.words) if isinstance(value, str) else ""
        raise ValueError(f'"{field.name}" is one of {", ".join(field.words)}; not {show(value)}{hint}')
    if isinstance(value, str):
        return value
    if field.type == "any" and isinstance(value, int | float):
        return value
    raise ValueError(f'"{field.name}" is a text: put {written or show(value)} in quotes')
