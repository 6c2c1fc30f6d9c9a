"""A command loads what it needs and nothing else; the help loads none of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli.app import COMMANDS
from bridge.cli.lazy import load
from tests.cli.typed import typed

HEAVY = {"aiohttp", "alembic", "apscheduler", "httptools", "prometheus_client", "sqlalchemy", "structlog"}


def loaded(statement: str) -> set[str]:
    """The modules that a new process has after a statement."""
    asked = f"import sys\n{statement}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("module", ["check", "schema"])
def test_what_works_with_files_loads_neither_server_nor_store(module: str) -> None:
    assert loaded(f"import bridge.cli.{module}") & HEAVY == set()


def test_a_check_loads_the_platforms_that_accounts_are_on_and_no_holidays(tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text('[accounts.chat]\nplatform = "webchat"\n')
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.yaml").write_text("rules:\n  - {name: a, on: message, do: [reply: {text: hello}]}\n")
    config = str(tmp_path / "bridge.toml")
    modules = loaded(
        "import typer\nfrom pathlib import Path\nfrom bridge.cli.check import check\n"
        f"try: check(Path({config!r}))\nexcept typer.Exit as end: assert end.exit_code == 0"
    )
    platforms = {name.split(".")[2] for name in modules if name.startswith("bridge.platforms.")}
    assert platforms == {"registry", "webchat"}
    assert "holidays" not in modules


def test_the_help_loads_no_command() -> None:
    modules = loaded("from bridge.cli import app\ntry: app(['--help'])\nexcept SystemExit: pass")
    assert {name for name in modules if name.startswith("bridge.")} == {
        "bridge.cli",
        "bridge.cli.app",
        "bridge.cli.lazy",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says(name: str) -> None:
    own = load(name, COMMANDS[name]).help
    assert COMMANDS[name].about == " ".join(own.split("\n\n")[0].split())


def test_an_unknown_command_is_told_with_the_nearest(tmp_path: Path) -> None:
    done = typed(tmp_path, "expain")
    assert done.returncode == 2
    assert "No such command 'expain'" in done.stderr
    assert "'explain'" in done.stderr


def test_a_group_without_a_command_shows_its_help(tmp_path: Path) -> None:
    assert "replay" in typed(tmp_path, "deliveries").stderr + typed(tmp_path, "deliveries", "--help").stdout
