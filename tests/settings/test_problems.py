"""Problems of a file: all at once, each with its place and the next step, none with a secret."""

from pathlib import Path

import pytest

from bridge.settings import Listen
from tests.settings.shop import load, problems


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
    ("option", "problem"),
    [
        ('timeout = "0s"', "timeout: must be above 0 seconds"),
        ('expires = "0"', "expires: must be above 0 seconds"),
        ('burst = "0s"', "burst: must be above 0 seconds"),
        ('burst = "1 minute"', "burst: must be at most 10 seconds"),
    ],
)
def test_bounds_of_durations_are_told_in_words(tmp_path: Path, option: str, problem: str) -> None:
    text = f'[accounts.shop]\nplatform = "shop"\napi_key = "key"\n{option}\n'
    assert problems(tmp_path, text) == [f"bridge.toml: accounts.shop.{problem}"]


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://a/b", "no url", "postgresql://u:hunter2@h:x/d"]
)
def test_what_is_no_store(tmp_path: Path, url: str) -> None:
    [problem] = problems(tmp_path, f'[store]\nurl = "{url}"')
    assert problem.startswith("bridge.toml: store.url: ")
    assert "hunter2" not in problem
