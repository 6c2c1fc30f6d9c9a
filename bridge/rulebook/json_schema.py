"""The JSON Schema of a rule file, for editors: out of the same forms that check it, with fields and operations by name.

An editor cannot know everything (whether a calendar exists, what stands in another file): `replybridge check` does.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bridge.rulebook.action_forms import OPERATION
from bridge.rulebook.broadcasts import RuleFileForm
from bridge.rulebook.fields import KNOWN, OPEN, OTHER_LINES, Field, Type
from bridge.rulebook.forms import DURATION, MISTAKE, NO_DURATION, NO_SIZE, SIZE
from bridge.rulebook.when import FITS

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_COMPARISONS = ("above", "below", "at_least", "at_most")
_INSIDE = ("properties", "patternProperties", "$defs")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_FORM = "Form"
_ONE = ("items", "additionalProperties", "propertyNames", "not")

_BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
"""What pydantic leaves in its own words where a validator stands before the bound."""

_VALUES: Mapping[Type, Schema] = {
    "text": {"type": "string"},
    "url": {"type": "string"},
    "number": {"type": "number"},
    "duration": {"type": "string", "pattern": rf"{DURATION}|^\s*0\s*$", MISTAKE: NO_DURATION},
    "size": {"type": ["number", "string"], "pattern": SIZE, MISTAKE: NO_SIZE},
    "flag": {"type": "boolean"},
    "any": {"type": ["string", "number", "boolean"]},
}


def json_schema(operations: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of a rule file.

    `operations` are those that actions may use: "helpcrunch.assign" -> the JSON Schema of its arguments, an object.
    Its "description" is what editors show.
    """
    schema = without_nothing(RuleFileForm.model_json_schema())
    forms: dict[str, Schema] = schema["$defs"]
    matchers = forms.pop("MatcherForm")["properties"]
    forms.update(_asked(matchers))
    _lines(forms["WhenForm"])
    forms["Template"] = {"type": "string", "pattern": r"\{[{%]", "description": "A template."}
    beside = forms.pop("OperationForm")["properties"]
    forms.update({f"any-operation.{key}": said for key, said in beside.items()})
    for name in sorted(operations):
        forms.update(_operation(name, operations[name], tuple(beside)))
    _actions(forms["ActionForm"], sorted(operations))
    return {"$schema": DRAFT, "title": "A rule file of replybridge", **entitled(schema)}


def entitled(schema: Schema) -> Schema:
    """With a title on every form, which editors show: "calendar ask" for CalendarAskForm."""
    for name, form in schema["$defs"].items():
        if name.endswith(_FORM):
            words = re.findall("[A-Z][a-z]+", name.removesuffix(_FORM))
            schema["$defs"][name] = {"title": " ".join(words).lower(), **form}
    return schema


def without_nothing(schema: Any) -> Any:
    """Without pydantic's titles, and without null: where a form has nothing, a rule file has no line."""
    if isinstance(schema, list):
        return [without_nothing(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: without_nothing(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and _unsaid(value))
    }
    choices = made.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [one for one in choices if one != {"type": "null"}]
        if len(rest) > 1:
            return {**made, "anyOf": rest}
        del made["anyOf"]
        return {**rest[0], **made}
    return made


def _unsaid(default: object) -> bool:
    """A default that editors are not to write down: nothing at all, and durations, which pydantic words its own way."""
    return default in (None, False, 0) or (isinstance(default, str) and default.startswith("PT"))


def _asked(matchers: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """What may be asked of each type of field; of fields with few words, each its own."""
    for type_, value in _VALUES.items():
        fitting = {name: said for name, said in matchers.items() if type_ in FITS[name]}
        yield f"asked-of-{type_}", _question(value, fitting)
    for field in KNOWN.values():
        if field.words:
            few = {name: said for name, said in matchers.items() if "word" in FITS[name]}
            yield f"asked-of-{field.name}", _question({"enum": list(field.words)}, few)


def _question(value: Schema, matchers: Mapping[str, Schema]) -> Schema:
    several = {"type": "array", "items": value, "minItems": 1}
    own: dict[str, Schema] = {"is": value, "in": _one_of(value, several)}
    own |= dict.fromkeys(_COMPARISONS, _VALUES["number"] if value == _VALUES["any"] else value)
    properties = {name: _said(own.get(name, said), said.get("description", "")) for name, said in matchers.items()}
    whole = {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}
    return _one_of(value, several, whole)


def _one_of(value: Schema, *others: Schema) -> Schema:
    """One of these, of which each has another type.

    Where the value is not one of certain words it is one schema, not several: then an editor says what is wrong with
    what was written, and not only that none of them fits.
    """
    if "enum" in value:
        return {"anyOf": [value, *others]}
    types = value["type"] if isinstance(value["type"], list) else [value["type"]]
    made = dict(value)
    for other in others:
        made |= other
    return {**made, "type": [*types, *(other["type"] for other in others)]}


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else schema


def _lines(when: Schema) -> None:
    """The lines of a condition: the fields by name, and those whose names go on with a key."""

    def line(field: Field) -> Schema:
        asked = field.name if field.words else field.type
        return {"$ref": f"#/$defs/asked-of-{asked}", "description": field.about}

    own = {name: when["properties"][name] for name in OTHER_LINES}
    when["properties"] = {name: line(field) for name, field in KNOWN.items()} | own
    when["patternProperties"] = {
        _pattern(name): {"$ref": "#/$defs/asked-of-any", "description": about} for name, about in OPEN.items()
    }
    when["additionalProperties"] = False
    when["minProperties"] = 1


def _pattern(name: str) -> str:
    """The names that begin like "memory.<key>" and are no field of their own."""
    start = name.partition("<")[0]
    longer = [other.removeprefix(start) for other in (*KNOWN, *OPEN) if other.startswith(start) and other != name]
    taken = "|".join(f"{rest}$" if "<" not in rest else rest.partition("<")[0].replace(".", r"\.") for rest in longer)
    return "^" + start.replace(".", r"\.") + (f"(?!{taken})" if taken else "") + r"[^.]+(\.[^.]+)*$"


def _operation(name: str, arguments: Mapping[str, object], beside: tuple[str, ...]) -> Iterator[tuple[str, Schema]]:
    """The schema of an operation with its arguments and what goes beside them, and those that it refers to."""
    given = _with_templates(without_nothing(_renamed(dict(arguments), f"{name}.")))
    for inner, schema in given.pop("$defs", {}).items():
        yield f"{name}.{inner}", schema
    required = given.get("required", [])
    own = {key: {"$ref": f"#/$defs/any-operation.{key}"} for key in beside}
    made: Schema = {
        "type": "object" if required else ["object", "null"],
        "properties": {**given.get("properties", {}), **own},
        "additionalProperties": given.get("additionalProperties", False),
    }
    if required:
        made["required"] = required
    yield name, _said(made, given.get("description", ""))


def _renamed(schema: Any, before: str) -> Any:
    """With what it refers to under names of its own."""
    if isinstance(schema, list):
        return [_renamed(one, before) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _renamed(value, before) for key, value in schema.items()}
    if isinstance(made.get("$ref"), str):
        made["$ref"] = made["$ref"].replace("#/$defs/", f"#/$defs/{before}")
    return made


def _with_templates(schema: Any) -> Any:
    """Where a number, a flag or a certain text is wanted, a template may stand that gives it."""
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    for key in _INSIDE:
        if key in made:
            made[key] = {name: _with_templates(one) for name, one in made[key].items()}
    for key in _LISTS:
        if key in made:
            made[key] = [_with_templates(one) for one in made[key]]
    for key in _ONE:
        if key in made:
            made[key] = _with_templates(made[key])
    if made.get("type") in ("integer", "number"):
        made = {_BOUNDS.get(key, key): value for key, value in made.items()}
    certain = made.get("type") in ("integer", "number", "boolean") or "enum" in made or "const" in made
    if not certain and not (made.get("type") == "string" and made.keys() & {"pattern", "format", "minLength"}):
        return made
    outside = {key: made.pop(key) for key in ("description", "default") if key in made}
    return {"anyOf": [made, {"$ref": "#/$defs/Template"}], **outside}


def _actions(action: Schema, operations: list[str]) -> None:
    """One action: a verb or an operation, with what goes beside it."""
    properties = action["properties"]
    del properties[OPERATION]
    beside = ("scope", "unless", "do")
    verbs = [key for key in properties if key not in beside]
    properties |= {name: {"$ref": f"#/$defs/{name}"} for name in operations}
    action["oneOf"] = [{"required": [key]} for key in (*verbs, *operations)]
    action["dependentRequired"] = {"after": ["do"], "unless": ["after"], "do": ["after"]}
    action["dependentSchemas"] = {"scope": {"anyOf": [{"required": ["remember"]}, {"required": ["forget"]}]}}
