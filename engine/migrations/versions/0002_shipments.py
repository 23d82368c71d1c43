"""Shipments: labels, parts of consignments, what is out for delivery, and pickups that lapse."""

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DAYS = 7
"""For which pickups wait that are ready already."""


def upgrade() -> None:
    with op.batch_alter_table("node", schema=None) as batch_op:
        batch_op.add_column(sa.Column("address", sa.String(), server_default=sa.text("''"), nullable=False))

    with op.batch_alter_table("consignment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("collect_until", BIG, nullable=True))
    op.execute(f"UPDATE consignment SET collect_until = shipped_at + {DAYS * 86_400_000} WHERE state = 'ready'")
    with op.batch_alter_table("consignment", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_consignment_state_known"), type_="check")
        batch_op.create_check_constraint(
            batch_op.f("ck_consignment_state_known"),
            "state IN ('released', 'picked', 'packed', 'shipped', 'out_for_delivery', 'ready', 'delivered', 'lapsed', "
            "'withdrawn')",
        )
        batch_op.create_check_constraint(
            batch_op.f("ck_consignment_ready_has_an_end"), "state <> 'ready' OR collect_until IS NOT NULL"
        )
        batch_op.create_index(
            "ix_consignment_ready",
            ["collect_until"],
            unique=False,
            sqlite_where=sa.text("state = 'ready'"),
            postgresql_where=sa.text("state = 'ready'"),
        )

    op.create_table(
        "label",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("consignment_no", BIG, nullable=False),
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'wanted'"), nullable=False),
        sa.Column("grams", BIG, nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", BIG, nullable=False),
        sa.Column("tracking", sa.String(), nullable=True),
        sa.Column("cents", BIG, nullable=True),
        sa.Column("wanted_at", BIG, nullable=False),
        sa.Column("made_at", BIG, nullable=True),
        sa.Column("looked_at", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("why", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_label_tries_at_least_0")),
        sa.CheckConstraint("grams >= 0", name=op.f("ck_label_grams_at_least_0")),
        sa.CheckConstraint("cents >= 0", name=op.f("ck_label_cents_at_least_0")),
        sa.CheckConstraint(
            "state IN ('wanted', 'made', 'refused', 'unwanted', 'cancelled')", name=op.f("ck_label_state_known")
        ),
        sa.CheckConstraint(
            "state <> 'made' OR (tracking IS NOT NULL AND made_at IS NOT NULL)", name=op.f("ck_label_made_is_tracked")
        ),
        sa.ForeignKeyConstraint(["consignment_no"], ["consignment.no"], name=op.f("fk_label_consignment_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_label")),
        sa.UniqueConstraint("id", name=op.f("uq_label_id")),
        sa.UniqueConstraint("carrier", "tracking", name=op.f("uq_label_carrier_tracking")),
    )
    with op.batch_alter_table("label", schema=None) as batch_op:
        batch_op.create_index("ix_label_consignment", ["consignment_no"], unique=False)
        batch_op.create_index(
            "ix_label_live",
            ["consignment_no"],
            unique=True,
            sqlite_where=sa.text("state IN ('wanted', 'made')"),
            postgresql_where=sa.text("state IN ('wanted', 'made')"),
        )
        batch_op.create_index(
            "ix_label_waiting",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('wanted', 'unwanted')"),
            postgresql_where=sa.text("state IN ('wanted', 'unwanted')"),
        )
