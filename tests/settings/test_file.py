"""Settings from a file: found, read, whole."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.errors import SettingsError
from bridge.model.quantity import Rate
from bridge.settings import Listen, load_settings
from tests.settings.shop import OURS, SHOP, Hook, WebchatAccount, account, load, problems


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
