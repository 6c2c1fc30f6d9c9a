"""The settings as written: the file, the environment laid over it, and where every value came from."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.errors import SettingsError, did_you_mean

FILE = "bridge.toml"
PREFIX = "REPLYBRIDGE_"
CONFIG = "REPLYBRIDGE_CONFIG"

KeyPath = tuple[str | int, ...]
"""The keys that lead to a value: ("accounts", "shop", "api_keys", 0)."""

_TOML_PLACE = re.compile(r"(?s)(.*) \(at (?:line (\d+), column (\d+)|end of document)\)")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""What Python makes of bytes in the environment that are not UTF-8."""

_SERVICE_LINK = re.compile(
    r"REPLYBRIDGE_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT\w*|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes sets by itself in every pod beside a Service that is called replybridge."""


@dataclass(kw_only=True, slots=True)
class Document:
    """The merged tree. `variables` are the values that come from the environment, `born` the tables only it has."""

    file: str | None
    directory: Path
    tree: dict[str, Any]
    variables: dict[KeyPath, str] = field(default_factory=dict)
    born: set[KeyPath] = field(default_factory=set)

    def place(self, path: KeyPath) -> str:
        """Where a person finds `path`: 'bridge.toml: accounts.shop.api_key' or 'environment REPLYBRIDGE_...'."""
        for length in range(len(path), 0, -1):
            if name := self.variables.get(path[:length]):
                return f"environment {name}" + (f": {dotted(path[length:])}" if path[length:] else "")
        if self.file is None or any(path[:length] in self.born for length in range(len(path))):
            return f"environment {variable(path)}"
        return f"{self.file}: {dotted(path)}" if path else self.file

    def lay_over(self, environ: Mapping[str, str], known: Sequence[str]) -> Iterator[str]:
        """Put the environment's values into the tree, as text; yields what is wrong, one line each.

        `known` are the variables to suggest. A variable that the file itself names as a secret is left alone.
        """
        secrets = set(_named_as_secret(self.tree))
        sections = {word.split("__")[0] for word in known}
        for name in sorted(environ):
            if not name.startswith(PREFIX) or name == CONFIG or name in secrets or not environ[name]:
                continue
            path = tuple(part.lower() for part in name.removeprefix(PREFIX).split("__"))
            if path[0] == "accounts" and len(path) > 2:
                path = ("accounts", self._account(path[1]), *path[2:])
            if _SURROGATE.search(environ[name]):
                yield f"environment {name}: is not UTF-8 text"
            elif name.split("__")[0] in sections:
                yield from self._put(path, environ[name], name)
            elif "__" in name or not _SERVICE_LINK.fullmatch(name):
                yield f"environment {name}: unknown key{did_you_mean(name, known)}"

    def _account(self, word: str) -> str:
        """The account that `word` means: names of accounts may hold capitals and hyphens, variables cannot."""
        accounts = self.tree.get("accounts")
        names = accounts if isinstance(accounts, dict) else {}
        return next((name for name in names if name.lower().replace("-", "_") == word), word)

    def _put(self, path: tuple[str, ...], text: str, name: str) -> Iterator[str]:
        table: dict[str, Any] = self.tree
        at: tuple[str, ...] = ()
        for part in path[:-1]:
            at = (*at, part)
            if part not in table:
                table[part] = {}
                self.born.add(at)
            if not isinstance(table[part], dict):
                yield f"environment {name}: {dotted(at)} is not a table of keys ({self.place(at)})"
                return
            table = table[part]
        table[path[-1]] = text
        self.variables[path] = name

    def at(self, path: KeyPath) -> Any:
        found: Any = self.tree
        for part in path:
            found = found[part]
        return found

    def reread(self, path: KeyPath) -> bool:
        """Take the text that a variable gave for `path` or what holds it as a TOML value; whether that changed it."""
        for length in range(1, len(path) + 1):
            if path[:length] in self.variables:
                table, key = self.at(path[: length - 1]), path[length - 1]
                value = toml_value(table[key]) if isinstance(table[key], str) else table[key]
                changed = value is not table[key]
                table[key] = value
                return changed
        return False


def read_document(path: Path | None, environ: Mapping[str, str], directory: Path) -> Document:
    """The file `path`, or the one REPLYBRIDGE_CONFIG names, or `bridge.toml` in `directory` if there is one.

    Raises SettingsError: a named file is missing, it cannot be read, or it is not TOML (with line and column).
    """
    named = path or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    file = directory / (named or FILE)
    shown = str(named or FILE)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if named is None:
            return Document(file=None, directory=directory, tree={}, born={()})
        source = "" if path else f"environment {CONFIG}: "
        raise SettingsError(f"{source}{shown}: there is no such file") from None
    except OSError as error:
        raise SettingsError(f"{shown}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{shown}: byte {error.start + 1} is not UTF-8 text: save the file as UTF-8") from None
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(_syntax(shown, text, error)) from None
    return Document(file=shown, directory=file.parent, tree=tree)


def _syntax(file: str, text: str, error: Exception) -> str:
    found = _TOML_PLACE.fullmatch(str(error))
    if found is None:
        return f"{file}: not readable as TOML: {error}"
    lines = text.split("\n")
    line, column = (found[2], found[3]) if found[2] else (len(lines), len(lines[-1]) + 1)
    message = "this key or table was given before" if "overwrite" in found[1] or "twice" in found[1] else found[1]
    return f"{file}:{line}:{column}: {message}"


def toml_value(text: str) -> Any:
    """`text` as the TOML value it spells (a number, a list, true); a text that spells none stays what it is."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return found["value"] if len(found) == 1 else text


def dotted(path: KeyPath) -> str:
    """'accounts.shop.api_keys (item 2)': as a person would say it, counting from 1."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f" (item {part + 1})"
        else:
            text += f".{part}" if text else part
    return text.lstrip()


def variable(path: KeyPath) -> str:
    """The environment variable that sets `path`."""
    return PREFIX + "__".join(str(part).upper().replace("-", "_") for part in path)


def _named_as_secret(value: object) -> Iterator[str]:
    match value:
        case {"env": str(name)}:
            yield name
        case dict():
            for item in value.values():
                yield from _named_as_secret(item)
        case list():
            for item in value:
                yield from _named_as_secret(item)
