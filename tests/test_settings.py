"""Settings from files and environments as a person writes them, read with two small platforms of our own."""

import json
from collections.abc import Generator, Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BeforeValidator, Field

from bridge.adapter.account import Account, Options, Size
from bridge.adapter.protocol import Adapter, HttpAnswer, Notice, Step, Webhook
from bridge.adapter.secret import Secret, SecretOption
from bridge.errors import SettingsError
from bridge.model.delivery import Delivery, Outcome, Sent
from bridge.model.quantity import Rate
from bridge.platforms.registry import ADAPTERS
from bridge.settings import Listen, Settings, load_settings
from bridge.settings.describe import describe


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


def test_without_a_file_the_bridge_runs_on_loopback_with_a_web_chat(tmp_path: Path) -> None:
    settings = load(tmp_path, None)
    assert settings.file is None
    assert settings.server.listen == Listen(host="127.0.0.1", port=8080)
    assert settings.server.public_url == "http://127.0.0.1:8080"
    assert (settings.server.max_body, settings.server.max_attachment) == (1048576, 10485760)
    assert settings.server.trusted_proxies == ()
    assert settings.store.url == f"sqlite:///{tmp_path}/data/bridge.db"
    assert settings.store.retention == timedelta(days=90)
    assert settings.store.lease == timedelta(seconds=30)
    assert settings.data_directory == tmp_path / "data"
    assert (settings.rulebook.rules, settings.rulebook.templates) == (tmp_path / "rules", tmp_path / "templates")
    assert settings.rulebook.timezone == ZoneInfo("UTC")
    assert (settings.log.format, settings.log.level) == ("auto", "info")
    assert settings.accounts == {"webchat": WebchatAccount(name="webchat", platform="webchat")}


def test_a_whole_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        [server]
        listen = "[::1]:9000"
        public_url = "https://bridge.example.com/chat/"
        max_body = "2 MiB"
        max_attachment = 2048
        trusted_proxies = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"]
        [store]
        url = "sqlite:////var/lib/bridge/b.db"
        retention = 0
        [rulebook]
        rules = "our/rules"
        templates = "/srv/templates"
        timezone = "Europe/Kyiv"
        [log]
        format = "json"
        level = "debug"
        [accounts.shop]
        platform = "shop"
        api_key = { env = "KEY" }
        signing_keys = [{ file = "secrets/sign" }, "old"]
        agent = 4188
        budget = "120/min"
        timeout = "5s"
        domains = ["a.example"]
        networks = ["10.0.0.0/8", "fd00::/8"]
        identity = { email = "contact.email" }
        reply_via = "shop-2"
        hooks = [{ address = "a", retries = 2 }]
        [accounts.shop-2]
        platform = "shop"
        api_key = "other"
        """.replace("secrets/sign", _secret_file(tmp_path)),
        {"KEY": "sesame", "PATH": "/bin"},
    )
    assert settings.file == tmp_path / "bridge.toml"
    assert settings.server.listen == Listen(host="::1", port=9000)
    assert str(settings.server.listen) == "[::1]:9000"
    assert settings.server.public_url == "https://bridge.example.com/chat"
    assert (settings.server.max_body, settings.server.max_attachment) == (2 * 1024**2, 2048)
    assert settings.server.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "fd00::/8", "192.0.2.7/32")))
    assert settings.store.url == "sqlite:////var/lib/bridge/b.db"
    assert settings.data_directory == Path("/var/lib/bridge")
    assert settings.store.retention == timedelta(0)
    assert settings.rulebook.rules == tmp_path / "our/rules"
    assert settings.rulebook.templates == Path("/srv/templates")
    shop = account(settings)
    assert shop.name == "shop"
    assert shop.api_key.reveal() == "sesame"
    assert [key.reveal() for key in shop.signing_keys] == ["signed", "old"]
    assert (shop.agent, shop.budget, shop.timeout) == (4188, Rate(times=120, per=timedelta(minutes=1)), timedelta(0, 5))
    assert shop.networks == [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    assert shop.hooks == (Hook(address="a", retries=2),)
    assert list(settings.accounts) == ["shop", "shop-2"]


def _secret_file(directory: Path) -> str:
    (directory / "secrets").mkdir()
    (directory / "secrets/sign").write_text("signed\n")
    return "secrets/sign"


def test_a_file_that_names_no_web_chat_has_none(tmp_path: Path) -> None:
    assert list(load(tmp_path, SHOP).accounts) == ["shop"]
    assert load(tmp_path, "").accounts == {}


def test_an_environment_that_names_accounts_has_a_web_chat_only_if_it_names_one(tmp_path: Path) -> None:
    shop = {"REPLYBRIDGE_ACCOUNTS__SHOP__PLATFORM": "shop", "REPLYBRIDGE_ACCOUNTS__SHOP__API_KEY": "k"}
    assert list(load(tmp_path, None, shop).accounts) == ["shop"]
    titled = load(tmp_path, None, {"REPLYBRIDGE_ACCOUNTS__WEBCHAT__TITLE": "Help"})
    assert titled.accounts == {"webchat": WebchatAccount(name="webchat", platform="webchat", title="Help")}


def test_paths_are_relative_to_the_file_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/my.toml").write_text('[rulebook]\nrules = "r"\n')
    given_path = load_settings(Path("etc/my.toml"), {}, OURS, tmp_path)
    by_variable = load_settings(None, {"REPLYBRIDGE_CONFIG": "etc/my.toml"}, OURS, tmp_path)
    assert given_path.rulebook.rules == tmp_path / "etc/r"
    assert given_path.directory == tmp_path / "etc"
    assert by_variable == given_path


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^my\.toml: there is no such file$"):
        load_settings(Path("my.toml"), {}, OURS, tmp_path)
    with pytest.raises(SettingsError, match=r"^environment REPLYBRIDGE_CONFIG: my\.toml: there is no such file$"):
        load_settings(None, {"REPLYBRIDGE_CONFIG": "my.toml"}, OURS, tmp_path)
    with pytest.raises(SettingsError, match=r"cannot be read: Is a directory"):
        load_settings(tmp_path, {}, OURS, tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[server\n", "bridge.toml:1:8: Expected ']' at the end of a table declaration"),
        ('[server]\nlisten = "x', "bridge.toml:2:12: "),
        ('[server]\nlisten = "a"\nlisten = "b"\n', "bridge.toml:3:13: this key or table was given before"),
        ("[log]\n[log]\n", "bridge.toml:2:5: this key or table was given before"),
        ("x = " + "[" * 5000, "bridge.toml: not readable as TOML: "),
    ],
)
def test_what_is_not_toml_is_told_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_bytes(b"# caf\xe9\n")
    assert problems(tmp_path, None) == ["bridge.toml: byte 6 is not UTF-8 text: save the file as UTF-8"]
    (tmp_path / "bridge.toml").write_bytes(b"\xef\xbb\xbf" + SHOP.encode())
    assert list(load(tmp_path, None).accounts) == ["shop"]


def test_every_problem_is_told_at_once_and_none_shows_a_value_of_a_secret(tmp_path: Path) -> None:
    text = """
        [server]
        lissten = "127.0.0.1:80"
        listen = "127.0.0.1:99999"
        max_body = "much"
        trusted_proxies = ["10.0.0.1/8"]
        [store]
        url = "sqlight:///hunter2"
        retention = "a while"
        lease = "10ms"
        [rulebook]
        timezone = "Europe/Kiew"
        [log]
        level = "loud"
        [sever]
        [accounts.shop]
        platform = "shop"
        signing_keys = "hunter2"
        either = ["hunter2", 7]
        agent = "hunter2"
        max_in_flight = 5000
        domains = [1]
        networks = [5]
        bott = true
        hooks = [{ address = "a", retry = 1 }, { retries = 10 }]
        timeout = 5
        budget = 120
        [accounts.mall]
        platform = "shopp"
        api_key = "hunter2"
        [accounts.kiosk]
        api_key = "hunter2"
        [accounts.wrong]
        platform = "shop"
        api_key = { value = "hunter2" }
        name = "right"
        [accounts."a b"]
        platform = "shop"
        [accounts.numbered]
        platform = "shop"
        api_key = 4242424242
    """
    found = problems(tmp_path, text)
    assert found == [
        'bridge.toml: sever: unknown key (did you mean "server"?)',
        "bridge.toml: server.listen: 99999 is not a port: ports go from 0 (any that is free) to 65535",
        'bridge.toml: server.max_body: "much" is not a size: write a number and B, kB, KiB, MB, MiB or GiB, '
        'for example "1 MiB"',
        "bridge.toml: server.trusted_proxies (item 1): 10.0.0.1/8 has host bits set: write for example 203.0.113.7 or "
        "203.0.113.0/24",
        'bridge.toml: server.lissten: unknown key (did you mean "listen"?)',
        'bridge.toml: store.url: must be "sqlite:///data/bridge.db" or "postgresql://user@host/db"',
        'bridge.toml: store.retention: "a while" is not a duration: write a number and ms, s, m, h, d or w, '
        'for example "10m"',
        "bridge.toml: store.lease: must be at least 1 second",
        'bridge.toml: rulebook.timezone: "Europe/Kiew" is not a time zone (did you mean "Europe/Kiev"?)',
        "bridge.toml: log.level: must be 'debug', 'info', 'warning' or 'error'",
        'bridge.toml: accounts.shop.timeout: must be a duration, for example "10m"',
        'bridge.toml: accounts.shop.budget: must be a rate, for example "120/min"',
        "bridge.toml: accounts.shop.max_in_flight: must be at most 1000",
        "bridge.toml: accounts.shop.api_key: missing",
        'bridge.toml: accounts.shop.signing_keys: must be a list, for example ["a", "b"]',
        'bridge.toml: accounts.shop.either: a secret is { env = "NAME" }, { file = "path" } or a text that is not '
        "empty",
        'bridge.toml: accounts.shop.either (item 2): a secret is { env = "NAME" }, { file = "path" } or a text that '
        "is not empty",
        "bridge.toml: accounts.shop.agent: must be a whole number",
        "bridge.toml: accounts.shop.domains (item 1): must be a text",
        'bridge.toml: accounts.shop.hooks (item 1).retry: unknown key (did you mean "retries"?)',
        "bridge.toml: accounts.shop.hooks (item 2).address: missing",
        "bridge.toml: accounts.shop.hooks (item 2).retries: must be at most 9",
        "bridge.toml: accounts.shop.networks (item 1): must be a text",
        'bridge.toml: accounts.shop.bott: unknown key (did you mean "bot"?)',
        'bridge.toml: accounts.mall.platform: "shopp" is not a platform (did you mean "shop"?)',
        "bridge.toml: accounts.kiosk.platform: missing: one of shop, webchat",
        "bridge.toml: accounts.wrong.name: the account is called wrong by its table; leave this key out",
        'bridge.toml: accounts.a b: the name of an account has only letters, digits, "-" and "_"',
        'bridge.toml: accounts.numbered.api_key: a secret is { env = "NAME" }, { file = "path" } or a text that '
        "is not empty",
    ]
    assert not any("hunter2" in line or "4242" in line for line in found)


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ('{ env = "NO_SUCH" }', "the environment variable NO_SUCH is not set"),
        ('{ env = "EMPTY" }', "the environment variable EMPTY is not set"),
        ('{ file = "no/such" }', "the file no/such cannot be read: No such file or directory"),
        ('{ env = "HOME", file = "x" }', 'a secret is { env = "NAME" }, { file = "path" } or a text that is not empty'),
        ('""', 'a secret is { env = "NAME" }, { file = "path" } or a text that is not empty'),
    ],
)
def test_a_secret_that_is_not_there(tmp_path: Path, secret: str, problem: str) -> None:
    text = f'[accounts.shop]\nplatform = "shop"\napi_key = {secret}\n'
    assert problems(tmp_path, text, {"EMPTY": ""}) == [f"bridge.toml: accounts.shop.api_key: {problem}"]


@pytest.mark.parametrize("section", ["server = 5", "accounts = 5", "[accounts]\nshop = 5", "[[store]]"])
def test_a_section_that_is_no_table(tmp_path: Path, section: str) -> None:
    [problem] = problems(tmp_path, section)
    assert problem.startswith("bridge.toml: ")
    assert "must be " in problem
    assert "table" in problem


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        ("[::]:65535", "::", 65535),
        ("my-host.example:1", "my-host.example", 1),
    ],
)
def test_where_to_listen(tmp_path: Path, text: str, host: str, port: int) -> None:
    settings = load(tmp_path, f'[server]\nlisten = "{text}"')
    assert settings.server.listen == Listen(host=host, port=port)
    assert settings.server.public_url == f"http://{text}"


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "::1:80", "[::g]:80", "1.2.3:80", "h:-1", "h:70000", "h:80 ", "a b:80", ""]
)
def test_where_not_to_listen(tmp_path: Path, text: str) -> None:
    [problem] = problems(tmp_path, f'[server]\nlisten = "{text}"')
    assert problem.startswith("bridge.toml: server.listen: ")


@pytest.mark.parametrize(
    "url",
    ["bridge.example.com", "ftp://a.example", "https://", "https://u:p@a.example", "https://a.example/?x", "http://a b",
     "ftp://u:p@a.example", "http://u:p@a b", "http://u:p@a.example:99999",
     "http://[::1", "http://a.example:99999", "https://a.example/#", "http://a.example:0"],
)  # fmt: skip
def test_what_is_no_public_address(tmp_path: Path, url: str) -> None:
    [problem] = problems(tmp_path, f'[server]\npublic_url = "{url}"')
    assert problem.startswith("bridge.toml: server.public_url: ")
    assert "u:p" not in problem


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://a/b", "no url", "postgresql://u:hunter2@h:x/d"]
)
def test_what_is_no_store(tmp_path: Path, url: str) -> None:
    [problem] = problems(tmp_path, f'[store]\nurl = "{url}"')
    assert problem.startswith("bridge.toml: store.url: ")
    assert "hunter2" not in problem


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


def test_what_is_shown_of_settings_has_no_secrets(tmp_path: Path) -> None:
    text = SHOP.replace("sesame", "hunter2") + (
        'signing_keys = ["hunter2"]\neither = "hunter2"\nchat_token = "hunter2"\nbudget = "2/s"\n'
        '[store]\nurl = "postgresql://bridge:hunter2@db/bridge?password=hunter2"\n'
    )
    settings = load(tmp_path, text)
    shown = describe(settings)
    assert "hunter2" not in json.dumps(shown)
    assert "hunter2" not in repr(load(tmp_path, text.replace('chat_token = "hunter2"', "")))
    assert settings.data_directory == tmp_path / "data"
    assert shown["store"] == {
        "url": "postgresql://bridge:***@db/bridge",
        "retention": "90d",
        "lease": "30s",
        "data": str(tmp_path / "data"),
    }
    accounts = shown["accounts"]
    assert isinstance(accounts, dict)
    shop = accounts["shop"]
    assert (shop["api_key"], shop["signing_keys"], shop["either"]) == ("<secret>", ["<secret>"], "<secret>")
    assert (shop["chat_token"], shop["agent"], shop["budget"]) == ("<secret>", None, "2 in 1s")


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = load(tmp_path, SHOP)
    with pytest.raises(AttributeError):
        settings.file = None  # type: ignore[misc]  # that it is refused is what is tested
    with pytest.raises(ValueError, match="frozen"):
        settings.server.max_body = 1  # type: ignore[misc]  # as above


values = st.recursive(
    st.text(max_size=8) | st.integers() | st.booleans() | st.floats() | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abenvfilx_", min_size=1), inner, max_size=3),
    max_leaves=5,
)
A_SHOP = {("accounts.shop", "platform"): "shop", ("accounts.shop", "api_key"): "sesame"}
keys = st.sampled_from(
    [("server", "listen"), ("server", "trusted_proxies"), ("store", "url"), ("store", "retention"), ("log", "level"),
     ("rulebook", "timezone"), ("rulebook", "rules"), ("accounts", "shop"), ("accounts", "x"), ("a.b", "c")]
    + [("accounts.shop", key) for key in ShopAccount.model_fields]
)  # fmt: skip


@given(st.dictionaries(keys, values, min_size=1, max_size=4))
def test_anything_is_settings_or_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, document: dict[tuple[str, str], Any]
) -> None:
    directory = tmp_path_factory.getbasetemp()
    file = directory / "any.toml"
    lines = [f"{section}.{json.dumps(key)} = {_toml(value)}" for (section, key), value in (A_SHOP | document).items()]
    file.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    assert all(line.startswith(f"{file}:") for line in _told(file, {}, directory))


@given(st.dictionaries(keys, st.text(), min_size=1, max_size=4))
def test_any_environment_is_settings_or_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, document: dict[tuple[str, str], str]
) -> None:
    environ = {
        f"REPLYBRIDGE_{section.replace('.', '__')}__{key}".upper(): text
        for (section, key), text in (A_SHOP | document).items()
    }
    directory = tmp_path_factory.getbasetemp() / "empty"
    assert all(line.startswith("environment REPLYBRIDGE_") for line in _told(None, environ, directory))


def _told(file: Path | None, environ: Mapping[str, str], directory: Path) -> list[str]:
    """The lines of the SettingsError; none if these are settings, which can then be shown."""
    try:
        assert describe(load_settings(file, environ, OURS, directory))
    except SettingsError as error:
        return str(error).split("\n")
    return []


def _toml(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case float():
            return repr(value)
    return json.dumps(value)


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
