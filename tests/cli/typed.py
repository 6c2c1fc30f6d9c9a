"""A command as it is typed, run in the test's own process: starting a process for each would take a second each."""

from pathlib import Path
from subprocess import CompletedProcess

from typer.testing import CliRunner

from bridge.cli import app


def typed(directory: Path, *arguments: str, given: str | bytes | None = None) -> CompletedProcess[str]:
    """What `replybridge ...` prints with the settings of `directory`, which is left out of what is printed.

    `given` is its standard input, a pipe.
    """
    environ = {"REPLYBRIDGE_CONFIG": str(directory / "bridge.toml")}
    done = CliRunner(env=environ).invoke(app, arguments, input=given, prog_name="replybridge", catch_exceptions=False)
    out, err = (text.replace(f"{directory}/", "") for text in (done.stdout, done.stderr))
    return CompletedProcess(arguments, done.exit_code, out, err)
