"""Returns: what is to come back, what came, what it was found to be, and what is owed for it."""

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("inspection", "refund")

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _append_only(table: str) -> None:
    """Refuse every change of a row that is there."""
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )


def upgrade() -> None:
    op.create_table(
        "rma",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("wanted", sa.String(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("requested_at", BIG, nullable=False),
        sa.Column("expires_at", BIG, nullable=False),
        sa.Column("review", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("awaited", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("received", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("inspected", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("closed", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column(
            "state",
            sa.String(),
            sa.Computed(
                "CASE WHEN review THEN 'requested' WHEN received > 0 OR (awaited > 0 AND inspected > 0) THEN 'received' WHEN awaited > 0 THEN 'approved' WHEN inspected > 0 THEN 'inspected' ELSE ended END",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("lon", sa.Float(), nullable=True),
        sa.Column("node_no", BIG, nullable=True),
        sa.Column("service", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("cost_cents", BIG, nullable=True),
        sa.Column("decision", sa.String(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("carriage_cents", BIG, nullable=True),
        sa.Column("label_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("exchange_no", BIG, nullable=True),
        sa.Column("exchange_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("settle_at", BIG, nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "ended IS NULL OR ended IN ('refused', 'cancelled', 'expired')", name=op.f("ck_rma_ended_known")
        ),
        sa.CheckConstraint("how IN ('parcel', 'store', 'unannounced')", name=op.f("ck_rma_how_known")),
        sa.CheckConstraint("wanted IN ('refund', 'exchange')", name=op.f("ck_rma_wanted_known")),
        sa.CheckConstraint(
            "awaited + received + inspected > 0 OR ended IS NOT NULL", name=op.f("ck_rma_ended_where_nothing_is_left")
        ),
        sa.CheckConstraint("awaited >= 0", name=op.f("ck_rma_awaited_at_least_0")),
        sa.CheckConstraint("carriage_cents >= 0", name=op.f("ck_rma_carriage_cents_at_least_0")),
        sa.CheckConstraint("closed >= 0", name=op.f("ck_rma_closed_at_least_0")),
        sa.CheckConstraint("exchange_cents >= 0", name=op.f("ck_rma_exchange_cents_at_least_0")),
        sa.CheckConstraint("exchange_no IS NOT NULL OR exchange_cents = 0", name=op.f("ck_rma_exchange_has_order")),
        sa.CheckConstraint("inspected >= 0", name=op.f("ck_rma_inspected_at_least_0")),
        sa.CheckConstraint("label_cents >= 0", name=op.f("ck_rma_label_cents_at_least_0")),
        sa.CheckConstraint("received >= 0", name=op.f("ck_rma_received_at_least_0")),
        sa.ForeignKeyConstraint(["exchange_no"], ["orders.no"], name=op.f("fk_rma_exchange_no")),
        sa.ForeignKeyConstraint(["node_no"], ["node.no"], name=op.f("fk_rma_node_no")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_rma_order_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_rma")),
        sa.UniqueConstraint("exchange_no", name=op.f("uq_rma_exchange_no")),
        sa.UniqueConstraint("id", name=op.f("uq_rma_id")),
    )
    with op.batch_alter_table("rma", schema=None) as batch_op:
        batch_op.create_index(
            "ix_rma_awaited",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("awaited > 0"),
            postgresql_where=sa.text("awaited > 0"),
        )
        batch_op.create_index("ix_rma_node", ["node_no", "no"], unique=False)
        batch_op.create_index(batch_op.f("ix_rma_order_no"), ["order_no"], unique=False)
        batch_op.create_index(
            "ix_rma_settle",
            ["settle_at"],
            unique=False,
            sqlite_where=sa.text("settle_at IS NOT NULL"),
            postgresql_where=sa.text("settle_at IS NOT NULL"),
        )
        batch_op.create_index("ix_rma_state", ["state", "no"], unique=False)

    op.create_table(
        "inspection",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("rma_no", BIG, nullable=False),
        sa.Column("consignment_no", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("condition", sa.String(), nullable=False),
        sa.Column("disposition", sa.String(), nullable=False),
        sa.Column("units", BIG, nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("goods_cents", BIG, nullable=False),
        sa.Column("fee_cents", BIG, nullable=False),
        sa.CheckConstraint("fee_cents <= goods_cents", name=op.f("ck_inspection_fee_at_most_goods")),
        sa.CheckConstraint("fee_cents >= 0", name=op.f("ck_inspection_fee_cents_at_least_0")),
        sa.CheckConstraint("goods_cents >= 0", name=op.f("ck_inspection_goods_cents_at_least_0")),
        sa.CheckConstraint("percent BETWEEN 0 AND 100", name=op.f("ck_inspection_percent_in_bounds")),
        sa.CheckConstraint("units >= 1", name=op.f("ck_inspection_units_at_least_1")),
        sa.ForeignKeyConstraint(["consignment_no"], ["consignment.no"], name=op.f("fk_inspection_consignment_no")),
        sa.ForeignKeyConstraint(["node_no"], ["node.no"], name=op.f("fk_inspection_node_no")),
        sa.ForeignKeyConstraint(["rma_no"], ["rma.no"], name=op.f("fk_inspection_rma_no")),
        sa.ForeignKeyConstraint(["sku_no"], ["sku.no"], name=op.f("fk_inspection_sku_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_inspection")),
    )
    with op.batch_alter_table("inspection", schema=None) as batch_op:
        batch_op.create_index("ix_inspection_rma", ["rma_no", "no"], unique=False)

    op.create_table(
        "refund",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("rma_no", BIG, nullable=True),
        sa.Column("consignment_no", BIG, nullable=True),
        sa.Column("at", BIG, nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("inspection_no", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("goods_cents", BIG, nullable=False),
        sa.Column("fee_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("carriage_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("label_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("exchange_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.CheckConstraint(
            "rma_no IS NOT NULL OR consignment_no IS NOT NULL", name=op.f("ck_refund_of_a_return_or_a_consignment")
        ),
        sa.CheckConstraint("carriage_cents >= 0", name=op.f("ck_refund_carriage_cents_at_least_0")),
        sa.CheckConstraint(
            "cents = goods_cents - fee_cents + carriage_cents - label_cents - exchange_cents",
            name=op.f("ck_refund_cents_add_up"),
        ),
        sa.CheckConstraint("cents >= 0", name=op.f("ck_refund_cents_at_least_0")),
        sa.CheckConstraint(
            "exchange_cents >= 0 OR goods_cents = 0", name=op.f("ck_refund_exchange_cents_at_least_0_of_goods")
        ),
        sa.CheckConstraint("fee_cents >= 0", name=op.f("ck_refund_fee_cents_at_least_0")),
        sa.CheckConstraint("goods_cents >= 0", name=op.f("ck_refund_goods_cents_at_least_0")),
        sa.CheckConstraint("label_cents >= 0", name=op.f("ck_refund_label_cents_at_least_0")),
        sa.ForeignKeyConstraint(["consignment_no"], ["consignment.no"], name=op.f("fk_refund_consignment_no")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_refund_order_no")),
        sa.ForeignKeyConstraint(["rma_no"], ["rma.no"], name=op.f("fk_refund_rma_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_refund")),
        sa.UniqueConstraint("id", name=op.f("uq_refund_id")),
    )
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refund_order_no"), ["order_no"], unique=False)
        batch_op.create_index("ix_refund_rma", ["rma_no", "no"], unique=False)
        batch_op.create_index(
            "ix_refund_lapsed",
            ["consignment_no"],
            unique=True,
            sqlite_where=sa.text("rma_no IS NULL"),
            postgresql_where=sa.text("rma_no IS NULL"),
        )

    op.create_table(
        "rma_line",
        sa.Column("rma_no", BIG, nullable=False),
        sa.Column("consignment_no", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("announced", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("extra", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("awaited", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("received", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("inspected", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("closed", BIG, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "announced + extra = awaited + received + inspected + closed",
            name=op.f("ck_rma_line_every_unit_is_somewhere"),
        ),
        sa.CheckConstraint("announced >= 0", name=op.f("ck_rma_line_announced_at_least_0")),
        sa.CheckConstraint("awaited >= 0", name=op.f("ck_rma_line_awaited_at_least_0")),
        sa.CheckConstraint("closed >= 0", name=op.f("ck_rma_line_closed_at_least_0")),
        sa.CheckConstraint("extra >= 0", name=op.f("ck_rma_line_extra_at_least_0")),
        sa.CheckConstraint("inspected >= 0", name=op.f("ck_rma_line_inspected_at_least_0")),
        sa.CheckConstraint("received >= 0", name=op.f("ck_rma_line_received_at_least_0")),
        sa.ForeignKeyConstraint(["consignment_no"], ["consignment.no"], name=op.f("fk_rma_line_consignment_no")),
        sa.ForeignKeyConstraint(["rma_no"], ["rma.no"], name=op.f("fk_rma_line_rma_no")),
        sa.ForeignKeyConstraint(["sku_no"], ["sku.no"], name=op.f("fk_rma_line_sku_no")),
        sa.PrimaryKeyConstraint("rma_no", "consignment_no", "number", "sku_no", name=op.f("pk_rma_line")),
    )
    with op.batch_alter_table("rma_line", schema=None) as batch_op:
        batch_op.create_index(
            "ix_rma_line_awaited",
            ["sku_no"],
            unique=False,
            sqlite_where=sa.text("awaited > 0"),
            postgresql_where=sa.text("awaited > 0"),
        )
        batch_op.create_index("ix_rma_line_consignment", ["consignment_no", "number", "sku_no"], unique=False)

    op.create_table(
        "rma_receipt",
        sa.Column("rma_no", BIG, nullable=False),
        sa.Column("consignment_no", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("units", BIG, nullable=False),
        sa.Column("inspected", BIG, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "inspected >= 0 AND inspected <= units", name=op.f("ck_rma_receipt_inspected_at_most_units")
        ),
        sa.ForeignKeyConstraint(["consignment_no"], ["consignment.no"], name=op.f("fk_rma_receipt_consignment_no")),
        sa.ForeignKeyConstraint(["node_no"], ["node.no"], name=op.f("fk_rma_receipt_node_no")),
        sa.ForeignKeyConstraint(["rma_no"], ["rma.no"], name=op.f("fk_rma_receipt_rma_no")),
        sa.ForeignKeyConstraint(["sku_no"], ["sku.no"], name=op.f("fk_rma_receipt_sku_no")),
        sa.PrimaryKeyConstraint("rma_no", "consignment_no", "number", "sku_no", "node_no", name=op.f("pk_rma_receipt")),
    )
    with op.batch_alter_table("rma_receipt", schema=None) as batch_op:
        batch_op.create_index(
            "ix_rma_receipt_waiting",
            ["sku_no", "node_no"],
            unique=False,
            sqlite_where=sa.text("units > inspected"),
            postgresql_where=sa.text("units > inspected"),
        )

    for table in APPEND_ONLY:
        _append_only(table)


def downgrade() -> None:
    for table in ("rma_receipt", "rma_line", "refund", "inspection", "rma"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(f"DROP FUNCTION {table}_append_only()")
