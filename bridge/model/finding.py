"""What of an operation's answer is kept: the values at its paths."""

import re
from collections.abc import Mapping

_NUMBER = re.compile("[0-9]{1,9}")


def facts_in(found: object, keep: Mapping[str, str]) -> dict[str, object]:
    """The values at the paths of `keep` ("" is the whole); what is not there is left out.

    A path goes through objects by their names and through lists by numbers: "items.0.id".
    """
    values = {name: _at(found, path) for name, path in keep.items()}
    return {name: value for name, value in values.items() if value is not None}


def _at(value: object, path: str) -> object:
    for part in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and _NUMBER.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
