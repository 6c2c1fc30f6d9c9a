"""What is shown of settings, and that nobody changes them."""

import json
from pathlib import Path

import pytest

from bridge.settings.describe import describe
from tests.settings.shop import SHOP, load


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
