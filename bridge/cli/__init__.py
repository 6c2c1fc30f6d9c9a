"""The command `replybridge`: one file for each command or group of commands.

Exit codes: 0 all is well; 1 it was done, and came out badly (errors in the rulebook, a message not sent); 2 it could
not be done.
"""

import gc
import os
import sys
from typing import NoReturn

from bridge.cli.app import app

__all__ = ["app", "main"]

_SELDOM = 1_000_000
"""What a command loads stays until its end: looking through it for garbage as often as Python does takes a sixth of
its time. The server decides this for itself, once it has begun."""


def main() -> NoReturn:
    """Run the command and end the process.

    It ends at once, because Python's own way down waits for threads: one that looks up a name whose servers do not
    answer would hold it up for half a minute. All that has to be closed is a context of its own and closed by now.
    """
    gc.set_threshold(_SELDOM)
    try:
        app(prog_name="replybridge")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    else:
        code = 0
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Whoever read it has gone, or the disk is full: not all of it was heard.
            code = code or 1
    os._exit(code)
