"""What SIGHUP means: of old that the terminal was closed, and for a server to read its files again."""

import os
from collections.abc import Callable
from pathlib import Path

_STREAMS = (0, 1, 2)


def hang_up(stop: Callable[[], None], reload: Callable[[], None]) -> Callable[[], None]:
    """What to do at a SIGHUP: `reload`, or `stop` for a process whose terminal is no more. Call it at the start."""
    terminals = [stream for stream in _STREAMS if os.isatty(stream)]

    def act() -> None:
        closed = [stream for stream in terminals if not os.isatty(stream)]
        if not closed:
            reload()
            return
        # To write to a terminal that is gone is an error, and the end should be an orderly one.
        with Path(os.devnull).open("r+b") as nowhere:
            for stream in closed:
                os.dup2(nowhere.fileno(), stream)
        stop()

    return act
