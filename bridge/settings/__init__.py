"""The settings: `bridge.toml` and the environment, checked whole before anything starts.

document.py   reads the file, lays the environment over it, knows where every value came from
sections.py   what may be written: the sections, strict and frozen
store_url.py  the address of the store
problems.py   what pydantic found, in the words of the person who wrote the file
load.py       all of it together, and what only the whole can tell
describe.py   the settings as a log or a page shows them, without secrets
"""

from bridge.settings.load import load_settings
from bridge.settings.sections import (
    Listen,
    LogSettings,
    RulebookSettings,
    ServerSettings,
    Settings,
    StoreSettings,
)

__all__ = [
    "Listen",
    "LogSettings",
    "RulebookSettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "load_settings",
]
