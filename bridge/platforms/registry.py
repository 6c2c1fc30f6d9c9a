"""Every platform the bridge speaks. Adding one is a folder beside this file and a line here."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pkgutil import resolve_name
from typing import Any

from bridge.adapter.protocol import Adapter

_ALL = (
    "chayns",
    "edna",
    "groupalarm",
    "helpcrunch",
    "omnidesk",
    "webchat",
    "webhook",
)


class _OnDemand(Mapping[str, Adapter[Any]]):
    """The adapters by the names of their folders. Each is loaded when it is first asked for: who checks rules between
    two keystrokes need not load the platforms that no account is on."""

    def __getitem__(self, name: str) -> Adapter[Any]:
        if name not in _ALL:
            raise KeyError(name)
        return _loaded(name)

    def __contains__(self, name: object) -> bool:
        return name in _ALL

    def __iter__(self) -> Iterator[str]:
        return iter(_ALL)

    def __len__(self) -> int:
        return len(_ALL)


@cache
def _loaded(name: str) -> Adapter[Any]:
    adapter: Adapter[Any] = resolve_name(f"{__package__}.{name}:adapter")
    return adapter


ADAPTERS: Mapping[str, Adapter[Any]] = _OnDemand()


def home(platform: str) -> Traversable:
    """The folder of a platform: its manual is `doc.md`, its recorded webhooks are in `fixtures/inbound/`."""
    return files(__package__) / platform
