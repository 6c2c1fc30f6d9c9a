"""Alembic runs this file; `migrate` hands over the connection, and ends the transaction that it is in."""

from alembic import context

from bridge.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
