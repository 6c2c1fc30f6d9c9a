"""`replybridge schema`: for editors that complete and check rule files and their tests."""

import sys
from typing import Annotated

import msgspec
import typer

from bridge.lab.scene_schema import scene_schema
from bridge.platforms.registry import ADAPTERS
from bridge.rulebook.json_schema import json_schema


def schema(
    tests: Annotated[bool, typer.Option("--tests", help="The schema of *.test.yaml instead.")] = False,
) -> None:
    """The JSON Schema of a rule file, with the operations of every platform."""
    operations = {
        f"{adapter.name}.{name}": {**operation.arguments.model_json_schema(), "description": operation.about}
        for adapter in ADAPTERS.values()
        for name, operation in adapter.operations.items()
    }
    made = scene_schema() if tests else json_schema(operations)
    text = msgspec.json.format(msgspec.json.encode(made), indent=2)
    sys.stdout.write(text.decode() + "\n")
