"""`replybridge backup`: the store and its files in one archive, while the server runs."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import Config, settings_of
from bridge.cli.printing import counted, explained, near, said
from bridge.errors import BridgeError
from bridge.store.backup import back_up
from bridge.store.store import database_of


def backup(
    file: Annotated[Path, typer.Argument(help="Where to: a tar archive, backups/2026-11-21.tar.")],
    config: Config = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Put it in the place of a file that is there.")
    ] = False,
) -> None:
    """Write the store as it is now, with customers' files, into one archive. The server may go on meanwhile.

    To restore: stop the server, unpack it in the data directory (`tar -xf FILE -C data`), delete bridge.db-wal and
    bridge.db-shm there, start. Settings, rules and templates are not in it.
    """
    with explained():
        settings = settings_of(config)
        database = database_of(settings.store.url)
        if not database.exists():
            raise BridgeError(f"{database}: there is no store yet; `replybridge serve` makes one")
        if file.exists() and not overwrite:
            raise BridgeError(f"{file}: there is a file already; choose another name, or say --overwrite")
        count = back_up(database, settings.data_directory / "attachments", file)
        size, files = file.stat().st_size, counted(count, "file", "files")
        said(f"{near(file.absolute())}: {size:,} bytes, with {files} of customers")
