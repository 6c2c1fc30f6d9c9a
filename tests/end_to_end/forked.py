"""Servers as processes of their own, each forked from one that has already loaded the command.

What happens to such a process, by a signal or at its end, is what happens to one that was started anew. It costs a
fraction, and tests that kill servers start many.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

from bridge.cli import main

_CONTEXT = multiprocessing.get_context("forkserver")
# Not the modules that look at the terminal and its width when they are loaded: every process has its own.
_CONTEXT.set_forkserver_preload([__name__, "bridge.app.serve"])
_BOOKKEEPING = threading.Lock()
"""Starting one process looks after all the others, and only one thread may do that at a time."""


class Forked:
    """`replybridge ...` in `directory`, with this environment and no other; what it prints is added to `log`."""

    def __init__(self, directory: Path, environ: Mapping[str, str], log: Path, *arguments: str) -> None:
        given = (directory, dict(environ), log, arguments)
        self._process = _CONTEXT.Process(target=_become, args=given, daemon=True)
        with _BOOKKEEPING:
            self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        """It may have ended already, which is no mistake."""
        if self.wait(0) is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code, less than zero for the signal that ended it; None when it still runs after so many seconds."""
        if not wait([self._process.sentinel], seconds):
            return None
        with _BOOKKEEPING:
            return self._process.exitcode


def _become(directory: Path, environ: Mapping[str, str], log: Path, arguments: tuple[str, ...]) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environ)
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv[1:] = arguments
    main()
