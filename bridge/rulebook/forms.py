"""What the forms of a rule file are made of: texts, names, durations, lists that may be written as one value.

Each checks what it is given and says how it is written in the JSON Schema that editors read.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from bridge.model.quantity import parse_duration, parse_size
from bridge.rulebook.patterns import compile_pattern
from bridge.rulebook.yaml import shown

T = TypeVar("T")

_AMOUNT = r"\s*[0-9]{1,12}(\.[0-9]{1,6})?\s*"
DURATION = rf"^{_AMOUNT}(ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)\s*$"
MISTAKE = "patternErrorMessage"
"""The keyword under which the language server of editors looks for what it says of a text that a pattern refuses."""
SAID = "errorMessage"
"""The same for everything else."""
NO_DURATION = 'Write a number and ms, s, m, h, d or w, for example "10m".'
NO_SIZE = 'Write a number of bytes, or such as "500 kB" or "1 MiB".'
SIZE = rf"^{_AMOUNT}([bB]|[kKmMgG][iI]?[bB])\s*$"


class Form(BaseModel):
    """A mapping in a rule file: unknown keys are errors, nothing is converted."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    def said(self) -> dict[str, Any]:
        """What it says, by the keys of the file: plain values, and forms as mappings."""
        known = type(self).model_fields
        said = {
            known[name].alias or name: value.said() if isinstance(value, Form) else value
            for name, value in vars(self).items()
            if value is not None and name in known
        }
        return said | (self.model_extra or {})


class ListOrOne:
    """Says in the JSON Schema of a list that its only item may be written alone."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        several = handler(core)
        return one_or_many(several["items"], several)


def one_or_many(one: JsonSchemaValue, several: JsonSchemaValue) -> JsonSchemaValue:
    """Both at once where what is said of texts and of lists does not touch the other: editors explain that better."""
    if one.get("type") == "string" and not one.keys() & {"enum", "const"}:
        return {**one, **several, "type": ["string", "array"]}
    return {"anyOf": [one, several]}


def written(parse: Callable[[str], object], example: str) -> BeforeValidator:
    """A text that `parse` reads; it raises ValueError for one that it cannot."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError(f'must be written like "{example}", not {shown(value)}')
        return parse(value)

    return BeforeValidator(read)


def text_as(key: str, form: type[Form]) -> BeforeValidator:
    """A mapping which, where only its `key` is wanted, may be written as that value alone."""

    def mapping(value: object) -> object:
        return value if isinstance(value, dict | list) else {key: value}

    return BeforeValidator(mapping, json_schema_input_type=str | form)


def exactly_one(keys: tuple[str, ...]) -> JsonDict:
    """What the JSON Schema says of a mapping that has one of these keys.

    A second one is marked where it stands. A plain `oneOf` would mark the whole mapping, and editors would say of it
    that it "matches multiple schemas".
    """
    *others, last = (f'"{key}"' for key in keys)
    said = f"Write one of {', '.join(others)} and {last}, not several."
    return {
        "if": {"not": {"anyOf": [{"required": [key]} for key in keys[1:]]}},
        "then": {"required": [keys[0]]},
        "dependentSchemas": {
            key: {SAID: said, "properties": dict.fromkeys(keys[number:], False)}
            for number, key in enumerate(keys[:-1], 1)
        },
    }


def like(pattern: str, mistake: str | None = None) -> WithJsonSchema:
    """Written as a text of this pattern. Editors say the mistake where it is not; else they would show the pattern."""
    said = {} if mistake is None else {MISTAKE: mistake}
    return WithJsonSchema({"type": "string", "pattern": pattern, **said})


def _plain(value: object) -> object:
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"must be a text, a number, true or false; not {shown(value)}")
    return value


def _quantity(value: object) -> object:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError(f'must be a number, a duration such as "10m" or a size such as "1 MiB"; not {shown(value)}')
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _name(value: str) -> str:
    if value != value.strip() or not value.isprintable() or not 1 <= len(value) <= 100:
        raise ValueError("is a name of 1 to 100 characters in one line, without blanks around it")
    return value


def _key(value: str) -> str:
    if not value.isidentifier() or len(value) > 100:
        raise ValueError(f'"{value}" is no name for a fact: use letters, digits and "_", no digit first')
    return value


def _some_time(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than nothing")
    return value


def _pattern(value: str) -> str:
    compile_pattern(value)
    return value


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _bounded(most: timedelta, said: str) -> AfterValidator:
    def bound(value: timedelta) -> timedelta:
        if value > most:
            raise ValueError(f"must be at most {said}")
        return value

    return AfterValidator(bound)


Plain = Annotated[str | int | float | bool, BeforeValidator(_plain)]
Text = Annotated[str, Field(max_length=20_000), AfterValidator(_text)]
Short = Annotated[str, Field(max_length=500), AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_name)]
Key = Annotated[str, AfterValidator(_key)]
Pattern = Annotated[str, AfterValidator(_text), AfterValidator(_pattern)]
Number = Annotated[str | int | float, BeforeValidator(_quantity)]
OneOrMany = Annotated[list[T], BeforeValidator(_listed), Field(min_length=1, max_length=10_000), ListOrOne()]
Size = Annotated[
    Annotated[int, Field(ge=0)],
    BeforeValidator(_size, json_schema_input_type=int | Annotated[str, like(SIZE, NO_SIZE)]),
]
Duration = Annotated[timedelta, written(parse_duration, "24h"), AfterValidator(_some_time), like(DURATION, NO_DURATION)]
Wait = Annotated[Duration, _bounded(timedelta(days=366), "366 days")]
Quiet = Annotated[Duration, _bounded(timedelta(seconds=10), "10s")]
