"""What pydantic found wrong, in the words of the person who wrote the settings. No value is ever shown."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.errors import did_you_mean
from bridge.settings.document import KeyPath

_WORDS: Mapping[str, str] = {
    "missing": "missing",
    "string_type": "must be a text",
    "is_instance_of": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": 'must be a list, for example ["a", "b"]',
    "list_type": 'must be a list, for example ["a", "b"]',
    "set_type": 'must be a list, for example ["a", "b"]',
    "frozen_set_type": 'must be a list, for example ["a", "b"]',
    "dict_type": "must be a table of keys",
    "model_type": "must be a table of keys",
    "time_delta_type": 'must be a duration, for example "10m"',
    "dataclass_exact_type": 'must be a rate, for example "120/min"',
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have {min_length} or more items",
    "too_long": "must have {max_length} or fewer items",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have {max_length} or fewer characters",
    "string_pattern_mismatch": "must have the form {pattern}",
    "value_error": "{error}",
}


def found(error: ValidationError, model: type[BaseModel], raw: object) -> dict[KeyPath, str]:
    """Every problem of `error` in reading `raw` as `model`: where in `raw` -> what is wrong, unions in one line."""
    told: dict[KeyPath, list[str]] = {}
    for details in error.errors(include_url=False, include_input=False):
        if details["type"] == "default_factory_not_called":
            # It follows from another problem of the same section, which is told already.
            continue
        path = _path(details, raw)
        words = _say(details, model, path)
        if words not in told.setdefault(path, []):
            told[path].append(words)
    return {path: " or ".join(words) for path, words in told.items()}


def _path(details: ErrorDetails, raw: object) -> KeyPath:
    """The place in what was written: pydantic's own also names the parts of a union, which nobody wrote."""
    path: KeyPath = ()
    here: Any = raw
    for part in details["loc"]:
        inside = part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int)
        if inside:
            path = (*path, part)
            here = here[part]
    return (*path, details["loc"][-1]) if details["type"] == "missing" else path


def _say(details: ErrorDetails, model: type[BaseModel], path: KeyPath) -> str:
    if details["type"] == "extra_forbidden":
        return f"unknown key{did_you_mean(str(path[-1]), sorted(_keys(model, path[:-1])))}"
    words = _WORDS.get(details["type"])
    if words is None:
        return details["msg"].replace("Input should be", "must be").replace("Value error, ", "")
    return words.format_map(details.get("ctx", {}))


def _keys(model: type[BaseModel], path: KeyPath) -> Iterator[str]:
    """The keys that the table at `path` may have."""
    models = [model]
    for part in path:
        if isinstance(part, str):
            models = [m for outer in models for m in _models(_annotation(outer, part))]
    for known in models:
        yield from known.model_fields


def _annotation(model: type[BaseModel], key: str) -> object:
    field = model.model_fields.get(key)
    return field.annotation if field else None


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
