"""Settings from the environment, and its problems by the names of variables."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

from bridge.model.quantity import Rate
from bridge.settings import Listen
from tests.settings.shop import SHOP, account, load, problems


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        SHOP + 'agent = 1\n[accounts.Two-Words]\nplatform = "shop"\napi_key = "b"\n[server]\nmax_body = "1 B"',
        {
            "REPLYBRIDGE_SERVER__LISTEN": "0.0.0.0:80",
            "REPLYBRIDGE_SERVER__MAX_BODY": "4096",
            "REPLYBRIDGE_SERVER__TRUSTED_PROXIES": '["10.0.0.0/8"]',
            "REPLYBRIDGE_STORE__RETENTION": "0",
            "REPLYBRIDGE_LOG__LEVEL": "error",
            "REPLYBRIDGE_ACCOUNTS__SHOP__API_KEY": "1234",
            "REPLYBRIDGE_ACCOUNTS__SHOP__AGENT": "4188",
            "REPLYBRIDGE_ACCOUNTS__SHOP__BOT": "true",
            "REPLYBRIDGE_ACCOUNTS__SHOP__DOMAINS": '["a", "b"]',
            "REPLYBRIDGE_ACCOUNTS__SHOP__SIGNING_KEYS": '[{ env = "SIGN" }, "x"]',
            "REPLYBRIDGE_ACCOUNTS__SHOP__IDENTITY__EMAIL": "contact.email",
            "REPLYBRIDGE_ACCOUNTS__SHOP__BUDGET": "5/s",
            "REPLYBRIDGE_ACCOUNTS__TWO_WORDS__AGENT": "7",
            "REPLYBRIDGE_ACCOUNTS__SHOP__BASE_URL": "",
            "SIGN": "signed",
        },
    )
    assert settings.server.listen == Listen(host="0.0.0.0", port=80)
    assert settings.server.max_body == 4096
    assert settings.server.trusted_proxies == (ip_network("10.0.0.0/8"),)
    assert settings.store.retention == timedelta(0)
    assert settings.log.level == "error"
    shop = account(settings)
    assert shop.api_key.reveal() == "1234"
    assert (shop.agent, shop.bot, shop.domains, shop.base_url) == (4188, True, ["a", "b"], None)
    assert [key.reveal() for key in shop.signing_keys] == ["signed", "x"]
    assert shop.identity == {"email": "contact.email"}
    assert shop.budget == Rate(times=5, per=timedelta(seconds=1))
    assert account(settings, "Two-Words").agent == 7


def test_problems_of_the_environment_name_the_variable(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        SHOP,
        {
            "REPLYBRIDGE_CONFIGG": "x",
            "REPLYBRIDGE_SERVER__LISSTEN": "x",
            "REPLYBRIDGE_SERVR__LISTEN": "x",
            "REPLYBRIDGE_SERVER__LISTEN__PORT": "1",
            "REPLYBRIDGE_SERVER__MAX_BODY": "0",
            "REPLYBRIDGE_ACCOUNTS__SHOP__AGENT": "hunter2",
            "REPLYBRIDGE_ACCOUNTS__SHOP__SIGNING_KEYS": "hunter2",
            "REPLYBRIDGE_ACCOUNTS__SHOP__API_KEY__ENV": "hunter2",
            "REPLYBRIDGE_ACCOUNTS__SHOP__DOMAINS": '["a"]\nbot = true',
            "REPLYBRIDGE_ACCOUNTS__SHOP__HOOKS": '[{ address = "a" }, { address = 5 }]',
            "REPLYBRIDGE_ACCOUNTS__SHOPP__AGENT": "5",
        },
    )
    assert found == [
        "environment REPLYBRIDGE_ACCOUNTS__SHOP__API_KEY__ENV: accounts.shop.api_key is not a table of keys "
        "(bridge.toml: accounts.shop.api_key)",
        'environment REPLYBRIDGE_CONFIGG: unknown key (did you mean "REPLYBRIDGE_CONFIG"?)',
        'environment REPLYBRIDGE_SERVR__LISTEN: unknown key (did you mean "REPLYBRIDGE_SERVER__LISTEN"?)',
        'environment REPLYBRIDGE_SERVER__LISTEN: must be "host:port", for example "127.0.0.1:8080" or "[::1]:8080"',
        "environment REPLYBRIDGE_SERVER__MAX_BODY: must be at least 1",
        'environment REPLYBRIDGE_SERVER__LISSTEN: unknown key (did you mean "listen"?)',
        'environment REPLYBRIDGE_ACCOUNTS__SHOP__SIGNING_KEYS: must be a list, for example ["a", "b"]',
        "environment REPLYBRIDGE_ACCOUNTS__SHOP__AGENT: must be a whole number",
        'environment REPLYBRIDGE_ACCOUNTS__SHOP__DOMAINS: must be a list, for example ["a", "b"]',
        "environment REPLYBRIDGE_ACCOUNTS__SHOP__HOOKS: (item 2).address: must be a text",
        'environment REPLYBRIDGE_ACCOUNTS__SHOPP__PLATFORM: missing: one of shop, webchat (did you mean "shop"?)',
    ]
    assert not any("hunter2" in line for line in found)


def test_what_is_missing_without_a_file_is_told_as_a_variable(tmp_path: Path) -> None:
    found = problems(tmp_path, None, {"REPLYBRIDGE_ACCOUNTS__SHOP__PLATFORM": "shop"})
    assert found == ["environment REPLYBRIDGE_ACCOUNTS__SHOP__API_KEY: missing"]


def test_values_that_no_setting_can_have(tmp_path: Path) -> None:
    deep = "[" * 300 + "]" * 300
    assert problems(tmp_path, SHOP + f"domains = {deep}") == [
        "bridge.toml: accounts.shop.domains (item 1): must be a text"
    ]
    far = ".".join("a" * 5000)
    assert problems(tmp_path, f"{far} = 1") == ["bridge.toml: tables in tables are nested too deeply"]
    long = "9" * 4000
    assert problems(tmp_path, SHOP + f"agent = {long}\nlimit = {long}\nmax_in_flight = {long}") == [
        "bridge.toml: accounts.shop.max_in_flight: must be at most 1000",
    ]
    assert problems(tmp_path, SHOP, {"REPLYBRIDGE_LOG__LEVEL": "\udc80"}) == [
        "environment REPLYBRIDGE_LOG__LEVEL: is not UTF-8 text"
    ]


def test_variables_that_are_not_for_us_are_left_alone(tmp_path: Path) -> None:
    text = '[accounts.shop]\nplatform = "shop"\napi_key = { env = "REPLYBRIDGE_SHOP_KEY" }\n'
    kubernetes = {
        "REPLYBRIDGE_SERVICE_HOST": "10.0.0.1",
        "REPLYBRIDGE_SERVICE_PORT": "80",
        "REPLYBRIDGE_SERVICE_PORT_HTTP": "80",
        "REPLYBRIDGE_PORT": "tcp://10.0.0.1:80",
        "REPLYBRIDGE_PORT_80_TCP_ADDR": "10.0.0.1",
        "REPLYBRIDGE_CONSOLE_PORT": "tcp://10.0.0.2:80",
    }
    settings = load(tmp_path, text, {"REPLYBRIDGE_SHOP_KEY": "sesame", **kubernetes})
    assert account(settings).api_key.reveal() == "sesame"
