"""Free text of facts apart from the log, so that it can be erased."""

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "remark",
        sa.Column("fact", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("text", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("fact", "field", name=op.f("pk_remark")),
    )
    with op.batch_alter_table("remark", schema=None) as batch_op:
        batch_op.create_index("ix_remark_at", ["at"], unique=False)
        batch_op.create_index("ix_remark_subject", ["subject"], unique=False)
    op.add_column("recipient", sa.Column("active_at", BIG, server_default=sa.text("0"), nullable=False))
    op.execute("UPDATE recipient SET active_at = COALESCE((SELECT MAX(at) FROM fact), 0)")
    _index("ix_recipient_quiet", "recipient", ["active_at", "id"], "NOT erased")
    _index("ix_orders_recipient", "orders", ["recipient"], "recipient IS NOT NULL")
    _index("ix_hold_order", "hold", ["order_no"], "order_no IS NOT NULL")
    op.execute("DELETE FROM idempotency")  # keys are kept as hashes


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
