"""Channels: connections to shops elsewhere, what they call things, what they said, and what of it could not be done."""

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "postal_area",
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("lon", sa.Float(), nullable=False),
        sa.Column("region", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("lat BETWEEN -90 AND 90 AND lon BETWEEN -180 AND 180", name=op.f("ck_postal_area_on_earth")),
        sa.PrimaryKeyConstraint("country", "area", name=op.f("pk_postal_area")),
    )
    op.create_table(
        "connection",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("secrets", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("arrangement", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("push_at", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("push_tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("push_problem", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("push_tries >= 0", name=op.f("ck_connection_push_tries_at_least_0")),
        sa.ForeignKeyConstraint(["channel"], ["channel.id"], name=op.f("fk_connection_channel")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint("channel", name=op.f("uq_connection_channel")),
    )
    op.create_table(
        "channel_event",
        sa.Column("connection", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connection.id"], name=op.f("fk_channel_event_connection")),
        sa.PrimaryKeyConstraint("connection", "id", name=op.f("pk_channel_event")),
    )
    with op.batch_alter_table("channel_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_channel_event_at"), ["at"], unique=False)

    op.create_table(
        "channel_issue",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("connection", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("times", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("settled_at", BIG, nullable=True),
        sa.Column("settled_by", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("state IN ('open', 'settled')", name=op.f("ck_channel_issue_state_known")),
        sa.ForeignKeyConstraint(["connection"], ["connection.id"], name=op.f("fk_channel_issue_connection")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_channel_issue")),
        sa.UniqueConstraint("connection", "external_id", "code", "place", name="uq_channel_issue_what"),
        sa.UniqueConstraint("id", name=op.f("uq_channel_issue_id")),
    )
    with op.batch_alter_table("channel_issue", schema=None) as batch_op:
        batch_op.create_index("ix_channel_issue_state", ["state", "no"], unique=False)

    op.create_table(
        "channel_item",
        sa.Column("connection", sa.String(), nullable=False),
        sa.Column("external_sku", sa.String(), nullable=False),
        sa.Column("sku_no", BIG, nullable=False),
        sa.Column("ref", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("pushed", BIG, nullable=True),
        sa.Column("pushed_at", BIG, nullable=True),
        sa.Column("retry_at", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connection.id"], name=op.f("fk_channel_item_connection")),
        sa.ForeignKeyConstraint(["sku_no"], ["sku.no"], name=op.f("fk_channel_item_sku_no")),
        sa.PrimaryKeyConstraint("connection", "external_sku", name=op.f("pk_channel_item")),
    )
    with op.batch_alter_table("channel_item", schema=None) as batch_op:
        batch_op.create_index("ix_channel_item_sku", ["sku_no"], unique=False)

    op.create_table(
        "channel_line",
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("asked", BIG, nullable=False),
        sa.Column("undone", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("elsewhere", BIG, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("asked >= 0", name=op.f("ck_channel_line_asked_at_least_0")),
        sa.CheckConstraint("elsewhere >= 0", name=op.f("ck_channel_line_elsewhere_at_least_0")),
        sa.CheckConstraint("undone >= 0", name=op.f("ck_channel_line_undone_at_least_0")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_channel_line_order_no")),
        sa.PrimaryKeyConstraint("order_no", "ref", name=op.f("pk_channel_line")),
        sa.UniqueConstraint("order_no", "number", name="uq_channel_line_order_no_number"),
    )
    with op.batch_alter_table("channel_line", schema=None) as batch_op:
        batch_op.create_index(
            "ix_channel_line_undone",
            ["order_no"],
            unique=False,
            sqlite_where=sa.text("undone > 0"),
            postgresql_where=sa.text("undone > 0"),
        )

    op.create_table(
        "channel_parcel",
        sa.Column("consignment_no", BIG, nullable=False),
        sa.Column("connection", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", BIG, nullable=False),
        sa.Column("problem", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'told', 'refused')", name=op.f("ck_channel_parcel_state_known")),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_channel_parcel_tries_at_least_0")),
        sa.ForeignKeyConstraint(["connection"], ["connection.id"], name=op.f("fk_channel_parcel_connection")),
        sa.ForeignKeyConstraint(["consignment_no"], ["consignment.no"], name=op.f("fk_channel_parcel_consignment_no")),
        sa.PrimaryKeyConstraint("consignment_no", name=op.f("pk_channel_parcel")),
    )
    with op.batch_alter_table("channel_parcel", schema=None) as batch_op:
        batch_op.create_index(
            "ix_channel_parcel_waiting",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )

    op.create_table(
        "channel_order",
        sa.Column("connection", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("order_no", BIG, nullable=True),
        sa.Column("said_at", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("applied", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("destination", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("said", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("waiting", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connection.id"], name=op.f("fk_channel_order_connection")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_channel_order_order_no")),
        sa.PrimaryKeyConstraint("connection", "external_id", name=op.f("pk_channel_order")),
        sa.UniqueConstraint("order_no", name=op.f("uq_channel_order_order_no")),
    )


def downgrade() -> None:
    for table in (
        "channel_parcel", "channel_line", "channel_order", "channel_issue", "channel_event", "channel_item", "connection", "postal_area",
    ):  # fmt: skip
        op.drop_table(table)
