"""Every platform the bridge speaks. Adding one is a folder beside this file and a line here."""

from collections.abc import Mapping
from typing import Any

from bridge.adapter.protocol import Adapter

_ALL: tuple[Adapter[Any], ...] = ()

ADAPTERS: Mapping[str, Adapter[Any]] = {adapter.name: adapter for adapter in _ALL}
