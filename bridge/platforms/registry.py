"""Every platform the bridge speaks. Adding one is a folder beside this file and a line here."""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from bridge.adapter.protocol import Adapter
from bridge.platforms import chayns, edna, groupalarm, helpcrunch, omnidesk, webchat, webhook

_ALL: tuple[Adapter[Any], ...] = (
    chayns.adapter,
    edna.adapter,
    groupalarm.adapter,
    helpcrunch.adapter,
    omnidesk.adapter,
    webchat.adapter,
    webhook.adapter,
)

ADAPTERS: Mapping[str, Adapter[Any]] = {adapter.name: adapter for adapter in _ALL}


def home(platform: str) -> Traversable:
    """The folder of a platform: its manual is `doc.md`, its recorded webhooks are in `fixtures/inbound/`."""
    return files(__package__) / platform
