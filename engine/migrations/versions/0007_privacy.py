"""Free text of facts apart from the log, so that it can be erased."""

import json

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
NOTED = (
    "StockAdjusted", "NodePaused", "OrderCancelled", "OrderReviewed", "ConsignmentRejected", "ReturnRefused", "ReturnCancelled",
)  # fmt: skip
"""Kinds of facts that have free text, as their `reason`."""
PIECE = 1000
"""Facts that are read at once."""


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
    _move_notes()
    op.add_column("recipient", sa.Column("active_at", BIG, server_default=sa.text("0"), nullable=False))
    op.execute("UPDATE recipient SET active_at = COALESCE((SELECT MAX(at) FROM fact), 0)")
    _index("ix_recipient_quiet", "recipient", ["active_at", "id"], "NOT erased")
    _index("ix_orders_recipient", "orders", ["recipient"], "recipient IS NOT NULL")
    _index("ix_hold_order", "hold", ["order_no"], "order_no IS NOT NULL")
    op.execute("DELETE FROM idempotency")  # keys are kept as hashes


def _move_notes() -> None:
    """Move free text that is in the log out of it, this once. A fact's hash is of all that it said, so it is known again."""
    bind, last = op.get_bind(), 0
    if bind.dialect.name == "sqlite":
        (stays,) = bind.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'fact_no_update'").one()
        op.execute("DROP TRIGGER fact_no_update")
    else:
        stays = "ALTER TABLE fact ENABLE TRIGGER fact_append_only"
        op.execute("ALTER TABLE fact DISABLE TRIGGER fact_append_only")
    wanted = sa.text(
        "SELECT no, id, subject, at, payload FROM fact WHERE no > :last AND kind IN :kinds ORDER BY no LIMIT :piece"
    ).bindparams(sa.bindparam("kinds", NOTED, expanding=True), piece=PIECE)
    while rows := bind.execute(wanted, {"last": last}).all():
        last = rows[-1].no
        said = [(row, json.loads(row.payload)) for row in rows]
        noted = [
            {
                "no": row.no,
                "fact": row.id,
                "subject": row.subject,
                "at": row.at,
                "text": what["reason"],
                "payload": _dumped(what),
            }
            for row, what in said
            if what.get("reason")
        ]
        if noted:
            bind.execute(sa.text("INSERT INTO remark (fact, field, subject, at, text) "
                                 "VALUES (:fact, 'reason', :subject, :at, :text)"), noted)  # fmt: skip
            bind.execute(sa.text("UPDATE fact SET payload = :payload WHERE no = :no"), noted)
    op.execute(stays)


def _dumped(said: dict[str, object]) -> str:
    """A fact without its free text, spelt as the log spells it."""
    return json.dumps({**said, "reason": ""}, ensure_ascii=False, separators=(",", ":"))


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
