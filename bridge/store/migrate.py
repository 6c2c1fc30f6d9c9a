"""Bring the tables of a store up to this version: `python -m bridge.store.migrate`, with its url as the input."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from bridge.store.engines import engine_for, parse
from bridge.store.versions import stand_alone

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection, revision: str = "head") -> None:
    """Run the migrations that are missing, up to `revision`, in the transaction that the connection is in."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    stand_alone(connection)
    command.upgrade(config, revision)


if __name__ == "__main__":
    with engine_for(parse(sys.stdin.read())).begin() as one:
        migrate(one)
