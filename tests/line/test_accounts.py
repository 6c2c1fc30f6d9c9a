"""Which account a webhook is for."""

from typing import Any

import pytest

from bridge.adapter.account import Account
from bridge.adapter.protocol import Adapter, Webhook
from bridge.errors import Refused
from bridge.line.accounts import Accounts
from bridge.platforms.helpcrunch import adapter as helpcrunch
from bridge.platforms.omnidesk import adapter as omnidesk
from bridge.platforms.webchat import adapter as webchat
from tests.values import NOON

ADAPTERS: dict[str, Adapter[Any]] = {"omnidesk": omnidesk, "webchat": webchat, "helpcrunch": helpcrunch}


def omnidesk_account(name: str, *keys: str) -> Account:
    return omnidesk.account.model_validate(
        {"name": name, "api_keys": list(keys), "chat_servers": ["https://chat.example.com"]}
    )


SITE, SECOND = omnidesk_account("site", "old-key", "new-key"), omnidesk_account("second", "key-of-the-second")
WEB = webchat.account.model_validate({"name": "web"})
SHOP = helpcrunch.account.model_validate({"name": "shop", "api_key": "k" * 20, "agent": 1})


def a_webhook(**changes: Any) -> Webhook:
    return Webhook(**{"method": "POST", "path": "/", "received_at": NOON, **changes})


def found(accounts: Accounts, platform: str, **changes: Any) -> str:
    return accounts.find(platform.split(), a_webhook(**changes)).account.name


def refusal(accounts: Accounts, platform: str, **changes: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        accounts.find(platform.split(), a_webhook(**changes))
    return caught.value.status, caught.value.message


def test_a_key_names_its_account_whichever_of_its_keys_it_is() -> None:
    accounts = Accounts([SITE, SECOND, WEB], ADAPTERS)
    assert found(accounts, "omnidesk", headers={"apikey": "old-key"}) == "site"
    assert found(accounts, "omnidesk", headers={"apikey": "new-key"}) == "site"
    assert found(accounts, "omnidesk", query={"apiKey": "key-of-the-second"}) == "second"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "apiKey: missing"),
        ({"apikey": "wrong"}, "apiKey: wrong; no account has it"),
        ({"apikey": "\udcff"}, "apiKey: wrong; no account has it"),
    ],
)
def test_without_a_right_key_there_is_no_account(headers: dict[str, str], said: str) -> None:
    assert refusal(Accounts([SITE], ADAPTERS), "omnidesk", headers=headers) == (401, said)


def test_the_only_account_of_a_platform_without_keys_is_meant() -> None:
    assert found(Accounts([SITE, WEB], ADAPTERS), "webchat") == "web"


def test_a_platform_without_an_account_is_not_there() -> None:
    assert refusal(Accounts([SITE], ADAPTERS), "webchat")[0] == 404


def test_a_path_may_name_the_account_of_its_platform_only() -> None:
    accounts = Accounts([SITE, SHOP], ADAPTERS)
    assert found(accounts, "helpcrunch", account="shop") == "shop"
    assert found(accounts, "webchat helpcrunch", account="shop") == "shop"
    for name in ("site", "shops", "\udcff", ""):
        status, message = refusal(accounts, "helpcrunch", account=name)
        assert status == 404
        assert message.encode()


def test_accounts_are_listed_and_looked_up_by_name() -> None:
    accounts = Accounts([SITE, WEB], ADAPTERS)
    assert [known.account.name for known in accounts] == ["site", "web"]
    known = accounts.get("web")
    assert known is not None
    assert known.adapter is webchat
    assert accounts.get("nobody") is None
    assert [one.account.name for one in accounts.of_platform("omnidesk")] == ["site"]
