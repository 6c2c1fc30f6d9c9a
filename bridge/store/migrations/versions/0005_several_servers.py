"""Several servers of one PostgreSQL: where numbers come from, what they have used of a budget, who does what."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("account", _text, primary_key=True),
        sa.Column("document", _text, nullable=False),
    )
    op.create_table(
        "duties",
        sa.Column("name", _text, primary_key=True),
        sa.Column("worker", _text, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("events", "deliveries", "runs"):
            op.execute(f"CREATE SEQUENCE {table}_number")
            next_one: sa.ColumnElement[int] = sa.func.coalesce(sa.func.max(sa.column("id")), 0) + 1
            op.execute(sa.select(sa.func.setval(f"{table}_number", next_one, False)).select_from(sa.table(table)))
