"""How another process asks the server to look at its rules now, and reads what came of it.

`asked` is laid down by whoever asks and taken away by the server, which then writes `status.json`; `serving` is locked
for as long as there is a server. No signal goes to a number that may by now be another process's, no port is opened,
and who may write in the data directory may ask.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from bridge.clock import Clock
from bridge.errors import BridgeError, Problem

ANSWERED_WITHIN = 120.0
"""Seconds, which is far more than the tests of any rulebook should take."""

_BETWEEN_LOOKS = 0.05
_LONGEST = 200

Came = Literal["taken", "unchanged", "refused"]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a look at the folders, for who asked with the token `answers`.

    `running` is the version in force, of so many `rules`.
    """

    answers: str
    came: Came
    running: str
    rules: int
    problems: tuple[Problem, ...] = ()


class Asked:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._asked = directory / "asked"
        self._status = directory / "status.json"
        self._serving = directory / "serving"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """For the server: others see that it is there, until it ends, however that is. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._serving, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # It can be locked at once, or after the instant in which somebody tries whether it is.
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

    def take(self) -> str | None:
        """For the server: the token of who asks, if somebody does. Raises OSError."""
        try:
            with self._asked.open(encoding="ascii", errors="replace") as file:
                token = file.read(_LONGEST)
            self._asked.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return token

    def answer(self, status: Status) -> None:
        """For the server: tell what came of it. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        written = self._status.with_suffix(".new")
        written.write_bytes(msgspec.json.encode(status))
        written.replace(self._status)

    async def ask(self, token: str, clock: Clock) -> Status:
        """For another process: ask, and wait for the answer; `token` is one that nobody else has.

        Raises BridgeError where no server answers, and OSError.
        """
        if not self._is_served():
            raise self._nobody()
        token = self._lay_down(token)
        began = clock.monotonic()
        while (status := self._read()) is None or status.answers != token:
            if not self._is_served():
                self._asked.unlink(missing_ok=True)
                raise self._nobody()
            if clock.monotonic() - began > ANSWERED_WITHIN:
                raise BridgeError(f"the server has not answered for {ANSWERED_WITHIN:.0f} s; its log may say why")
            await clock.sleep(_BETWEEN_LOOKS)
        return status

    def _is_served(self) -> bool:
        try:
            handle = os.open(self._serving, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def _nobody(self) -> BridgeError:
        return BridgeError(f"no server runs on {self._directory.parent}; `replybridge serve` starts one")

    def _lay_down(self, token: str) -> str:
        """The token to wait for; that of another who has just asked serves as well, as the look is still to come."""
        own = self._directory / f"asked-{token}"
        own.write_text(token, encoding="ascii")
        try:
            while True:
                try:
                    # Unlike a rename, this fails where somebody has asked already; and nobody sees a half-written file.
                    os.link(own, self._asked)
                except FileExistsError:
                    with suppress(FileNotFoundError):
                        return self._asked.read_text(encoding="ascii", errors="replace")
                else:
                    return token
        finally:
            own.unlink(missing_ok=True)

    def _read(self) -> Status | None:
        with suppress(FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.json.decode(self._status.read_bytes(), type=Status)
        return None
