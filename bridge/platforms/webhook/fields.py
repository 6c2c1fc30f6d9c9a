"""Where in a body each field of an event is, as long as the account says nothing else."""

from collections.abc import Mapping
from functools import cache
from typing import Literal

from bridge.adapter.mapping import FIELDS, Field

Scheme = Literal["standard", "cloudevents", "header"]

# In these two an envelope has the kind and the time, and what happened is its `data`.
_OF_THE_ENVELOPE: Mapping[Scheme, Mapping[Field, str]] = {
    "standard": {"kind": "type", "at": "timestamp"},
    "cloudevents": {"kind": "type", "at": "time"},
}


@cache
def default_paths(scheme: Scheme) -> Mapping[Field, str]:
    """The paths that hold as long as the account says nothing else."""
    if scheme == "header":
        return {field: field for field in FIELDS}
    inside: dict[Field, str] = {field: f"data.{field}" for field in FIELDS}
    return {**inside, **_OF_THE_ENVELOPE[scheme]}
