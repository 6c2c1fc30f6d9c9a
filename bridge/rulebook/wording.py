"""From a mistake in a rule file to a sentence at its place, in the words of the person who wrote the file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.errors import Problem, did_you_mean
from bridge.rulebook.fields import field_of
from bridge.rulebook.forms import Form
from bridge.rulebook.schema import MatcherForm, WhenForm
from bridge.rulebook.yaml import Node, shown

F = TypeVar("F", bound=Form)

_NOUNS = {
    "rules": "the rule",
    "do": "the action",
    "then": "the action",
    "examples": "the example",
    "one_of": "the wording",
    "attachments": "the attachment",
    "quick_replies": "the quick reply",
    "tests": "the test",
    "steps": "the step",
}
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
        found = problems + _problems(form, node, error)
        return None, found or [Problem(place=node.place, message=f"not understood: {error.errors()[0]['msg']}")]
    return (None if problems else made), problems


def _empties(node: Node, around: tuple[str | int, ...] = ()) -> Iterator[tuple[Node, str | int]]:
    """Keys with nothing after them: most often half a line was taken out.

    Only what a platform sends may be empty, and the arguments of an operation: "edna.thread:".
    """
    if not node.gaps:
        return
    in_action = len(around) > 1 and around[-2] in ("do", "then") and isinstance(around[-1], int)
    for key, inner in node.inside.items():
        if inner.value is None:
            if not (in_action and isinstance(key, str) and "." in key):
                yield node, key
        elif key != "raw":
            yield from _empties(inner, (*around[-1:], key))


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
        return _unknown(_forms_at(form, loc[:-1]), node, path)
    place = node.at(*path).place
    if loc and loc[-1] == "[key]":
        place = node.at(*path[:-1]).key_place(str(path[-1])) if path else place
    subject = _subject(path)
    if kind == "missing":
        return Problem(place=place, message=f'{subject} needs "{loc[-1]}"')
    return Problem(place=place, message=_sentence(subject, detail, node.at(*path).written))


def _unknown(forms: list[type[Form]], node: Node, path: tuple[str | int, ...]) -> Problem:
    """The key at the end of `path` is none of theirs. Below a field that does not exist, the field is the mistake."""
    if forms == [MatcherForm]:
        field = str(path[-2])
        try:
            field_of(field)
        except ValueError as error:
            return Problem(place=node.at(*path[:-2]).key_place(field), message=str(error))
    key = str(path[-1])
    known = [field.alias or name for form in forms for name, field in form.model_fields.items()]
    message = f'unknown key "{key}"{did_you_mean(key, known) or "; known: " + ", ".join(known)}'
    return Problem(place=node.at(*path[:-1]).key_place(key), message=message)


def _subject(path: tuple[str | int, ...]) -> str:
    names = [part for part in path if isinstance(part, str)]
    if not names:
        return "the file" if not path else "this"
    if isinstance(path[-1], int) and names[-1] in _NOUNS:
        return _NOUNS[names[-1]]
    return f'"{names[-1]}"'


def _sentence(subject: str, detail: ErrorDetails, written: str | None) -> str:
    """What is wrong, of a number as it was `written`."""
    kind, given = detail["type"], detail["input"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        message = str(context["error"])
        return f"{subject} {message}" if message.split(" ")[0] in _VERBS else message
    if kind in _WANTED:
        quoted = isinstance(given, int | float) and kind == "string_type"
        hint = f'; put it in quotes: "{written or shown(given)}"' if quoted else ""
        return f"{subject} must be {_WANTED[kind]}, not {written or shown(given)}{hint}"
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


def _forms_at(form: type[Form], loc: tuple[str | int, ...]) -> list[type[Form]]:
    """What may stand at `loc`."""
    forms: list[type[Form]] = [form]
    for part in loc:
        inner = [found for one in forms for found in _inside(one, part)]
        forms = inner or forms
    return forms


def _inside(form: type[Form], part: str | int) -> list[type[Form]]:
    # A form that names one below it in its file does not know that one before.
    form.model_rebuild()
    for name, field in form.model_fields.items():
        if part == (field.alias or name):
            return list(_forms(field.annotation))
    return [MatcherForm] if form is WhenForm and isinstance(part, str) else []


def _forms(annotation: Any) -> Iterator[type[Form]]:
    if isinstance(annotation, type) and issubclass(annotation, Form):
        yield annotation
    for argument in get_args(annotation):
        yield from _forms(argument)
