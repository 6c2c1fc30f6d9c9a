"""Timers in conversations; commands, unknown outcomes and the platform's ids in deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("conversations", sa.Column("wake_at", sa.BigInteger(), nullable=True))
    _index("conversations_wake", "conversations", ["wake_at"], only="wake_at IS NOT NULL")
    op.add_column("deliveries", sa.Column("command", _text, nullable=True))
    op.add_column("deliveries", sa.Column("unsure_since", sa.BigInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("reference", _text, nullable=True))
    _index("deliveries_reference", "deliveries", ["account", "reference"], only="reference IS NOT NULL")


def _index(name: str, table: str, columns: list[str], *, only: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(only), postgresql_where=sa.text(only))
