"""The settings as a log or a page shows them."""

from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel

from bridge.adapter.secret import Secret
from bridge.model.quantity import Rate, say_duration
from bridge.observe import looks_secret
from bridge.settings.sections import Settings
from bridge.settings.store_url import without_secrets


def describe(settings: Settings) -> dict[str, object]:
    """The settings as plain values; whatever is secret is `<secret>`."""
    store = {
        "url": without_secrets(settings.store.url),
        "retention": _plain(settings.store.retention),
        "lease": _plain(settings.store.lease),
    }
    return {
        "file": str(settings.file) if settings.file else None,
        "server": _plain(settings.server),
        "store": store | {"data": str(settings.data_directory)},
        "rulebook": _plain(settings.rulebook),
        "log": _plain(settings.log),
        "accounts": _plain(settings.accounts),
    }


def _plain(value: object, name: str = "") -> object:
    """Names are looked at as well as types, because a platform may take a token it never checks as a plain text."""
    match value:
        case None | bool() | int() | float():
            return value
        case BaseModel():
            return {key: _plain(getattr(value, key), key) for key in type(value).model_fields}
        case Mapping():
            return {str(key): _plain(item, str(key)) for key, item in value.items()}
        case tuple() | list() | set() | frozenset():
            return [_plain(item, name) for item in value]
        case timedelta():
            return say_duration(value)
        case Rate():
            return f"{value.times} in {say_duration(value.per)}"
        case Secret():
            return str(value)
    return "<secret>" if looks_secret(name) else str(value)
