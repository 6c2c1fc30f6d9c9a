"""What HelpCrunch finds wrong with a request, and how it says so."""

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.chat_server import Say


def too_many(after: str | None = None) -> Say:
    """The documented 429; `after` is its Retry-After, which the documentation does not promise."""
    return Say(
        status=429,
        headers={"Retry-After": after} if after is not None else {},
        body=json.dumps(errors(("too_many_requests", "Too many requests"))),
    )


def errors(*told: tuple[str, str]) -> dict[str, object]:
    """An error's body in the newer form: a general item, then what is wrong."""
    listed = [("invalid_request", "Invalid request"), *told]
    return {"errors": [{"code": code, "message": message} for code, message in listed]}


class Wrong(Exception):  # noqa: N818 - it is an answer
    def __init__(self, status: int, *told: tuple[str, str]) -> None:
        self.status = status
        self.told = told


def check(body: dict[str, Any], kinds: Mapping[str, type], *, required: tuple[str, ...]) -> None:
    for name, value in body.items():
        if name not in kinds:
            raise Wrong(400, (name, "This field was not expected."))
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            word = "numeric" if kinds[name] is int else "string"
            raise Wrong(400, (name, f"This value should be of type {word}."))
    for name in required:
        if name not in body:
            raise Wrong(400, (name, "This value should not be blank."))


def condition_of(at: int, condition: object, searchable: Mapping[str, str]) -> tuple[str, object]:
    """What a condition of a search asks for: the name and its value."""
    place = f"filter[{at}]"
    if not isinstance(condition, dict) or set(condition) != {"field", "operator", "value"}:
        raise Wrong(400, (place, "This value is not valid."))
    name = searchable.get(condition["field"])
    if name is None:
        raise Wrong(400, (f"{place}.field", "The value you selected is not a valid choice."))
    if condition["operator"] != "=":
        raise Wrong(400, (f"{place}.operator", "The value you selected is not a valid choice."))
    if not isinstance(condition["value"], int if name == "id" else str):
        raise Wrong(400, (f"{place}.value", f"This value should be of type {'numeric' if name == 'id' else 'string'}."))
    return name, condition["value"]
