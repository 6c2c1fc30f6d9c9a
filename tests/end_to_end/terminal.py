"""What a person sees who runs the command: at a terminal of its own, and when it could not be done."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

from tests.end_to_end.server import ROOT

ONE_SCREEN = 24


def fails(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines on standard error of a command that could not be done: few, plain, and nothing on standard output."""
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    lines = done.stderr.splitlines()
    assert 0 < len(lines) <= ONE_SCREEN
    return lines


class Terminal:
    """A process at a terminal of its own, and what a person sees there."""

    def __init__(self, directory: Path, *arguments: str, columns: int = 100) -> None:
        self.seen = ""
        self._terminal, its_end = pty.openpty()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REPLYBRIDGE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *arguments],
            cwd=directory,
            env={
                **kept,
                "PYTHONPATH": str(ROOT),
                "COLUMNS": str(columns),
                "TERM": "xterm",
                "REPLYBRIDGE_SERVER__LISTEN": "127.0.0.1:0",
            },
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
        )
        os.close(its_end)

    def read_until(self, words: str | None = None) -> str:
        """All that is shown until `words` are, or to the end; without colours."""
        while words is None or words not in self.seen:
            ready, _, _ = select.select([self._terminal], [], [], 60)
            assert ready, self.seen
            try:
                data = os.read(self._terminal, 65536)
            except OSError:
                # So Linux says that nobody holds the other end any more.
                break
            self.seen += re.sub(r"\x1b\[[0-9;]*m", "", data.decode()).replace("\r\n", "\n")
        return self.seen

    def press_ctrl_c(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def close(self) -> int:
        """Close the window: the terminal goes, and the system says so (SIGHUP). Gives the exit code."""
        os.close(self._terminal)
        self._process.send_signal(signal.SIGHUP)
        return self._process.wait(60)

    def end(self) -> int:
        """Read what is left; gives the exit code."""
        self.read_until()
        os.close(self._terminal)
        return self._process.wait(60)
