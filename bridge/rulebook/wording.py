"""From a mistake in a rule file to a sentence at its place, in the words of the person who wrote the file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.errors import Problem, did_you_mean
from bridge.rulebook.schema import NOT_YET, Form, MatcherForm, WhenForm
from bridge.rulebook.yaml import Node, shown

F = TypeVar("F", bound=Form)

_NOUNS = {"rules": "the rule", "do": "the action", "examples": "the example"}
_VERBS = ("must", "needs", "is", "does", "has", "expects")
_WANTED = {
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "int_type": "a whole number",
    "bool_type": "true or false",
}
_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


def validate(form: type[F], node: Node) -> tuple[F | None, list[Problem]]:
    """The node as a `form`, or every mistake in it, each at its place."""
    problems = [_empty(parent, key) for parent, key in _empties(node)]
    try:
        made = form.model_validate(node.value)
    except ValidationError as error:
        return None, problems + _problems(form, node, error)
    return (None if problems else made), problems


def _empties(node: Node) -> Iterator[tuple[Node, str | int]]:
    """Keys with nothing after them: most often half a line was taken out. Only what a platform sends may be empty."""
    for key, inner in node.inside.items():
        if inner.value is None:
            yield node, key
        elif key != "raw":
            yield from _empties(inner)


def _empty(parent: Node, key: str | int) -> Problem:
    if isinstance(key, int):
        return Problem(place=parent.at(key).place, message="nothing stands here: give it a value or remove the line")
    hint = " (for a value that is not known write {exists: false})" if "." in key else ""
    message = f'"{key}" is empty: give it a value or remove it{hint}'
    return Problem(place=parent.key_place(key), message=message)


def _problems(form: type[Form], node: Node, error: ValidationError) -> list[Problem]:
    found: dict[object, Problem] = {}
    for detail in error.errors(include_url=False):
        if detail["input"] is None:
            continue
        path = _path(node, detail["loc"])
        problem = _problem(form, node, path, detail)
        # The branches of a union fail one by one at the same place: the first says it.
        same = (problem.place, detail["loc"][-1]) if detail["type"] in ("missing", "extra_forbidden") else problem.place
        found.setdefault(same, problem)
    return list(found.values())


def _path(node: Node, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The part of pydantic's path that is in the file: it also names branches of unions and lists of one."""
    path: list[str | int] = []
    for part in loc:
        if part in node.inside:
            node = node.inside[part]
            path.append(part)
    return tuple(path)


def _problem(form: type[Form], node: Node, path: tuple[str | int, ...], detail: ErrorDetails) -> Problem:
    kind, loc = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        key = str(loc[-1])
        parent = node.at(*path[:-1])
        known = _known(form, loc[:-1])
        message = (
            f'"{key}" is not available in this version'
            if _later(key, known)
            else (f'unknown key "{key}"{did_you_mean(key, known) or "; known: " + ", ".join(known)}')
        )
        return Problem(place=parent.key_place(key), message=message)
    place = node.at(*path).place
    if loc and loc[-1] == "[key]":
        place = node.at(*path[:-1]).key_place(str(path[-1])) if path else place
    subject = _subject(path)
    if kind == "missing":
        return Problem(place=place, message=f'{subject} needs "{loc[-1]}"')
    return Problem(place=place, message=_sentence(subject, detail))


def _later(key: str, known: list[str]) -> bool:
    """Whether the language has this word and this version does not: also every `<platform>.<operation>` action."""
    return key in NOT_YET or ("reply" in known and re.fullmatch(r"[a-z]+\.[a-z_]+", key) is not None)


def _subject(path: tuple[str | int, ...]) -> str:
    names = [part for part in path if isinstance(part, str)]
    if not names:
        return "the file" if not path else "this"
    if isinstance(path[-1], int) and names[-1] in _NOUNS:
        return _NOUNS[names[-1]]
    return f'"{names[-1]}"'


def _sentence(subject: str, detail: ErrorDetails) -> str:
    kind, given = detail["type"], detail["input"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        message = str(context["error"])
        return f"{subject} {message}" if message.split(" ")[0] in _VERBS else message
    if kind in _WANTED:
        quoted = isinstance(given, int | float) and kind == "string_type"
        hint = f'; put it in quotes: "{shown(given)}"' if quoted else ""
        return f"{subject} must be {_WANTED[kind]}, not {shown(given)}{hint}"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(context["expected"])) or [str(context["expected"]).lower()]
        hint = did_you_mean(given, allowed) if isinstance(given, str) else ""
        one_of = "one of " if len(allowed) > 1 else ""
        return f"{subject} must be {one_of}{', '.join(allowed)}; not {shown(given)}{hint}"
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{subject} must be {words} {context[key]}, not {shown(given)}"
    if kind in ("too_short", "string_too_short"):
        return f"{subject} must not be empty"
    if kind in ("too_long", "string_too_long"):
        return f"{subject} is too long: at most {context['max_length']:,}"
    return f"{subject} cannot be {shown(given)}"


def _known(form: type[Form], loc: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand at the end of `loc`."""
    forms: list[type[Form]] = [form]
    for part in loc:
        inner = [found for one in forms for found in _inside(one, part)]
        forms = inner or forms
    return [field.alias or name for one in forms for name, field in one.model_fields.items()]


def _inside(form: type[Form], part: str | int) -> list[type[Form]]:
    for name, field in form.model_fields.items():
        if part == (field.alias or name):
            return list(_forms(field.annotation))
    return [MatcherForm] if form is WhenForm and isinstance(part, str) else []


def _forms(annotation: Any) -> Iterator[type[Form]]:
    if isinstance(annotation, type) and issubclass(annotation, Form):
        yield annotation
    for argument in get_args(annotation):
        yield from _forms(argument)
