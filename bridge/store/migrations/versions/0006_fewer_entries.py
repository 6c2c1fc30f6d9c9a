"""Fewer entries in indexes: broadcasts have no event to be found by, and what is due needs no sorting."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _again("deliveries_origin", ["event", "rule", "action"], only="event IS NOT NULL", unique=True)
    due = ["account", "urgency", "wake_at", "id"]
    _again("deliveries_due", due, only="state = 'queued' AND wake_at IS NOT NULL")


def _again(name: str, columns: Sequence[str], *, only: str, unique: bool = False) -> None:
    op.drop_index(name, "deliveries")
    where = sa.text(only)
    op.create_index(name, "deliveries", list(columns), unique=unique, sqlite_where=where, postgresql_where=where)
