"""Bring the tables of a store up to this version: `python -m bridge.store.migrate sqlite:///data/bridge.db`."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection, revision: str = "head") -> None:
    """Run the migrations that are missing, up to `revision`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


if __name__ == "__main__":
    with create_engine(sys.argv[1]).connect() as one:
        migrate(one)
