"""README.md followed to the letter: its rules are loaded, its commands run, and what they print is what it says."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

import pytest

from tests.cli.typed import typed
from tests.end_to_end.server import ROOT, Server, free_port
from tests.readme import BLOCKS, block, names, table


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
            self._fake.wait(60)
            self._received.write_text("")

    def received(self) -> str:
        return self._received.read_text(encoding="utf-8")

    def wait_for(self, look: Callable[[], str], words: str) -> None:
        """Ask until the answer has these words in it."""
        for _ in range(1200):
            if words in look():
                return
            Event().wait(0.05)
        pytest.fail(f"{words!r} never came; at last: {look()}")


@pytest.fixture
def curl() -> None:
    if shutil.which("curl") is None:
        missing = "curl is not installed (apt-get install curl): the page's commands cannot be run"
        if os.environ.get("TEST_EVERY_PART") == "1":
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
    Place(tmp_path, re.sub(r'\{ env = "(\w+)" \}', r'"\1"', settings))
    (tmp_path / "rules" / "quote.yaml").write_text(block("yaml", "helpcrunch"), encoding="utf-8")
    told = typed(tmp_path, "check")
    assert (told.returncode, told.stderr) == (0, ""), told.stdout


def test_what_is_said_of_connecting_platforms(tmp_path: Path) -> None:
    """Each of the settings is sound, and so is a rule with the settings before it."""
    shown = [one for one in BLOCKS if one.heading.startswith("Connect platforms") and one.language in ("toml", "yaml")]
    assert [one.language for one in shown].count("toml") == 5
    places = []
    for number, one in enumerate(shown):
        if one.language == "toml":
            places.append(Place(tmp_path / str(number), re.sub(r'\{ env = "\w+" \}', '"0123456789abcdef"', one.text)))
        else:
            (places[-1].server.directory / "rules" / "shown.yaml").write_text(one.text, encoding="utf-8")
    for place in places:
        told = typed(place.server.directory, "check")
        assert (told.returncode, "all sound" in told.stdout) == (0, True), told


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
                        place.wait_for(lambda: str(place.server.rows("SELECT state FROM deliveries")), "dead")
                    code, output = place.run(step.text)
                    assert code == 0, output
                case "text", "received":
                    place.wait_for(place.received, step.text)
                case "text", "":
                    assert as_shown(output) == as_shown(step.text)
            done.append(step.name or step.language)
        place.wait_for(place.received, "fedcba9876543210")
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
        code, answer = place.run(block("sh", "backup"))
        assert (code, answer.partition(":")[0]) == (0, "backup.tar")
    finally:
        place.stop_fake()
        place.server.kill()
    (tmp_path / "restored").mkdir()
    subprocess.run(["tar", "-xf", "backup.tar", "-C", "restored"], cwd=tmp_path, check=True)
    with sqlite3.connect(tmp_path / "restored/bridge.db") as copy:
        assert copy.execute("SELECT count(*) FROM deliveries").fetchone() == (1,)


def test_every_command_of_the_table_exists(tmp_path: Path) -> None:
    for row in table("| command | what it does"):
        words = [word for word in names(row[0])[0].split()[1:] if word.islower() or word.startswith("-")]
        shown = typed(tmp_path, *words, "--help")
        help_text = shown.stdout
        assert shown.returncode == 0, help_text
        options = {word.split()[0] for word in names(row[1]) if word.startswith("--")}
        assert {option for option in options if option not in help_text} == set(), help_text
