"""`replybridge backup`: the store and its files in one archive, while the server runs."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import Config, settings_of
from bridge.cli.printing import explained, near, said
from bridge.errors import BridgeError
from bridge.model.quantity import say_count
from bridge.settings import Settings
from bridge.settings.store_url import without_secrets
from bridge.store.backup import back_up


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
        if settings.store.file is None:
            raise BridgeError(_elsewhere(settings, file))
        database = settings.store.file
        if not database.exists():
            raise BridgeError(f"{database}: there is no store yet; `replybridge serve` makes one")
        if file.exists() and not overwrite:
            raise BridgeError(f"{file}: there is a file already; choose another name, or say --overwrite")
        count = back_up(database, settings.data_directory / "attachments", file)
        size, files = file.stat().st_size, say_count(count, "file")
        said(f"{near(file.absolute())}: {size:,} bytes, with {files} of customers")


def _elsewhere(settings: Settings, file: Path) -> str:
    """PostgreSQL's own tools know better; here is said how."""
    url = without_secrets(settings.store.url).replace(":***@", "@")
    files = near(settings.data_directory / "attachments")
    return (
        f"{url}: a store on PostgreSQL is backed up by PostgreSQL's own tools, while the servers run: "
        f'pg_dump --format=custom --file={file} "{url}"; after it copy {files}, where customers\' files are. '
        "To restore: pg_restore (README, Several servers)"
    )
