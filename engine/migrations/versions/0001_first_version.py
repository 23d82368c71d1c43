"""First version."""

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None
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
        "api_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("node", sa.String(), nullable=True),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("expires_at", BIG, nullable=True),
        sa.Column("revoked_at", BIG, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_key_hash")),
    )
    op.create_table(
        "calendar",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("open_weekdays", sa.JSON(), nullable=False),
        sa.Column("closed", sa.JSON(), nullable=False),
        sa.Column("holidays", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar")),
    )
    op.create_table(
        "channel",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), server_default=sa.text("'cheapest'"), nullable=False),
        sa.Column("shadow", sa.String(), nullable=True),
        sa.Column("stock_values", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("review", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("safety", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("safety >= 0", name=op.f("ck_channel_safety_at_least_0")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel")),
    )
    op.create_table(
        "consumer",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fact_tx", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("fact_no", BIG, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_consumer")),
    )
    op.create_table(
        "fact",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("by", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("tx", BIG, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_fact")),
        sa.UniqueConstraint("id", name=op.f("uq_fact_id")),
    )
    with op.batch_alter_table("fact", schema=None) as batch_op:
        batch_op.create_index("ix_fact_log", ["tx", "no"], unique=False)
        batch_op.create_index("ix_fact_subject", ["subject", "no"], unique=False)

    op.create_table(
        "feed_mark",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("sequence", BIG, nullable=False),
        sa.PrimaryKeyConstraint("source", "sku_no", "node_no", name=op.f("pk_feed_mark")),
    )
    op.create_table(
        "idempotency",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("until", BIG, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.String(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("body", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency")),
    )
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_at"), ["at"], unique=False)

    op.create_table(
        "job",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("by", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("started_at", BIG, nullable=True),
        sa.Column("ended_at", BIG, nullable=True),
        sa.Column("leased_by", sa.String(), nullable=True),
        sa.Column("leased_until", BIG, nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("input", sa.LargeBinary(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("errors", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("note", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_job_state_known")
        ),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_job")),
        sa.UniqueConstraint("id", name=op.f("uq_job_id")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index("ix_job_waiting", ["state", "no"], unique=False)

    op.create_table(
        "movement",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("on_hand", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("reserved", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("damaged", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("quarantined", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_movement")),
    )
    with op.batch_alter_table("movement", schema=None) as batch_op:
        batch_op.create_index("ix_movement_stock", ["sku_no", "node_no"], unique=False)

    op.create_table(
        "recipient",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column("erased", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_recipient")),
        sa.UniqueConstraint("id", name=op.f("uq_recipient_id")),
    )
    op.create_table(
        "service",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service")),
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    op.create_table(
        "shadow",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("cost_cents", BIG, nullable=False),
        sa.Column("live", sa.String(), nullable=False),
        sa.Column("live_cents", BIG, nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_shadow")),
    )
    with op.batch_alter_table("shadow", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shadow_ref"), ["ref"], unique=False)

    op.create_table(
        "timer",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_timer")),
    )
    op.create_table(
        "sku",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("weight_g", BIG, nullable=False),
        sa.Column("requires", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("services", sa.JSON(), nullable=True),
        sa.Column("unfilled_cents", BIG, nullable=True),
        sa.Column("backorder", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("presale_limit", BIG, nullable=True),
        sa.Column("presold", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("sale_day", sa.Integer(), nullable=True),
        sa.Column("is_kit", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "presold >= 0 AND (presale_limit IS NULL OR presold <= presale_limit)", name=op.f("ck_sku_presold_in_limit")
        ),
        sa.CheckConstraint("unfilled_cents >= 0", name=op.f("ck_sku_unfilled_cents_at_least_0")),
        sa.CheckConstraint("weight_g >= 0", name=op.f("ck_sku_weight_g_at_least_0")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_sku")),
        sa.UniqueConstraint("id", name=op.f("uq_sku_id")),
    )
    op.create_table(
        "wave",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("until", BIG, nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'deciding'"), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("seed", BIG, nullable=False),
        sa.Column("orders", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lines", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("changed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("conflicts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_cents", BIG, nullable=True),
        sa.Column("bound_cents", sa.Float(), nullable=True),
        sa.Column("before_cents", BIG, nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("ended_at", BIG, nullable=True),
        sa.Column("note", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_wave")),
        sa.UniqueConstraint("id", name=op.f("uq_wave_id")),
    )
    op.create_table(
        "channel_stock",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("buffer", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("allotment", BIG, nullable=True),
        sa.Column("sold", BIG, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("buffer >= 0", name=op.f("ck_channel_stock_buffer_at_least_0")),
        sa.CheckConstraint(
            "sold >= 0 AND (allotment IS NULL OR sold <= allotment)", name=op.f("ck_channel_stock_sold_in_allotment")
        ),
        sa.ForeignKeyConstraint(["channel"], ["channel.id"], name=op.f("fk_channel_stock_channel")),
        sa.ForeignKeyConstraint(["sku_no"], ["sku.no"], name=op.f("fk_channel_stock_sku_no")),
        sa.PrimaryKeyConstraint("channel", "sku_no", name=op.f("pk_channel_stock")),
    )
    op.create_table(
        "kit_part",
        sa.Column("kit_no", BIG, nullable=False),
        sa.Column("part_no", BIG, nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.CheckConstraint("units >= 1", name=op.f("ck_kit_part_units_at_least_1")),
        sa.ForeignKeyConstraint(["kit_no"], ["sku.no"], name=op.f("fk_kit_part_kit_no")),
        sa.ForeignKeyConstraint(["part_no"], ["sku.no"], name=op.f("fk_kit_part_part_no")),
        sa.PrimaryKeyConstraint("kit_no", "part_no", name=op.f("pk_kit_part")),
    )
    op.create_table(
        "node",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("region", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("lon", sa.Float(), nullable=False),
        sa.Column("parcel_cents", BIG, nullable=False),
        sa.Column("line_cents", BIG, nullable=False),
        sa.Column("unit_cents", BIG, nullable=False),
        sa.Column("ready_days", sa.Integer(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("calendar", sa.String(), nullable=False),
        sa.Column("cut_off_minute", sa.Integer(), nullable=False),
        sa.Column("capacity_parcels", BIG, nullable=True),
        sa.Column("capacity_units", BIG, nullable=True),
        sa.Column("overtime_cents", BIG, nullable=True),
        sa.Column("collects", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("kind IN ('warehouse', 'store')", name=op.f("ck_node_kind_known")),
        sa.CheckConstraint("cut_off_minute BETWEEN 0 AND 1439", name=op.f("ck_node_cut_off_in_a_day")),
        sa.CheckConstraint("lat BETWEEN -90 AND 90 AND lon BETWEEN -180 AND 180", name=op.f("ck_node_on_earth")),
        sa.CheckConstraint("line_cents >= 0", name=op.f("ck_node_line_cents_at_least_0")),
        sa.CheckConstraint("parcel_cents >= 0", name=op.f("ck_node_parcel_cents_at_least_0")),
        sa.CheckConstraint("ready_days >= 0", name=op.f("ck_node_ready_days_at_least_0")),
        sa.CheckConstraint("unit_cents >= 0", name=op.f("ck_node_unit_cents_at_least_0")),
        sa.ForeignKeyConstraint(["calendar"], ["calendar.id"], name=op.f("fk_node_calendar")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_node")),
        sa.UniqueConstraint("id", name=op.f("uq_node_id")),
    )
    op.create_table(
        "orders",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("placed_at", BIG, nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("lon", sa.Float(), nullable=True),
        sa.Column("region", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("pickup", sa.JSON(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=True),
        sa.Column("promise_day", sa.Integer(), nullable=False),
        sa.Column("promised", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("late_cents", BIG, nullable=False),
        sa.Column("max_parcels", sa.Integer(), nullable=True),
        sa.Column("ship_complete", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("review", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("cancel_at", BIG, nullable=True),
        sa.Column("open", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("allocated", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("released", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("shipped", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("delivered", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("returned", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column(
            "state",
            sa.String(),
            sa.Computed(
                "CASE WHEN review THEN 'held' WHEN open > 0 THEN 'open' WHEN allocated > 0 THEN 'allocated' WHEN released > 0 THEN 'released' WHEN shipped > 0 THEN 'shipped' WHEN delivered > 0 THEN 'delivered' WHEN returned > 0 THEN 'returned' ELSE 'cancelled' END",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.Column("leased_by", sa.String(), nullable=True),
        sa.Column("leased_until", BIG, nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("allocated >= 0", name=op.f("ck_orders_allocated_at_least_0")),
        sa.CheckConstraint("cancelled >= 0", name=op.f("ck_orders_cancelled_at_least_0")),
        sa.CheckConstraint("delivered >= 0", name=op.f("ck_orders_delivered_at_least_0")),
        sa.CheckConstraint("late_cents >= 0", name=op.f("ck_orders_late_cents_at_least_0")),
        sa.CheckConstraint("max_parcels IS NULL OR max_parcels >= 1", name=op.f("ck_orders_max_parcels_at_least_1")),
        sa.CheckConstraint("open >= 0", name=op.f("ck_orders_open_at_least_0")),
        sa.CheckConstraint("released >= 0", name=op.f("ck_orders_released_at_least_0")),
        sa.CheckConstraint("returned >= 0", name=op.f("ck_orders_returned_at_least_0")),
        sa.CheckConstraint("shipped >= 0", name=op.f("ck_orders_shipped_at_least_0")),
        sa.ForeignKeyConstraint(["channel"], ["channel.id"], name=op.f("fk_orders_channel")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_orders")),
        sa.UniqueConstraint("channel", "external_id", name="uq_orders_channel_external_id"),
        sa.UniqueConstraint("id", name=op.f("uq_orders_id")),
        postgresql_with={"fillfactor": 80},
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index("ix_orders_placed", ["placed_at", "no"], unique=False)
        batch_op.create_index("ix_orders_state", ["state", "no"], unique=False)
        batch_op.create_index(
            "ix_orders_to_source",
            ["priority", "placed_at", "no"],
            unique=False,
            sqlite_where=sa.text("open > 0"),
            postgresql_where=sa.text("open > 0"),
        )
        batch_op.create_index(
            "ix_orders_unreleased",
            ["no"],
            unique=False,
            sqlite_where=sa.text("open + allocated > 0"),
            postgresql_where=sa.text("open + allocated > 0"),
        )

    op.create_table(
        "claim",
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("units", BIG, nullable=False),
        sa.Column("line_units", BIG, nullable=False),
        sa.CheckConstraint("units >= 1 AND line_units >= 1", name=op.f("ck_claim_units_at_least_1")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_claim_order_no")),
        sa.PrimaryKeyConstraint("order_no", "number", "sku_no", "node_no", "service", name=op.f("pk_claim")),
    )
    with op.batch_alter_table("claim", schema=None) as batch_op:
        batch_op.create_index("ix_claim_stock", ["sku_no", "node_no"], unique=False)

    op.create_table(
        "consignment",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("collect_no", BIG, nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("released_at", BIG, nullable=False),
        sa.Column("work_day", sa.Integer(), nullable=False),
        sa.Column("arrives_day", sa.Integer(), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("tracking", sa.String(), nullable=True),
        sa.Column("shipped_at", BIG, nullable=True),
        sa.Column("delivered_at", BIG, nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "state IN ('released', 'picked', 'packed', 'shipped', 'ready', 'delivered', 'withdrawn')",
            name=op.f("ck_consignment_state_known"),
        ),
        sa.ForeignKeyConstraint(["collect_no"], ["node.no"], name=op.f("fk_consignment_collect_no")),
        sa.ForeignKeyConstraint(["node_no"], ["node.no"], name=op.f("fk_consignment_node_no")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_consignment_order_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_consignment")),
        sa.UniqueConstraint("id", name=op.f("uq_consignment_id")),
    )
    with op.batch_alter_table("consignment", schema=None) as batch_op:
        batch_op.create_index("ix_consignment_node", ["node_no", "state", "no"], unique=False)
        batch_op.create_index(batch_op.f("ix_consignment_order_no"), ["order_no"], unique=False)

    op.create_table(
        "decision",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("wave", sa.String(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("seed", BIG, nullable=False),
        sa.Column("cost_cents", BIG, nullable=False),
        sa.Column("bound_cents", sa.Float(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_decision_order_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_decision")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index("ix_decision_order", ["order_no", "no"], unique=False)

    op.create_table(
        "hold",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'held'"), nullable=False),
        sa.Column("placed_at", BIG, nullable=False),
        sa.Column("until", BIG, nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("order_no", BIG, nullable=True),
        sa.CheckConstraint("state IN ('held', 'converted', 'released', 'expired')", name=op.f("ck_hold_state_known")),
        sa.ForeignKeyConstraint(["channel"], ["channel.id"], name=op.f("fk_hold_channel")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_hold_order_no")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.create_index(
            "ix_hold_until",
            ["until"],
            unique=False,
            sqlite_where=sa.text("state = 'held'"),
            postgresql_where=sa.text("state = 'held'"),
        )

    op.create_table(
        "inbound",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("units", BIG, nullable=False),
        sa.Column("received", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("due_day", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.CheckConstraint(
            "units >= 1 AND received >= 0 AND received <= units", name=op.f("ck_inbound_received_at_most_units")
        ),
        sa.ForeignKeyConstraint(["node_no"], ["node.no"], name=op.f("fk_inbound_node_no")),
        sa.ForeignKeyConstraint(["sku_no"], ["sku.no"], name=op.f("fk_inbound_sku_no")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound")),
    )
    with op.batch_alter_table("inbound", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_inbound_sku_no"), ["sku_no"], unique=False)

    op.create_table(
        "node_day",
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("parcels", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("units", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("capacity_parcels", BIG, nullable=True),
        sa.Column("capacity_units", BIG, nullable=True),
        sa.CheckConstraint("parcels >= 0", name=op.f("ck_node_day_parcels_at_least_0")),
        sa.CheckConstraint("units >= 0", name=op.f("ck_node_day_units_at_least_0")),
        sa.ForeignKeyConstraint(["node_no"], ["node.no"], name=op.f("fk_node_day_node_no")),
        sa.PrimaryKeyConstraint("node_no", "day", name=op.f("pk_node_day")),
    )
    op.create_table(
        "order_line",
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("qty", BIG, nullable=False),
        sa.Column("unfilled_cents", BIG, nullable=False),
        sa.Column("price_cents", BIG, nullable=True),
        sa.Column("presale", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("allotted", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("open", BIG, nullable=False),
        sa.Column("allocated", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("released", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("shipped", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("delivered", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("returned", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", BIG, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("allocated >= 0", name=op.f("ck_order_line_allocated_at_least_0")),
        sa.CheckConstraint("cancelled >= 0", name=op.f("ck_order_line_cancelled_at_least_0")),
        sa.CheckConstraint("delivered >= 0", name=op.f("ck_order_line_delivered_at_least_0")),
        sa.CheckConstraint("open >= 0", name=op.f("ck_order_line_open_at_least_0")),
        sa.CheckConstraint(
            "qty = open + allocated + released + shipped + delivered + returned + cancelled",
            name=op.f("ck_order_line_every_unit_is_somewhere"),
        ),
        sa.CheckConstraint("qty >= 1", name=op.f("ck_order_line_qty_at_least_1")),
        sa.CheckConstraint("released >= 0", name=op.f("ck_order_line_released_at_least_0")),
        sa.CheckConstraint("returned >= 0", name=op.f("ck_order_line_returned_at_least_0")),
        sa.CheckConstraint("shipped >= 0", name=op.f("ck_order_line_shipped_at_least_0")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_order_line_order_no")),
        sa.ForeignKeyConstraint(["sku_no"], ["sku.no"], name=op.f("fk_order_line_sku_no")),
        sa.PrimaryKeyConstraint("order_no", "number", name=op.f("pk_order_line")),
        postgresql_with={"fillfactor": 80},
    )
    with op.batch_alter_table("order_line", schema=None) as batch_op:
        batch_op.create_index(
            "ix_order_line_open",
            ["sku_no"],
            unique=False,
            sqlite_where=sa.text("open > 0"),
            postgresql_where=sa.text("open > 0"),
        )

    op.create_table(
        "parcel",
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("collect_no", BIG, nullable=True),
        sa.Column("work_day", sa.Integer(), nullable=False),
        sa.Column("arrives_day", sa.Integer(), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.ForeignKeyConstraint(["collect_no"], ["node.no"], name=op.f("fk_parcel_collect_no")),
        sa.ForeignKeyConstraint(["node_no"], ["node.no"], name=op.f("fk_parcel_node_no")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_parcel_order_no")),
        sa.PrimaryKeyConstraint("order_no", "node_no", "service", name=op.f("pk_parcel")),
    )
    op.create_table(
        "rejection",
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("times", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("until", BIG, nullable=False),
        sa.Column("reason", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.ForeignKeyConstraint(["node_no"], ["node.no"], name=op.f("fk_rejection_node_no")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_rejection_order_no")),
        sa.PrimaryKeyConstraint("order_no", "node_no", name=op.f("pk_rejection")),
    )
    op.create_table(
        "stock",
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("on_hand", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("reserved", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("damaged", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("quarantined", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("missing", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("safety_sell", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("safety_route", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("value_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("damaged >= 0", name=op.f("ck_stock_damaged_at_least_0")),
        sa.CheckConstraint("missing >= 0 AND missing <= reserved", name=op.f("ck_stock_missing_at_most_reserved")),
        sa.CheckConstraint("on_hand >= 0", name=op.f("ck_stock_on_hand_at_least_0")),
        sa.CheckConstraint("quarantined >= 0", name=op.f("ck_stock_quarantined_at_least_0")),
        sa.CheckConstraint("reserved <= on_hand", name=op.f("ck_stock_reserved_at_most_on_hand")),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_stock_reserved_at_least_0")),
        sa.CheckConstraint("safety_route >= 0", name=op.f("ck_stock_safety_route_at_least_0")),
        sa.CheckConstraint("safety_sell >= 0", name=op.f("ck_stock_safety_sell_at_least_0")),
        sa.CheckConstraint("value_cents >= 0", name=op.f("ck_stock_value_cents_at_least_0")),
        sa.ForeignKeyConstraint(["node_no"], ["node.no"], name=op.f("fk_stock_node_no")),
        sa.ForeignKeyConstraint(["sku_no"], ["sku.no"], name=op.f("fk_stock_sku_no")),
        sa.PrimaryKeyConstraint("sku_no", "node_no", name=op.f("pk_stock")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "consignment_line",
        sa.Column("consignment_no", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("units", BIG, nullable=False),
        sa.Column("line_units", BIG, nullable=False),
        sa.Column("short", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("returned", BIG, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("line_units >= 0", name=op.f("ck_consignment_line_line_units_at_least_0")),
        sa.CheckConstraint("returned <= units", name=op.f("ck_consignment_line_returned_at_most_shipped")),
        sa.CheckConstraint("returned >= 0", name=op.f("ck_consignment_line_returned_at_least_0")),
        sa.CheckConstraint("short >= 0", name=op.f("ck_consignment_line_short_at_least_0")),
        sa.CheckConstraint("units >= 0", name=op.f("ck_consignment_line_units_at_least_0")),
        sa.ForeignKeyConstraint(
            ["consignment_no"], ["consignment.no"], name=op.f("fk_consignment_line_consignment_no")
        ),
        sa.ForeignKeyConstraint(["sku_no"], ["sku.no"], name=op.f("fk_consignment_line_sku_no")),
        sa.PrimaryKeyConstraint("consignment_no", "number", "sku_no", name=op.f("pk_consignment_line")),
    )
    with op.batch_alter_table("consignment_line", schema=None) as batch_op:
        batch_op.create_index("ix_consignment_line_stock", ["sku_no", "consignment_no"], unique=False)

    op.create_table(
        "hold_allotted",
        sa.Column("hold", sa.String(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("units", BIG, nullable=False),
        sa.CheckConstraint("units >= 1", name=op.f("ck_hold_allotted_units_at_least_1")),
        sa.ForeignKeyConstraint(["hold"], ["hold.id"], name=op.f("fk_hold_allotted_hold")),
        sa.PrimaryKeyConstraint("hold", "sku_no", name=op.f("pk_hold_allotted")),
    )
    op.create_table(
        "hold_unit",
        sa.Column("hold", sa.String(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("node_no", BIG, nullable=False),
        sa.Column("units", BIG, nullable=False),
        sa.CheckConstraint("units >= 1", name=op.f("ck_hold_unit_units_at_least_1")),
        sa.ForeignKeyConstraint(["hold"], ["hold.id"], name=op.f("fk_hold_unit_hold")),
        sa.PrimaryKeyConstraint("hold", "sku_no", "node_no", name=op.f("pk_hold_unit")),
    )
    with op.batch_alter_table("hold_unit", schema=None) as batch_op:
        batch_op.create_index("ix_hold_unit_stock", ["sku_no", "node_no"], unique=False)

    for table in ("movement", "fact", "decision"):
        _append_only(table)


def downgrade() -> None:
    with op.batch_alter_table("hold_unit", schema=None) as batch_op:
        batch_op.drop_index("ix_hold_unit_stock")

    op.drop_table("hold_unit")
    op.drop_table("hold_allotted")
    with op.batch_alter_table("consignment_line", schema=None) as batch_op:
        batch_op.drop_index("ix_consignment_line_stock")

    op.drop_table("consignment_line")
    op.drop_table("stock")
    op.drop_table("rejection")
    op.drop_table("parcel")
    with op.batch_alter_table("order_line", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_order_line_open", sqlite_where=sa.text("open > 0"), postgresql_where=sa.text("open > 0")
        )

    op.drop_table("order_line")
    op.drop_table("node_day")
    with op.batch_alter_table("inbound", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_inbound_sku_no"))

    op.drop_table("inbound")
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_hold_until", sqlite_where=sa.text("state = 'held'"), postgresql_where=sa.text("state = 'held'")
        )

    op.drop_table("hold")
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index("ix_decision_order")

    op.drop_table("decision")
    with op.batch_alter_table("consignment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consignment_order_no"))
        batch_op.drop_index("ix_consignment_node")

    op.drop_table("consignment")
    with op.batch_alter_table("claim", schema=None) as batch_op:
        batch_op.drop_index("ix_claim_stock")

    op.drop_table("claim")
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_orders_unreleased",
            sqlite_where=sa.text("open + allocated > 0"),
            postgresql_where=sa.text("open + allocated > 0"),
        )
        batch_op.drop_index(
            "ix_orders_to_source", sqlite_where=sa.text("open > 0"), postgresql_where=sa.text("open > 0")
        )
        batch_op.drop_index("ix_orders_state")
        batch_op.drop_index("ix_orders_placed")

    op.drop_table("orders")
    op.drop_table("node")
    op.drop_table("kit_part")
    op.drop_table("channel_stock")
    op.drop_table("wave")
    op.drop_table("sku")
    with op.batch_alter_table("shadow", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_shadow_ref"))

    op.drop_table("timer")
    op.drop_table("shadow")
    op.drop_table("setting")
    op.drop_table("service")
    op.drop_table("recipient")
    with op.batch_alter_table("movement", schema=None) as batch_op:
        batch_op.drop_index("ix_movement_stock")

    op.drop_table("movement")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index("ix_job_waiting")

    op.drop_table("job")
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_at"))

    op.drop_table("idempotency")
    op.drop_table("feed_mark")
    with op.batch_alter_table("fact", schema=None) as batch_op:
        batch_op.drop_index("ix_fact_log")
        batch_op.drop_index("ix_fact_subject")

    op.drop_table("fact")
    op.drop_table("consumer")
    op.drop_table("channel")
    op.drop_table("calendar")
    op.drop_table("api_key")
    if op.get_bind().dialect.name == "postgresql":
        for table in ("movement", "fact", "decision"):
            op.execute(f"DROP FUNCTION {table}_append_only()")
