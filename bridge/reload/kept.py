"""The last good rulebooks, kept on disk: `data/rulebook/<version>/` with the folders as they were."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.reload.folders import Folders, Sources

MOST = 2
_VERSION = re.compile(r"[0-9a-f]{12}")
_UNDONE = ".new-"


class Kept:
    """A copy is there whole or not at all: it is written under another name, brought to the disk, and renamed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, sources: Sources) -> None:
        """Make these the newest, and drop all but the newest two. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        kept = self._directory / sources.version
        newest = max((path.stat().st_mtime_ns for path in self._versions()), default=0)
        if self._whole(kept) is None:
            self._write(kept, sources)
        # The order is that of these times. A clock that was set back must not make the newest an older one.
        now = max(kept.stat().st_mtime_ns, newest + 1)
        os.utime(kept, ns=(now, now))
        _sync(self._directory)
        self._tidy()

    def newest(self) -> Iterator[tuple[Sources, Folders]]:
        """What is kept and where, the newest first; a copy that was changed by somebody is left out."""
        for path in self._versions():
            if (sources := self._whole(path)) is not None:
                yield sources, _folders(path)

    def _versions(self) -> list[Path]:
        if not self._directory.is_dir():
            return []
        found = [path for path in self._directory.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir()]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def _whole(self, kept: Path) -> Sources | None:
        try:
            sources = _folders(kept).read() if kept.is_dir() else None
        except OSError:
            return None
        return sources if sources and sources.version == kept.name else None

    def _write(self, kept: Path, sources: Sources) -> None:
        undone = kept.with_name(_UNDONE + kept.name)
        shutil.rmtree(undone, ignore_errors=True)
        undone.mkdir()
        for name, content in sources.files.items():
            path = undone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for folder, _, _ in os.walk(undone):
            _sync(Path(folder))
        shutil.rmtree(kept, ignore_errors=True)
        undone.rename(kept)

    def _tidy(self) -> None:
        undone = (path for path in self._directory.iterdir() if path.name.startswith(_UNDONE))
        for path in (*self._versions()[MOST:], *undone):
            shutil.rmtree(path, ignore_errors=True)


def _folders(kept: Path) -> Folders:
    return Folders(rules=kept / "rules", templates=kept / "templates")


def _sync(folder: Path) -> None:
    """A name is on the disk only when its folder is."""
    with _opened(folder) as handle:
        os.fsync(handle)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)
