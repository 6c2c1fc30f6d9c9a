"""`replybridge migrate` and `replybridge store`: the tables of the store, and the way from one store to another."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import Config, settings_of
from bridge.cli.printing import explained, said
from bridge.cli.progress import reading
from bridge.errors import BridgeError
from bridge.model.quantity import say_count
from bridge.settings.store_url import sqlite_file, store_url, without_secrets
from bridge.store.copy import copy_store
from bridge.store.tables import HEAD
from bridge.store.versions import bring_up

store = typer.Typer(
    help="Copy everything into another store: from SQLite to PostgreSQL, or back.", no_args_is_help=True
)


def migrate(config: Config = None) -> None:
    """Make the tables of the store, or bring those of an older version up to this one. `serve` does it too.

    It is done whole or not at all. Where several servers share a PostgreSQL, it is for a moment in which those of the
    older version are stopped, and for a user who may change tables when the servers' own may not.
    """
    with explained():
        url = settings_of(config, only=()).store.url
        before = bring_up(url)
        what = {None: f"made, with version {HEAD}", HEAD: f"has version {HEAD} already; nothing was changed"}
        said(f"{without_secrets(url)}: {what.get(before, f'brought from version {before or 0} to {HEAD}')}")


@store.callback()
def options() -> None:
    """Copy everything into another store: from SQLite to PostgreSQL, or back."""


@store.command("copy")
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="sqlite:///data/bridge.db")],
    target: Annotated[str, typer.Argument(metavar="TO", help="postgresql://user@host/db; it must be empty.")],
) -> None:
    """Copy everything into another store, which must be empty, while nobody serves from either.

    Every row is read again and compared before the copy counts. A copy that is interrupted leaves nothing behind: say
    the same again. Afterwards set store.url in the settings to TO. A password is best left out of the addresses: it is
    taken from PGPASSWORD or ~/.pgpass.
    """
    with explained():
        urls = [_address(source, "FROM"), _address(target, "TO")]
        with reading("copying") as advance:
            counts = copy_store(urls[0], urls[1], lambda _, rows: advance(rows))
        for name, count in counts.items():
            said(f"{say_count(count, 'row'):>16}  {name}")
        rows = say_count(sum(counts.values()), "row")
        said(f"{without_secrets(urls[1])}: {rows}, all read again and the same")
        if counts["attachments"]:
            said(f"Customers' files are not in the store: {_where_files_are(urls[0])}", "yellow")


def _address(given: str, what: str) -> str:
    try:
        return store_url(given, Path.cwd())
    except ValueError as error:
        raise BridgeError(f"{what}: {error}") from None


def _where_files_are(source: str) -> str:
    file = sqlite_file(source)
    folder = f"{file.parent}/attachments" if file else "the folder data/attachments beside the settings"
    return f"{folder} has them, and must be where the new servers look (README, Several servers)"
