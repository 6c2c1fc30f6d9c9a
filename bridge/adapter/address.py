"""The words of a `to:`."""

from collections.abc import Sequence

from bridge.adapter.answers import excerpt
from bridge.model.event import Address


def only(to: Address, keys: Sequence[str], why: str) -> None:
    """Raises ValueError for a key of `to` that is not among `keys`: silently left out, somebody would be missed, or
    somebody else be meant. The error says `why` it has no place here.
    """
    for key, value in to.items():
        if value is not None and key not in keys:
            raise ValueError(f"to.{excerpt(key, 80)}: {why}; write {', '.join(keys)}")
