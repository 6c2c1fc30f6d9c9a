"""Broadcasts: runs, the schedules as they were last looked at, and whose delivery is whose."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("broadcast", _text, nullable=False),
        sa.Column("moment", _text, nullable=False),
        sa.Column("state", _text, nullable=False),
        sa.Column("asked_by", _text, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("asked", _text, nullable=False),
        sa.Column("plan", _text, nullable=True),
        sa.Column("cursor", _text, nullable=True),
        sa.Column("planned_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("next_turn", sa.BigInteger(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("forgiven", sa.Integer(), nullable=False),
        sa.Column("detail", _text, nullable=True),
    )
    op.create_index("runs_moment", "runs", ["broadcast", "moment"], unique=True)
    _index("runs_active", "runs", ["id"], only="state IN ('asked', 'planning', 'running')")
    op.create_table(
        "schedules",
        sa.Column("broadcast", _text, primary_key=True),
        sa.Column("schedule", _text, nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "aliases",
        sa.Column("name", _text, primary_key=True),
        sa.Column("key", _text, primary_key=True),
        sqlite_with_rowid=False,
    )
    for name, kind in (
        ("run", sa.BigInteger()),
        ("person", _text),
        ("zone", _text),
        ("line", sa.Integer()),
        ("not_before", sa.BigInteger()),
        ("on_unknown", _text),
    ):
        op.add_column("deliveries", sa.Column(name, kind, nullable=True))
    _index("deliveries_run", "deliveries", ["run", "state", "not_before"], only="run IS NOT NULL")
    _index("deliveries_person", "deliveries", ["run", "person"], only="run IS NOT NULL", unique=True)


def _index(name: str, table: str, columns: list[str], *, only: str, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(only), postgresql_where=sa.text(only))
