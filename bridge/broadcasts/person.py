"""Who is one person, however often and wherever an audience names them."""

from collections.abc import Mapping
from hashlib import sha256

_LONGEST_KEY = 200


def key_of(address: Mapping[str, object]) -> str:
    """One text for one person. The letters of an e-mail address have no case."""
    key = "\t".join(f"{name}={uncased(value)}" for name, value in address.items())
    return key if len(key) <= _LONGEST_KEY else sha256(key.encode()).hexdigest()


def uncased(value: object) -> object:
    """An e-mail address in small letters; anything else as it stands."""
    return value.casefold() if isinstance(value, str) and "@" in value else value
