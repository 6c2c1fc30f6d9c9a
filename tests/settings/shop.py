"""Two small platforms of our own, and settings that are read for them."""

from collections.abc import Generator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BeforeValidator, Field

from bridge.adapter.account import Account, Options, Size
from bridge.adapter.protocol import Adapter, HttpAnswer, Notice, Step, Webhook
from bridge.adapter.secret import Secret, SecretOption
from bridge.errors import SettingsError
from bridge.model.delivery import Delivery, Outcome, Sent
from bridge.settings import Settings, load_settings


class Hook(Options):
    address: str
    retries: int = Field(default=0, ge=0, le=9)


def _network(value: object) -> object:
    return ip_network(value) if isinstance(value, str) else value


class ShopAccount(Account):
    api_key: SecretOption
    signing_keys: list[SecretOption] = Field(default_factory=list)
    either: SecretOption | list[SecretOption] | None = None
    agent: int | None = None
    bot: bool = False
    domains: list[str] = Field(default_factory=list)
    limit: Size | None = None
    hooks: tuple[Hook, ...] = Field(default=(), strict=False)
    networks: list[Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]] = Field(default_factory=list)
    chat_token: str | None = None

    def credentials(self) -> tuple[Secret, ...]:
        return (self.api_key,)


class WebchatAccount(Account):
    title: str = "Chat"


def _verify(webhook: Webhook, account: Account) -> None: ...


def _parse(webhook: Webhook, account: Account) -> Notice:
    return Notice()


def _send(delivery: Delivery, account: Account) -> Generator[Step, HttpAnswer, Outcome]:
    yield from ()
    return Sent()


def _adapter(name: str, account: type[Any]) -> Adapter[Any]:
    return Adapter(name=name, account=account, to_keys=("chat",), verify=_verify, parse=_parse, send=_send)


OURS = {"shop": _adapter("shop", ShopAccount), "webchat": _adapter("webchat", WebchatAccount)}


def load(directory: Path, text: str | None, environ: Mapping[str, str] | None = None) -> Settings:
    if text is not None:
        (directory / "bridge.toml").write_text(text, encoding="utf-8")
    return load_settings(None, environ or {}, OURS, directory)


def problems(directory: Path, text: str | None, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(directory, text, environ)
    return str(caught.value).split("\n")


def account(settings: Settings, name: str = "shop") -> ShopAccount:
    found = settings.accounts[name]
    assert isinstance(found, ShopAccount)
    return found


SHOP = '[accounts.shop]\nplatform = "shop"\napi_key = "sesame"\n'
