"""README.md is true: its commands are run against the real command, its tables compared with the code."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from pydantic import BaseModel, ValidationError

from bridge.adapter.account import Account
from bridge.adapter.secret import Surroundings
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
from tests.end_to_end.server import ROOT, Server, free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced block: its language, the word after it, its text, and the heading of `##` above it."""

    language: str
    name: str
    text: str
    heading: str


def blocks() -> Iterator[Block]:
    heading, lines = "", iter(README.splitlines())
    for line in lines:
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif fence := re.fullmatch(r"( *)```(\w+) ?(\S*)", line):
            inside = []
            while (line := next(lines)).strip() != "```":
                inside.append(line.removeprefix(fence[1]))
            yield Block(language=fence[2], name=fence[3], text="\n".join(inside) + "\n", heading=heading)


BLOCKS = list(blocks())


def block(language: str, name: str) -> str:
    (found,) = [one.text for one in BLOCKS if (one.language, one.name) == (language, name)]
    return found


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first line begins like this."""
    rows = README.split(f"\n{head}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# ---------------------------------------------------------------- settings


GOOD: Mapping[str, object] = {
    "host:port": "127.0.0.1:8081",
    "URL": "https://bridge.example.com",
    "size": "2 MiB",
    "duration": "5m",
    "list of networks": ["10.0.0.0/8"],
    "path": "elsewhere",
    "time zone": "Europe/Kyiv",
    "text": "words",
    "rate": "60/min",
    "whole number": 7,
    "table": {"email": "contact.email"},
}
"""For each type that the tables name, a value of it; a store has an address of its own kind."""
AROUND = Surroundings(environ={}, directory=Path("/srv"))


def written(cell: str) -> object:
    """The value that the cell of a default means, as TOML would give it."""
    text = cell.strip("`")
    return tomllib.loads(f"x = {text}")["x"] if re.match(r"[0-9]+$|[\[{]", text) else text


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
        choices = re.split(", | or ", row[1])
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


# ---------------------------------------------------------------- tables


def test_the_metrics_are_those_that_are_exposed() -> None:
    metrics = Metrics()
    metrics.event("site", "message")
    metrics.duplicate("site")
    metrics.refused(400)
    metrics.match("rule")
    metrics.attempt("site", "sent", "", 0.1)
    metrics.queue("store", 1)
    metrics.rulebook("1")
    metrics.watch_deliveries(lambda: {"dead": 1})
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


def test_the_platforms_are_those_that_there_are() -> None:
    manuals = [re.findall(r"\((.*?)\)", row[3])[0] for row in table("| platform | events in")]
    assert {Path(manual).parent.name for manual in manuals} == set(ADAPTERS)
    takes_events = {
        Path(m).parent.name: row[1] for m, row in zip(manuals, table("| platform | events in"), strict=True)
    }
    assert takes_events == {name: "yes" if adapter.routes else "not yet" for name, adapter in ADAPTERS.items()}


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


# ---------------------------------------------------------------- rules and commands


def as_shown(text: str) -> str:
    """Output without what differs from run to run: times, widths, ports."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", text)
    text = re.sub(r"\b\d+ ms\b", "<ms>", text)
    return "\n".join(re.sub(r"\s+", " ", line).strip() for line in re.sub("─+", "─", text).splitlines())


class Place:
    """A newcomer's folder: the samples, `replybridge` and `python` on the path, and ports of its own."""

    def __init__(self, directory: Path, settings: str = "") -> None:
        self.fake_port = free_port()
        self.server = Server(directory, {"bridge.toml": self.here(settings, 8080)} if settings else {})
        for folder in ("rules", "templates"):
            shutil.copytree(ROOT / folder, directory / folder)
        programs = directory / "programs"
        programs.mkdir()
        for name, words in {"replybridge": "-m bridge", "python": ""}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            (programs / name).chmod(0o755)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REPLYBRIDGE_")}
        self._environ: Mapping[str, str] = {
            **inherited,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }
        self._fake: subprocess.Popen[bytes] | None = None
        self._received = directory / "received.log"

    def here(self, text: str, own: int) -> str:
        """`text` with this place's ports, and with the fake where a chat server stands."""
        text = text.replace("127.0.0.1:9000", f"127.0.0.1:{self.fake_port}")
        text = text.replace("https://chat.example.com", f"http://127.0.0.1:{self.fake_port}")
        return text.replace("--port 9000", f"--port {self.fake_port}").replace("127.0.0.1:8080", f"127.0.0.1:{own}")

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command of the page; gives its exit code and what it printed, with the page's ports."""
        done = subprocess.run(
            ["sh", "-c", self.here(command, self.server.port)],
            cwd=self.server.directory,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        # curl draws its progress on standard error.
        shown = done.stdout + ("" if command.startswith("curl") else done.stderr)
        return done.returncode, shown.replace(f"127.0.0.1:{self.fake_port}", "127.0.0.1:9000")

    def start_fake(self, command: str) -> None:
        self.stop_fake()
        with self._received.open("ab") as log:
            self._fake = subprocess.Popen(
                ["sh", "-c", f"exec {self.here(command, self.server.port)}"],
                cwd=self.server.directory,
                env=self._environ,
                stdout=log,
            )
        self.wait_for(self.received, f"http://127.0.0.1:{self.fake_port}")

    def stop_fake(self) -> None:
        if self._fake is not None:
            self._fake.terminate()
            self._fake.wait(10)
            self._received.write_text("")

    def received(self) -> str:
        return self._received.read_text(encoding="utf-8")

    def wait_for(self, look: Callable[[], str], words: str) -> None:
        """Ask until the answer has these words in it."""
        for _ in range(300):
            if words in look():
                return
            Event().wait(0.05)
        pytest.fail(f"{words!r} never came; at last: {look()}")


@pytest.fixture
def curl() -> None:
    if shutil.which("curl") is None:
        missing = "curl is not installed (apt-get install curl): the page's commands cannot be run"
        if os.environ.get("REPLYBRIDGE_REQUIRE_ALL") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


def test_the_first_rule(tmp_path: Path) -> None:
    place = Place(tmp_path)
    written = tmp_path / "rules" / "shipping.yaml"
    written.write_text(block("yaml", "rules/shipping.yaml"), encoding="utf-8")
    shown = [one.text for one in BLOCKS if one.heading.startswith("Your first rule") and one.language == "text"]
    assert place.run(block("sh", "first")) == (0, shown[0])
    written.write_text(block("yaml", "rules/shipping.yaml").replace("on: message", "on: mesage"), encoding="utf-8")
    assert place.run(block("sh", "first")) == (1, block("text", "mistake"))


def test_the_rule_for_helpcrunch(tmp_path: Path) -> None:
    settings = next(one.text for one in BLOCKS if one.language == "toml" and "[accounts.shop]" in one.text)
    place = Place(tmp_path, re.sub(r'\{ env = "(\w+)" \}', r'"\1"', settings))
    (tmp_path / "rules" / "quote.yaml").write_text(block("yaml", "helpcrunch"), encoding="utf-8")
    assert place.run("replybridge check")[0] == 0, place.run("replybridge check")


def test_the_walk_through(tmp_path: Path, curl: None) -> None:
    steps = [one for one in BLOCKS if one.heading.startswith("Walk-through")]
    place = Place(tmp_path, block("toml", "bridge.toml"))
    output, done = "", []
    try:
        for step in steps:
            match step.language, step.name:
                case "sh", "fake":
                    place.start_fake(step.text)
                case "sh", "serve":
                    place.server.start()
                case "sh", "":
                    if "--state dead" in step.text:
                        place.wait_for(lambda: place.run("replybridge deliveries list")[1], "dead")
                    code, output = place.run(step.text)
                    assert code == 0, output
                case "text", "received":
                    place.wait_for(place.received, step.text)
                case "text", "":
                    assert as_shown(output) == as_shown(step.text)
            done.append(step.name or step.language)
        place.wait_for(place.received, "abcdef0123456789")
        assert place.run("replybridge deliveries list --state dead")[1] == "no deliveries like that\n"
    finally:
        place.stop_fake()
        place.server.kill()
    assert done.count("fake") == 3
    assert done.count("sh") == 6


def test_the_call_of_a_chat_server_and_the_backup(tmp_path: Path, curl: None) -> None:
    settings = next(one.text for one in BLOCKS if "blacklisted_ips" in one.text)
    place = Place(tmp_path, settings.replace('{ env = "SITE_API_KEY" }', '"KEY"'))
    try:
        place.start_fake(next(one.text for one in BLOCKS if one.name == "fake"))
        place.server.start()
        code, answer = place.run(block("sh", "omnidesk"))
        assert (code, answer) == (0, '{"type":"result","message":"Message sent.","ticketID":7973981186309355}')
        place.wait_for(place.received, "price list")
        assert place.run(block("sh", "backup")) == (0, "")
    finally:
        place.stop_fake()
        place.server.kill()
    with sqlite3.connect(tmp_path / "backup.db") as copy:
        assert copy.execute("SELECT count(*) FROM deliveries").fetchone() == (1,)


def test_every_command_of_the_table_exists(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for row in table("| command | what it does"):
        words = [word for word in names(row[0])[0].split() if word.islower() or word.startswith("-")]
        code, help_text = place.run(" ".join([*words, "--help"]))
        assert code == 0, help_text
        options = {word.split()[0] for word in names(row[1]) if word.startswith("--")}
        assert {option for option in options if option not in help_text} == set(), help_text


def test_every_block_is_of_a_kind_that_is_tested_here_or_cannot_be() -> None:
    assert {(one.language, one.name) for one in BLOCKS} == {
        ("text", ""), ("text", "greeting"), ("text", "mistake"), ("text", "received"), ("text", "tree"),
        ("text", "layers"), ("sh", ""), ("sh", "first"), ("sh", "fake"), ("sh", "serve"), ("sh", "omnidesk"),
        ("sh", "backup"), ("yaml", "rules/shipping.yaml"), ("yaml", "helpcrunch"), ("toml", ""),
        ("toml", "bridge.toml"), ("nginx", ""), ("ini", ""),
    }  # fmt: skip
