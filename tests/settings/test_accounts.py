"""Accounts: what they must not share, those of the manual, those that are not asked for."""

import json
from pathlib import Path

import pytest

from bridge.errors import SettingsError
from bridge.platforms.registry import ADAPTERS
from bridge.settings import load_settings
from bridge.settings.describe import describe
from tests.settings.shop import SHOP, problems


def test_replies_go_by_way_of_an_account_that_exists(tmp_path: Path) -> None:
    text = SHOP + 'reply_via = "mal"\n[accounts.mall]\nplatform = "shop"\napi_key = "b"\n'
    assert problems(tmp_path, text) == [
        'bridge.toml: accounts.shop.reply_via: no account is called "mal" (did you mean "mall"?)'
    ]


def test_two_accounts_do_not_share_a_credential(tmp_path: Path) -> None:
    text = SHOP + '[accounts.mall]\nplatform = "shop"\napi_key = { env = "KEY" }\n'
    assert problems(tmp_path, text, {"KEY": "sesame"}) == [
        "bridge.toml: accounts.mall: accounts.shop and accounts.mall share a credential, which must tell them apart: "
        "give each its own"
    ]


def test_there_is_one_web_chat_at_most(tmp_path: Path) -> None:
    text = '[accounts.a]\nplatform = "webchat"\n[accounts.b]\nplatform = "webchat"\n'
    assert problems(tmp_path, text) == [
        "bridge.toml: accounts.b: there can be only one web chat, and accounts.a is one already"
    ]


EXAMPLE = """
[accounts.site]
platform = "omnidesk"
api_keys = [{ env = "SITE_API_KEY" }]
chat_account_tokens = ["tok1234567890"]
chat_servers = ["https://chat.example.com"]
whitelisted_domains = ["shop.example", "*.shop.example"]
blacklisted_ips = ["203.0.113.0/24"]
reply_via = "site"

[accounts.shop]
platform = "helpcrunch"
api_key = { env = "HELPCRUNCH_API_KEY" }
signing_keys = [{ env = "HELPCRUNCH_SIGNING_KEY" }]
agent = 4188
budget = "120/min"

[accounts.chat]
platform = "webchat"
"""


def test_the_platforms_that_exist_take_the_accounts_of_the_manual(tmp_path: Path) -> None:
    tables = [table for table in EXAMPLE.split("\n\n") if any(f'platform = "{name}"' in table for name in ADAPTERS)]
    (tmp_path / "bridge.toml").write_text("\n".join(tables))
    environ = {"SITE_API_KEY": "a" * 32, "HELPCRUNCH_API_KEY": "b" * 32, "HELPCRUNCH_SIGNING_KEY": "c" * 32}
    settings = load_settings(None, environ, ADAPTERS, tmp_path)
    assert {account.platform for account in settings.accounts.values()} == ADAPTERS.keys() & {
        "omnidesk",
        "helpcrunch",
        "webchat",
    }
    assert not any(secret in json.dumps(describe(settings)) for secret in environ.values())


def test_of_accounts_that_are_not_asked_for_no_secret_is_needed(tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text(EXAMPLE)
    environ = {"SITE_API_KEY": "a" * 32}

    def names(only: list[str] | None = None, platform: str | None = None) -> list[str]:
        return list(load_settings(None, environ, ADAPTERS, tmp_path, only, platform).accounts)

    assert names(["site"]) == ["site"]
    assert names(platform="omnidesk") == ["site"]
    assert names(platform="webchat") == ["chat"]
    assert names([]) == []
    for asked in ({"only": ["shop"]}, {"platform": "helpcrunch"}):
        with pytest.raises(SettingsError, match="HELPCRUNCH_API_KEY is not set"):
            names(**asked)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("shp", 'bridge.toml: no account is called "shp" (did you mean "shop"?)'),
        ("zzz", 'bridge.toml: no account is called "zzz": there is chat, shop, site'),
    ],
)
def test_an_account_that_is_asked_for_and_is_not_there(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "bridge.toml").write_text(EXAMPLE)
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {}, ADAPTERS, tmp_path, [name])
    assert str(caught.value) == told
