"""The folders that people edit: whether anything in them has changed, and what they say."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from bridge.rulebook.load import SUFFIXES

MOST = 4 * 1024 * 1024
"""Bytes of a file that are read; the gate refuses files far smaller."""

Look = Mapping[str, object]
"""What can be told of every file without reading it; two that are equal mean that nothing was written between them."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The files a rulebook is made of: "rules/pricing.yaml" -> content."""

    files: Mapping[str, bytes]

    @cached_property
    def version(self) -> str:
        """A short name for exactly this content."""
        digest = sha256()
        for name, content in sorted(self.files.items()):
            digest.update(sha256(os.fsencode(name)).digest() + sha256(content).digest())
        return digest.hexdigest()[:12]

    @property
    def has_rules(self) -> bool:
        return any(name.startswith("rules/") for name in self.files)


NOTHING = Sources(files={})


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """Where rules (with their tests) and templates are."""

    rules: Path
    templates: Path

    def look(self) -> Look:
        """Costs some microseconds a file. Links are followed, because Kubernetes changes what they lead to."""
        found: dict[str, object] = {}
        try:
            for name, path in self._paths():
                found[name] = _state(path)
        except OSError as error:
            found[str(error.filename)] = error.strerror
        return found

    def read(self) -> Sources:
        """Raises OSError: a file or folder is there and cannot be read."""
        return Sources(files={name: _content(path) for name, path in self._paths()})

    def _paths(self) -> Iterator[tuple[str, Path]]:
        yield from _below(self.rules, "rules", SUFFIXES)
        yield from _below(self.templates, "templates", (".j2",))


def _below(folder: Path, called: str, endings: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """The files that the loaders of rules and templates read. Hidden ones are editors' and Kubernetes' own."""
    if not folder.exists():
        return
    for root, directories, files in os.walk(folder, onerror=_raise):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in files:
            if name.endswith(endings) and not name.startswith("."):
                path = Path(root, name)
                yield f"{called}/{path.relative_to(folder).as_posix()}", path


def _raise(error: OSError) -> None:
    raise error


def _state(path: Path) -> object:
    try:
        state = path.stat()
    except OSError as error:
        return error.strerror
    # Nobody can set the time of the last change (ctime) back, as some programs do with that of the last writing.
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST)
