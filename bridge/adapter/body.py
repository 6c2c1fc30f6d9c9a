"""The body of a webhook -> a JSON value that can be kept: bounded in its depth, nothing but JSON in it."""

import orjson

from bridge.errors import Refused

DEEPEST = 20
"""Objects and lists within one another; what chats have to say is far flatter."""


def media_type(content_type: str) -> str:
    """The header `content-type` without its parameters, in lower case; "" where there is none."""
    return content_type if content_type == "application/json" else content_type.partition(";")[0].strip().lower()


def read_json(body: bytes | str, what: str = "body") -> object:
    """The JSON value of `body`. Raises Refused(400) naming `what` where it is not JSON, or nested too deep."""
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"{what}: not JSON: {error}"[:300]) from None
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [part for one in level for part in _parts(one) if isinstance(part, dict | list)]
        if not level:
            return value
    raise Refused(400, f"{what}: nested more than {DEEPEST} deep")


def read_object(body: bytes | str, what: str = "body") -> dict[str, object]:
    """The JSON object of `body`. Raises Refused(400) naming `what` where it is none."""
    value = read_json(body, what)
    if not isinstance(value, dict):
        raise Refused(400, f"{what}: a JSON object is expected")
    return value


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
