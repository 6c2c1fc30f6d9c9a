"""From a checked `when` to a condition: every matcher must fit the type of its field."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import get_args

from bridge.errors import Place, Problem, RulebookError, did_you_mean
from bridge.rulebook.conditions import All, Any, Evaluate, Exists, If, Not, Part, Test
from bridge.rulebook.fields import Field, Type, amount, field_of, nearly_own
from bridge.rulebook.matchers import Compare, Matcher, Pattern, Pieces, Same, UrlGlob, UrlQuery, Words, show
from bridge.rulebook.schema import MatcherForm, WhenForm
from bridge.rulebook.yaml import Node

CompileExpression = Callable[[str, Place], Evaluate]
"""Compiles a Jinja expression that stands at a place; raises RulebookError for one that is wrong."""

_TEXTS: tuple[Type, ...] = ("text", "url", "any")
_QUANTITIES: tuple[Type, ...] = ("number", "duration", "size", "any")
_FITS: Mapping[str, tuple[Type, ...]] = {
    "is": get_args(Type),
    "in": get_args(Type),
    **dict.fromkeys(("words", "contains", "starts_with", "ends_with", "matches"), _TEXTS),
    **dict.fromkeys(("path", "host", "query"), ("url",)),
    **dict.fromkeys(("above", "below", "at_least", "at_most"), _QUANTITIES),
    "exists": get_args(Type),
}
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


def compile_when(form: WhenForm, node: Node, expression: CompileExpression, problems: list[Problem]) -> Part:
    """The condition that `form`, read from `node`, says. What is wrong with it is added to `problems`."""
    parts: list[Part] = []
    for field, matchers in (form.__pydantic_extra__ or {}).items():
        parts += _field(field, matchers, node, problems)
    if form.all_ is not None:
        parts += [
            compile_when(one, node.at("all", number), expression, problems) for number, one in enumerate(form.all_)
        ]
    if form.any_ is not None:
        several = [
            compile_when(one, node.at("any", number), expression, problems) for number, one in enumerate(form.any_)
        ]
        parts.append(Any(tuple(several)))
    if form.not_ is not None:
        parts.append(Not(compile_when(form.not_, node.at("not"), expression, problems)))
    if form.if_ is not None:
        # An expression costs as much as a hundred matchers, and may use the groups that they find: it comes last.
        parts += _expression(form.if_, node.at("if").place, expression, problems)
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _expression(source: str, place: Place, expression: CompileExpression, problems: list[Problem]) -> list[Part]:
    try:
        return [If(source, expression(source, place))]
    except RulebookError as error:
        problems.extend(error.problems)
        return []


def _field(name: str, form: MatcherForm, node: Node, problems: list[Problem]) -> list[Part]:
    try:
        field = field_of(name)
    except ValueError as error:
        problems.append(Problem(place=node.key_place(name), message=str(error)))
        return []
    if field.type == "any" and (meant := nearly_own(name)) is not None:
        message = f'"{name}" is not one of the contact\'s own fields: did you mean "{meant}"?'
        problems.append(Problem(place=node.key_place(name), message=message, warning=True))
    parts: list[Part] = []
    for word, wanted in form.model_dump(by_alias=True, exclude_none=True).items():
        if field.type not in _FITS[word]:
            fitting = ", ".join(known for known, types in _FITS.items() if field.type in types)
            message = f'"{word}" does not fit "{name}", which is {_SAID[field.type]}: use {fitting}'
            problems.append(Problem(place=node.at(name).key_place(word), message=message))
            continue
        try:
            parts.append(_part(field, word, wanted))
        except ValueError as error:
            problems.append(Problem(place=_item_place(node.at(name, word), field, wanted), message=str(error)))
    return parts


def _item_place(node: Node, field: Field, wanted: object) -> Place:
    """The place of a value, or of the first item of a list that does not fit by itself."""
    if isinstance(wanted, list) and isinstance(node.value, list):
        for number, item in enumerate(wanted):
            try:
                _identity(field, item)
            except ValueError:
                return node.at(number).place
    return node.place


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


def _identity(field: Field, value: object) -> str | int | float | bool | timedelta:
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
    raise ValueError(f'"{field.name}" is a text: put {show(value)} in quotes')
