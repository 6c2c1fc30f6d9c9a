"""`replybridge platforms`: what each platform can do."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.adapter.protocol import Adapter, Operation
from bridge.cli.options import AsJson
from bridge.cli.printing import cells, explained, near, out, table, told, write_json
from bridge.errors import BridgeError, did_you_mean
from bridge.model.event import KINDS
from bridge.platforms.registry import ADAPTERS, home

_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "nothing",
}

_Schema = Mapping[str, Any]


def platforms(
    platform: Annotated[str | None, typer.Argument(help="Only this one, in detail.")] = None, as_json: AsJson = False
) -> None:
    """What each platform can do: events in, replies out, operations."""
    with explained():
        if platform is not None and platform not in ADAPTERS:
            hint = did_you_mean(platform, list(ADAPTERS)) or f": there is {', '.join(ADAPTERS)}"
            raise BridgeError(f'"{platform}" is not a platform{hint}')
    if as_json:
        write_json([_as_json(a) for a in ADAPTERS.values()] if platform is None else _as_json(ADAPTERS[platform]))
    elif platform is not None:
        _show(ADAPTERS[platform])
    else:
        _list()


def _list() -> None:
    listing = table("platform", "events in", "replies out", "operations", whole=("platform",))
    for adapter in ADAPTERS.values():
        operations = ", ".join(adapter.operations) or "none"
        listing.add_row(*cells(adapter.name, "yes" if _tells(adapter) else "no", _replies(adapter), operations))
    out.print(listing)
    out.print("`replybridge platforms NAME` tells more of one, and where its manual is.", style="dim")


def _show(adapter: Adapter[Any]) -> None:
    told("platform", adapter.name, 13)
    told("events in", _kinds(adapter) if _tells(adapter) else "none: this platform only sends", 13)
    told("replies", _replies(adapter), 13)
    told("keys of `to`", ", ".join(adapter.to_keys) or "any; all of them are sent along", 13)
    told("manual", near(Path(str(home(adapter.name) / "doc.md"))), 13)
    for name, operation in adapter.operations.items():
        out.print()
        told(f"{adapter.name}.{name}", operation.about, len(adapter.name) + len(name) + 3)
        for argument in _arguments(operation):
            told("", argument, 2)
        if operation.finds:
            told("", f"finds: {', '.join(operation.finds)}", 2)


def _tells(adapter: Adapter[Any]) -> bool:
    return any(route.what == "webhook" for route in adapter.routes)


def _kinds(adapter: Adapter[Any]) -> str:
    """The kinds of events that it tells of, in the order in which they are always named."""
    return "any kind" if adapter.sends is None else ", ".join(kind for kind in KINDS if kind in adapter.sends)


def _replies(adapter: Adapter[Any]) -> str:
    """What its replies may have."""
    return ", ".join(["text", *sorted(ability.replace("_", " ") for ability in adapter.can)])


def _arguments(operation: Operation[Any]) -> Iterator[str]:
    """'agent: whole number, required'."""
    schema = operation.arguments.model_json_schema()
    needed = schema.get("required", ())
    for name, argument in schema.get("properties", {}).items():
        default = argument.get("default")
        said = f"{name}: {_say_type(argument, schema)}"
        said += ", required" if name in needed else f", else {default}" if default not in (None, [], {}) else ""
        yield said + (f"; {argument['description']}" if "description" in argument else "")


def _say_type(schema: _Schema, whole: _Schema) -> str:
    """A JSON Schema in words: 'text', 'list of whole numbers' and so on; bounds are in the manual."""
    if "$ref" in schema:
        return _say_type(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in schema:
        said = dict.fromkeys(_say_type(one, whole) for one in schema["anyOf"] if one.get("type") != "null")
        return " or ".join(said)
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    match schema.get("type"):
        case "array":
            return f"list of ({_say_type(schema.get('items', {}), whole)})"
        case "object":
            return "{" + ", ".join(schema["properties"]) + "}" if "properties" in schema else "table"
        case "string" if schema.get("format") == "date-time":
            return "date and time"
        case str(name):
            return _TYPES[name]
    return "anything"


def _as_json(adapter: Adapter[Any]) -> Mapping[str, object]:
    return {
        "platform": adapter.name,
        "events": [kind for kind in KINDS if _tells(adapter) and (adapter.sends is None or kind in adapter.sends)],
        "can": sorted(adapter.can),
        "to": adapter.to_keys,
        "operations": {
            f"{adapter.name}.{name}": {
                "about": operation.about,
                "arguments": operation.arguments.model_json_schema(),
                "finds": operation.finds,
            }
            for name, operation in adapter.operations.items()
        },
        "manual": str(home(adapter.name) / "doc.md"),
    }
