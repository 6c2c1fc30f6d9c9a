"""How urgent a delivery is, with the indexes by which claims find it; the accounts whose platforms do not answer."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("urgency", sa.Integer(), nullable=False, server_default="0"))
    op.drop_index("deliveries_wake", "deliveries")
    _index("deliveries_due", ["account", "urgency", "wake_at"], only="state = 'queued' AND wake_at IS NOT NULL")
    _index("deliveries_lease", ["wake_at"], only="state = 'claimed'")
    op.drop_index("deliveries_lane", "deliveries")
    _index("deliveries_lane", ["lane", "id"], only="finished_at IS NULL")
    op.create_table(
        "circuits",
        sa.Column("account", _text, primary_key=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("detail", _text, nullable=False),
    )


def _index(name: str, columns: list[str], *, only: str) -> None:
    op.create_index(name, "deliveries", columns, sqlite_where=sa.text(only), postgresql_where=sa.text(only))
