"""The real command in a process of its own, to be started, killed and started again."""

import contextlib
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.forked import Forked

ROOT = Path(__file__).parents[2]


PORTS = range(10_000, 32_000)
"""Below those that Linux gives to connections: one of these could have the port while the server is down."""
_MOST_WORKERS = 64
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_OURS = cycle(PORTS[_WORKER % _MOST_WORKERS :: _MOST_WORKERS])


def free_port() -> int:
    """A port that nobody listens on, and that nobody is given who does not ask for it by its number.

    Each process of the tests has ports of its own and takes them in turn: a server that is just down, or not started
    yet, keeps its port though it does not listen.
    """
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = next(_OURS)
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """`replybridge serve` in a directory of its own, on a port that stays the same.

    `files` are written into the directory first: settings, rules, templates.
    """

    def __init__(self, directory: Path, files: Mapping[str, str]) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: Forked | None = None
        for name, content in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")

    @property
    def log(self) -> str:
        path = self.directory / "serve.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `replybridge ...` beside the server, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            cwd=self.directory,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a person with a database tool would see; a process for each look would take a second."""
        with contextlib.closing(sqlite3.connect(f"file:{self.directory}/data/bridge.db?mode=ro", uri=True)) as looking:
            return looking.execute(statement).fetchall()

    def start(self) -> None:
        self._process = Forked(self.directory, self._environment(), self.directory / "serve.log", "serve")
        for _ in range(1200):
            if self._is_ready():
                return
            if self._process.wait(0.05) is not None:
                break
        self.kill()
        pytest.fail(f"the server did not become ready:\n{self.log[-3000:]}")

    def hang_up(self) -> None:
        """SIGHUP, as a service manager does to have it read its files again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL: nothing in the server gets a chance to tidy up."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server that runs."""
        assert self._process is not None
        self._process.send_signal(number)

    def limit_files(self, most: int | None) -> None:
        """Let no file of the server that runs grow beyond so many bytes, as if the disk were full; None: any. The limit
        goes with the process."""
        if self._process is None:
            return
        limit = resource.RLIM_INFINITY if most is None else most
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def stop(self) -> int:
        """SIGTERM, as a service manager does; gives the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(30)
        assert code is not None, "it still runs"
        self._process = None
        return code

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REPLYBRIDGE_")}
        listen = f"127.0.0.1:{self.port}"
        return {**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "REPLYBRIDGE_SERVER__LISTEN": listen}

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False
