"""What the settings hold, section by section."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo

from bridge.adapter.account import Account, Duration, Options, Size
from bridge.adapter.network import NetworkOption
from bridge.adapter.secret import Surroundings
from bridge.errors import did_you_mean
from bridge.settings.store_url import sqlite_file, store_url

_LISTEN = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listen:
    """Where the web server listens. Port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _listen(value: object) -> Listen:
    found = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be "host:port", for example "127.0.0.1:8080" or "[::1]:8080"')
    host, port = found["v6"] or found["host"], int(found["port"])
    try:
        if found["v6"]:
            IPv6Address(host)
        elif re.fullmatch(r"[0-9.]+", host):
            ip_address(host)
    except ValueError:
        raise ValueError(f'"{host}" is not an IP address: write "127.0.0.1:8080" or "[::1]:8080"') from None
    if port > 65535:
        raise ValueError(f"{port} is not a port: ports go from 0 (any that is free) to 65535")
    return Listen(host=host, port=port)


def _public_url(value: object) -> str:
    # A URL with a user may hold a password.
    shown = "a URL with a user" if "@" in str(value) else f'"{value}"'
    wrong = ValueError(f'{shown} is not the address of a web server: write for example "https://bridge.example.com"')
    if not isinstance(value, str) or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise wrong
    try:
        url = urlsplit(value)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        raise wrong from None
    if not usable:
        raise wrong
    if url.username is not None or "?" in value or "#" in value:
        raise ValueError("a public address has no user name, no ? and no #")
    return value.rstrip("/")


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be the path of a directory")
    return _directory(info) / value


def _directory(info: ValidationInfo) -> Path:
    return info.context.directory if isinstance(info.context, Surroundings) else Path()


def _store_url(value: object, info: ValidationInfo) -> str:
    return store_url(value, _directory(info))


def _retention(value: object) -> object:
    return timedelta(0) if value == 0 and not isinstance(value, bool) else value


def _timezone(value: object) -> ZoneInfo:
    if not isinstance(value, str):
        raise ValueError('must be the name of a time zone, for example "Europe/Kyiv"')
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(value, sorted(available_timezones()))
        raise ValueError(f'"{value}" is not a time zone{hint or ": write for example Europe/Kyiv"}') from None


PathOption = Annotated[Path, PlainValidator(_path)]


class ServerSettings(Options):
    """The web server. Sizes are in bytes.

    `public_url` is what platforms call, without a slash at its end. `trusted_proxies` are the networks whose
    `X-Forwarded-For` is believed; of all others the sender is who connected.
    """

    listen: Annotated[Listen, PlainValidator(_listen)] = Listen(host="127.0.0.1", port=8080)
    public_url: Annotated[str, PlainValidator(_public_url)] = Field(
        default_factory=lambda values: f"http://{values['listen']}"
    )
    max_body: Size = Field(default=1024**2, ge=1)
    max_attachment: Size = Field(default=10 * 1024**2, ge=1)
    trusted_proxies: tuple[NetworkOption, ...] = Field(default=(), strict=False)  # so that TOML's list is taken


class StoreSettings(Options):
    """The durable state. A retention of 0 keeps everything; a SQLite file in `url` is absolute.

    Where several servers share the store, one that gives no sign of life for as long as the `lease` loses its
    deliveries to the others.
    """

    url: Annotated[str, PlainValidator(_store_url)] = Field(
        default="sqlite:///data/bridge.db", validate_default=True, repr=False
    )
    retention: Annotated[Duration, BeforeValidator(_retention)] = timedelta(days=90)
    lease: Duration = Field(default=timedelta(seconds=30), ge=timedelta(seconds=1), le=timedelta(hours=1))

    @property
    def file(self) -> Path | None:
        """The file of a SQLite store."""
        return sqlite_file(self.url)


class RulebookSettings(Options):
    """Where rules and templates are, and the time zone where a rule or broadcast names none.

    `replies_per_hour` is the loop breaker: more automatic replies in one conversation are kept back. With `watch`,
    edits go live by themselves.
    """

    rules: PathOption = Field(default="rules", validate_default=True)
    templates: PathOption = Field(default="templates", validate_default=True)
    timezone: Annotated[ZoneInfo, PlainValidator(_timezone)] = ZoneInfo("UTC")
    replies_per_hour: int = Field(default=20, ge=1, le=1000)
    watch: bool = True


class LogSettings(Options):
    """`auto` is `console` on a terminal and `json` elsewhere."""

    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything a person can set. `file` is None where there is none; `directory` is what paths are relative to."""

    file: Path | None
    directory: Path
    server: ServerSettings
    store: StoreSettings
    rulebook: RulebookSettings
    log: LogSettings
    accounts: Mapping[str, Account]

    @property
    def data_directory(self) -> Path:
        """Where the bridge may write: beside the SQLite file, else `data` beside the settings."""
        return self.directory / "data" if self.store.file is None else self.store.file.parent
