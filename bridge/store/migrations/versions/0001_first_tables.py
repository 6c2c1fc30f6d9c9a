"""The first tables: events, conversations, memories, deliveries, attempts, mailbox, attachments."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("token", _text, nullable=False),
        sa.Column("account", _text, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("type", _text, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_table(
        "attempts",
        sa.Column("delivery", _number, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("took", sa.Integer(), nullable=False),
        sa.Column("outcome", _text, nullable=False),
        sa.Column("reason", _text, nullable=True),
        sa.Column("detail", _text, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", _text, nullable=True),
        sa.PrimaryKeyConstraint("delivery", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "conversations",
        sa.Column("key", _text, nullable=False),
        sa.Column("account", _text, nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("document", _text, nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "conversations_open",
        "conversations",
        ["account"],
        sqlite_where=sa.text("ended = 0"),
        postgresql_where=sa.text("ended = 0"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", _number, autoincrement=False, nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=True),
        sa.Column("rule", _text, nullable=False),
        sa.Column("action", _text, nullable=False),
        sa.Column("account", _text, nullable=False),
        sa.Column("lane", _text, nullable=False),
        sa.Column("state", _text, nullable=False),
        sa.Column("wake_at", sa.BigInteger(), nullable=True),
        sa.Column("worker", _text, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", _text, nullable=True),
        sa.Column("detail", _text, nullable=True),
        sa.Column("recipient", _text, nullable=False),
        sa.Column("reply", _text, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "deliveries_lane",
        "deliveries",
        ["lane", "id"],
        sqlite_where=sa.text("state IN ('queued', 'claimed')"),
        postgresql_where=sa.text("state IN ('queued', 'claimed')"),
    )
    op.create_index("deliveries_origin", "deliveries", ["event", "rule", "action"], unique=True)
    op.create_index(
        "deliveries_trouble",
        "deliveries",
        ["state", "id"],
        sqlite_where=sa.text("state IN ('dead', 'unknown')"),
        postgresql_where=sa.text("state IN ('dead', 'unknown')"),
    )
    op.create_index(
        "deliveries_wake",
        "deliveries",
        ["wake_at"],
        sqlite_where=sa.text("state IN ('queued', 'claimed') AND wake_at IS NOT NULL"),
        postgresql_where=sa.text("state IN ('queued', 'claimed') AND wake_at IS NOT NULL"),
    )
    op.create_table(
        "events",
        sa.Column("id", _number, autoincrement=False, nullable=False),
        sa.Column("identity", _text, nullable=False),
        sa.Column("account", _text, nullable=False),
        sa.Column("conversation", _text, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("body", _text, nullable=False),
        sa.Column("trace", _text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("identity"),
    )
    op.create_table(
        "mailbox",
        sa.Column("id", _number, autoincrement=True, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("delivery", sa.BigInteger(), nullable=False),
        sa.Column("body", _text, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("delivery"),
        sqlite_autoincrement=True,
    )
    op.create_index("mailbox_name", "mailbox", ["name", "id"])
    op.create_table(
        "memories",
        sa.Column("key", _text, nullable=False),
        sa.Column("document", _text, nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
    )
