"""Whatever a file or an environment says, it is settings or told in words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import SettingsError
from bridge.settings import load_settings
from bridge.settings.describe import describe
from tests.settings.shop import OURS, ShopAccount

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
