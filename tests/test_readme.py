"""README.md is true: its settings load, its tables, tree and layers are those of the code."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from typer.core import TyperGroup

from bridge.adapter.account import Account
from bridge.adapter.secret import Surroundings
from bridge.cli.app import COMMANDS
from bridge.cli.lazy import load
from bridge.model.delivery import REASONS, STATES
from bridge.observe import Metrics
from bridge.platforms.registry import ADAPTERS
from bridge.settings import (
    LogSettings,
    RulebookSettings,
    ServerSettings,
    Settings,
    StoreSettings,
    load_settings,
)
from tests.end_to_end.server import ROOT
from tests.readme import BLOCKS, README, block, names, table

GOOD: Mapping[str, object] = {
    "host:port": "127.0.0.1:8081",
    "URL": "https://bridge.example.com",
    "size": "2 MiB",
    "duration": "5m",
    "short duration": "2s",
    "list of networks": ["10.0.0.0/8"],
    "path": "elsewhere",
    "time zone": "Europe/Kyiv",
    "text": "words",
    "rate": "60/min",
    "whole number": 7,
    "yes or no": False,
    "table": {"email": "contact.email"},
}
"""For each type that the tables name, a value of it; a store has an address of its own kind."""
AROUND = Surroundings(environ={}, directory=Path("/srv"))


def written(cell: str) -> object:
    """The value that the cell of a default means, as TOML would give it."""
    text = cell.strip("`")
    return tomllib.loads(f"x = {text}")["x"] if re.match(r"[0-9]+$|[\[{]|true$|false$", text) else text


def check_table(rows: list[list[str]], model: type[BaseModel], given: Mapping[str, object]) -> None:
    """Keys, defaults and types of a table are those of the model; `given` is what the model cannot do without."""

    def made(**options: object) -> BaseModel:
        return model.model_validate({**given, **options}, context=AROUND)

    told = {names(row[0])[0].split(".")[-1]: row for row in rows}
    assert list(told) == [name for name in model.model_fields if name != "name"]
    in_words = ("none", "required", "`http://` and `listen`")
    assert made(**{key: written(row[2]) for key, row in told.items() if row[2] not in in_words}) == made()
    for key, row in told.items():
        if key in given:
            continue
        choices = [row[1]] if row[1] in GOOD else re.split(", | or ", row[1])
        good = choices if len(choices) > 1 else ["sqlite:///a.db" if key == "url" else GOOD[row[1]]]
        for value in good:
            made(**{key: value})
        with pytest.raises(ValidationError):
            made(**{key: 1.5})
        if len(choices) > 1:
            with pytest.raises(ValidationError, match=" or ".join(f"'{choice}'" for choice in choices[-2:])):
                made(**{key: "another"})


SECTIONS: Mapping[str, type[BaseModel]] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "rulebook": RulebookSettings,
    "log": LogSettings,
}


def test_the_table_of_settings() -> None:
    rows = table("| key | type | default |")
    sections = {section: [row for row in rows if row[0].startswith(f"`{section}.")] for section in SECTIONS}
    assert [row for section in sections.values() for row in section] == rows
    for section, model in SECTIONS.items():
        check_table(sections[section], model, {})


def test_the_table_of_what_every_account_has() -> None:
    rows = table("Every account may have these keys; each platform's manual has its own in addition:\n\n| key |")
    check_table(rows, Account, {"name": "a", "platform": "omnidesk"})
    assert names(rows[0][3]) == sorted(ADAPTERS)


def settings_of(text: str, directory: Path) -> Settings:
    (directory / "bridge.toml").write_text(text, encoding="utf-8")
    environ = dict.fromkeys(re.findall(r'env = "(\w+)"', text), "a-secret-of-its-own")
    return load_settings(None, environ, working_directory=directory)


@pytest.mark.parametrize("text", [one.text for one in BLOCKS if one.language == "toml"])
def test_the_settings_load(text: str, tmp_path: Path) -> None:
    settings, said = settings_of(text, tmp_path), tomllib.loads(text)
    assert set(settings.accounts) == set(said.get("accounts", {}))
    assert settings.server.public_url == said.get("server", {}).get("public_url", "http://127.0.0.1:8080")


def test_the_variables_of_the_text_are_understood(tmp_path: Path) -> None:
    environ = dict(re.findall(r"`(REPLYBRIDGE_\w+)=([^`\s]+)`", README))
    assert len(environ) == 2
    environ |= {"REPLYBRIDGE_ACCOUNTS__SHOP__PLATFORM": "helpcrunch", "REPLYBRIDGE_ACCOUNTS__SHOP__API_KEY": "k"}
    settings = load_settings(None, environ, working_directory=tmp_path)
    assert str(settings.server.listen) == "0.0.0.0:8080"
    assert getattr(settings.accounts["shop"], "agent", None) == 4188


def test_the_metrics_are_those_that_are_exposed() -> None:
    metrics = Metrics()
    metrics.event("site", "message")
    metrics.duplicate("site")
    metrics.refused(400)
    metrics.match("rule")
    metrics.attempt("site", "sent", "", 0.1)
    metrics.circuit("site", is_open=True)
    metrics.queue("store", 1)
    metrics.rulebook("1")
    metrics.reloaded("taken")
    metrics.watch_deliveries(lambda: {"dead": 1})
    metrics.run_begun(0)
    metrics.run_ended("offer", "done")
    metrics.watch_runs(lambda: {("offer", "running"): 1}, lambda: {("offer", "sent"): 1})
    text = metrics.expose().decode()
    real: dict[str, set[str]] = {}
    for family in re.findall(r"^# HELP (replybridge_\w+)", text, re.MULTILINE):
        labels = set(re.findall(rf"(?:{family}|{family}_bucket)\{{(.*?)\}}", text))
        real[family] = {name for line in labels for name in re.findall(r'(\w+)="', line)} - {"le"}
    told = {names(row[0])[0]: {word.strip() for word in row[1].split(",")} - {""} for row in table("| metric | labels")}
    assert told == {name: labels for name, labels in real.items() if not name.endswith("_created")}


def test_the_states_and_reasons_are_all_explained() -> None:
    assert {names(row[0])[0] for row in table("| reason | meaning")} == set(REASONS)
    assert set(re.findall(r"^- `(\w+)`: ", README.split("**States of a delivery**")[1], re.MULTILINE)) == set(STATES)


def commands(command: Any, typed: str) -> Iterator[tuple[str, set[str]]]:
    """A command, or all of a group, as it is typed, with its options."""
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{typed} {name}")
    else:
        yield typed, {option for parameter in command.params for option in parameter.opts}


def test_the_commands_are_those_that_there_are() -> None:
    rows = {re.split(r" [A-Z\[]", names(row[0])[0])[0]: row[1] for row in table("| command | what it does")}
    assert rows.pop("replybridge --version") == "the version"
    each = (commands(load(name, lazy), f"replybridge {name}") for name, lazy in COMMANDS.items())
    real = dict(chain.from_iterable(each))
    assert rows.keys() == real.keys()
    for command, about in rows.items():
        assert {name.split()[0] for name in names(about) if name.startswith("--")} <= real[command], command


def test_the_platforms_are_those_that_there_are() -> None:
    manuals = [re.findall(r"\((.*?)\)", row[3])[0] for row in table("| platform | events in")]
    assert {Path(manual).parent.name for manual in manuals} == set(ADAPTERS)
    for manual, row in zip(manuals, table("| platform | events in"), strict=True):
        assert (row[1] == "yes") == bool(ADAPTERS[Path(manual).parent.name].routes), manual


def test_the_tree_is_the_real_one() -> None:
    told = {line.split()[0].rstrip("/") for line in block("text", "tree").splitlines()[1:]}
    real = {path.name for path in (ROOT / "bridge").iterdir() if not path.name.startswith("__")}
    assert told == real
    for name in re.findall(r"`([\w/]+/)`", README.split("Beside it:")[1].split("\n\n")[0]):
        assert (ROOT / name).is_dir(), name


def test_the_layers_are_those_that_are_kept() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    # In brackets stands what is not there yet.
    built = [" | ".join(part for part in layer.split(" | ") if not part.startswith("(")) for layer in layers]
    assert block("text", "layers").splitlines() == [layer for layer in built if layer]


def test_the_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    }
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 15
    broken = [link for link in links if not (link[1:] in headings if link[0] == "#" else (ROOT / link).exists())]
    assert broken == []


def test_every_block_is_of_a_kind_that_is_tested_here_or_cannot_be() -> None:
    assert {(one.language, one.name) for one in BLOCKS} == {
        ("text", ""), ("text", "greeting"), ("text", "mistake"), ("text", "received"), ("text", "tree"),
        ("text", "layers"), ("sh", ""), ("sh", "first"), ("sh", "fake"), ("sh", "serve"), ("sh", "omnidesk"),
        ("sh", "backup"), ("sh", "broadcast"), ("text", "broadcast"), ("csv", "audiences/customers.csv"),
        ("yaml", "rules/news.yaml"), ("yaml", "rules/shipping.yaml"), ("yaml", "helpcrunch"), ("yaml", "ways-out"),
            ("toml", ""),
        ("toml", "bridge.toml"), ("nginx", ""), ("ini", ""),
    }  # fmt: skip
