"""What is given to several commands in the same way."""

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bridge.errors import BridgeError
from bridge.line.accounts import Accounts, Known
from bridge.platforms.registry import ADAPTERS
from bridge.settings import Settings, load_settings

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file (default: bridge.toml, if there is one).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write it as JSON, for programs.")]

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?")


def settings_of(config: Path | None, only: Collection[str] | None = None) -> Settings:
    """The settings; with `only`, no other accounts are read, and so their secrets need not be there."""
    return load_settings(config, os.environ, only=only)


def account_named(name: str, config: Path | None) -> tuple[Known, Settings]:
    """One account. Raises BridgeError where the settings have no such account."""
    settings = settings_of(config, only=[name])
    return Known(account=settings.accounts[name], adapter=ADAPTERS[settings.accounts[name].platform]), settings


def account_on(platform: str, name: str | None, config: Path | None) -> Known:
    """The account of that name, or the only one on the platform. Raises BridgeError where it cannot be told."""
    if name is not None:
        known, _ = account_named(name, config)
        if known.adapter.name != platform:
            raise BridgeError(f"account {name} is on {known.adapter.name}, not on {platform}")
        return known
    settings = load_settings(config, os.environ, platform=platform)
    on_platform = Accounts(settings.accounts.values(), ADAPTERS).of_platform(platform)
    if len(on_platform) == 1:
        return on_platform[0]
    if not on_platform:
        raise BridgeError(f"no account is on {platform}; add [accounts.NAME] with its platform to the settings")
    raise BridgeError(
        f"several accounts are on {platform}: say which of {', '.join(k.account.name for k in on_platform)}"
    )


def pairs(given: Iterable[str], what: str) -> dict[str, object]:
    """`key=value` -> {key: value}. Numbers, lists, tables, true, false and "text" in quotes are JSON, all else is text.

    Raises BridgeError, with `what` for its beginning.
    """
    found: dict[str, object] = {}
    for pair in given:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise BridgeError(f"{what} {pair}: write key=value")
        if key in found:
            raise BridgeError(f"{what} {key}: given twice; write several values as a list: {key}=[1,2]")
        found[key] = _value(text, f"{what} {key}")
    return found


def _value(text: str, where: str) -> object:
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if text in ("true", "false"):
        return text == "true"
    if text[:1] not in ("[", "{", '"'):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BridgeError(f"{where}: {text[:80]} begins like JSON but is not: {error}") from None
