"""Where the store is: `sqlite:///data/bridge.db` or `postgresql://user@host/db`.

It is read here and not by SQLAlchemy, which takes as long to load as everything else that `check` needs.
"""

import re
from pathlib import Path
from urllib.parse import quote, unquote

_URL = re.compile(
    r"(?P<database>sqlite|postgresql)(?:\+\w+)?://"
    r"(?P<who>(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<host>\[[^/?\]]+\]|[^/:?@]*)(?::(?P<port>[0-9]{0,5}))?"
    r"(?:/(?P<path>[^?]*))?(?P<query>\?.*)?"
)


def store_url(value: object, directory: Path) -> str:
    """The URL, with the path of a SQLite file made absolute.

    Raises ValueError; its message never shows the URL, because a password may stand in it.
    """
    found = _URL.fullmatch(value) if isinstance(value, str) and "\0" not in value else None
    if found is None:
        raise ValueError('must be "sqlite:///data/bridge.db" or "postgresql://user@host/db"')
    if found["database"] != "sqlite":
        return found.string
    if found["host"] or found["who"]:
        raise ValueError(
            'the path of a file follows three slashes: "sqlite:///data/bridge.db", "sqlite:////var/bridge.db"'
        )
    path = unquote(found["path"] or "")
    if path in ("", ":memory:"):
        raise ValueError(
            'a store in memory would forget what was acknowledged: name a file, "sqlite:///data/bridge.db"'
        )
    return f"{found.string.partition('://')[0]}:///{quote(str(directory / path), safe=' +/')}{found['query'] or ''}"


def sqlite_file(url: str) -> Path | None:
    """The file of a store that is one."""
    found = _URL.fullmatch(url)
    return Path(unquote(found["path"])) if found and found["database"] == "sqlite" and found["path"] else None


def without_secrets(url: str) -> str:
    """For a log or a page: no password, and nothing of what may follow a `?`."""
    found = _URL.fullmatch(url)
    if found is None:
        return "<secret>"
    bare = url.removesuffix(found["query"] or "")
    return bare if found["password"] is None else bare.replace(f":{found['password']}@", ":***@", 1)
