"""Payments and invoices: what orders cost, what providers keep, take and give back, and the papers about it."""

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("charge", "invoice")

revision = "0006"
down_revision = "0005"
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
        "gateway_entry",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_gateway_entry")),
    )
    with op.batch_alter_table("gateway_entry", schema=None) as batch_op:
        batch_op.create_index("ix_gateway_entry_reference", ["reference"], unique=False)

    op.create_table(
        "invoice_series",
        sa.Column("series", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last", BIG, nullable=False),
        sa.PrimaryKeyConstraint("series", "year", name=op.f("pk_invoice_series")),
    )
    op.create_table(
        "charge",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("gross", sa.Boolean(), nullable=False),
        sa.Column("goods_cents", BIG, nullable=False),
        sa.Column("carriage_cents", BIG, nullable=False),
        sa.Column("tax_cents", BIG, nullable=False),
        sa.Column("kept_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("set_off_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("passed_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.CheckConstraint("kind IN ('shipment', 'refund', 'shortfall')", name=op.f("ck_charge_kind_known")),
        sa.CheckConstraint("carriage_cents >= 0", name=op.f("ck_charge_carriage_cents_at_least_0")),
        sa.CheckConstraint(
            "cents + kept_cents + set_off_cents + passed_cents = goods_cents + carriage_cents "
            "+ CASE WHEN gross THEN 0 ELSE tax_cents END",
            name=op.f("ck_charge_adds_up"),
        ),
        sa.CheckConstraint("cents >= 0", name=op.f("ck_charge_cents_at_least_0")),
        sa.CheckConstraint("goods_cents >= 0", name=op.f("ck_charge_goods_cents_at_least_0")),
        sa.CheckConstraint("kept_cents >= 0", name=op.f("ck_charge_kept_cents_at_least_0")),
        sa.CheckConstraint("passed_cents >= 0", name=op.f("ck_charge_passed_cents_at_least_0")),
        sa.CheckConstraint(
            "set_off_cents >= 0 OR goods_cents = 0", name=op.f("ck_charge_set_off_cents_at_least_0_of_goods")
        ),
        sa.CheckConstraint("tax_cents >= 0", name=op.f("ck_charge_tax_cents_at_least_0")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_charge_order_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_charge")),
        sa.UniqueConstraint("ref", name=op.f("uq_charge_ref")),
    )
    with op.batch_alter_table("charge", schema=None) as batch_op:
        batch_op.create_index("ix_charge_order", ["order_no"], unique=False)

    op.create_table(
        "order_bill",
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("carriage_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("taxes", sa.JSON(), nullable=False),
        sa.CheckConstraint("carriage_cents >= 0", name=op.f("ck_order_bill_carriage_cents_at_least_0")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_order_bill_order_no")),
        sa.PrimaryKeyConstraint("order_no", name=op.f("pk_order_bill")),
    )
    op.create_table(
        "payment",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'wanted'"), nullable=False),
        sa.Column("authorised_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("captured_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("refunded_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("voided_cents", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("often", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("expires_at", BIG, nullable=True),
        sa.Column("at", BIG, nullable=False),
        sa.Column("why", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint(
            "state = 'authorised' OR authorised_cents = 0", name=op.f("ck_payment_authorised_has_its_state")
        ),
        sa.CheckConstraint("state IN ('wanted', 'authorised', 'declined')", name=op.f("ck_payment_state_known")),
        sa.CheckConstraint("authorised_cents >= 0", name=op.f("ck_payment_authorised_cents_at_least_0")),
        sa.CheckConstraint(
            "captured_cents + voided_cents <= authorised_cents", name=op.f("ck_payment_captured_at_most_authorised")
        ),
        sa.CheckConstraint("captured_cents >= 0", name=op.f("ck_payment_captured_cents_at_least_0")),
        sa.CheckConstraint(
            "cents >= 1 AND authorised_cents <= cents", name=op.f("ck_payment_authorised_at_most_asked")
        ),
        sa.CheckConstraint("refunded_cents <= captured_cents", name=op.f("ck_payment_refunded_at_most_captured")),
        sa.CheckConstraint("refunded_cents >= 0", name=op.f("ck_payment_refunded_cents_at_least_0")),
        sa.CheckConstraint("voided_cents >= 0", name=op.f("ck_payment_voided_cents_at_least_0")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_payment_order_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_payment")),
        sa.UniqueConstraint("id", name=op.f("uq_payment_id")),
    )
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.create_index(
            "ix_payment_expires",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("captured_cents + voided_cents < authorised_cents"),
            postgresql_where=sa.text("captured_cents + voided_cents < authorised_cents"),
        )
        batch_op.create_index("ix_payment_order", ["order_no"], unique=False)
        batch_op.create_index(
            "ix_payment_token", ["at"], unique=False,
            sqlite_where=sa.text("token <> ''"), postgresql_where=sa.text("token <> ''"),
        )  # fmt: skip

    op.create_table(
        "payment_exception",
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.CheckConstraint("cents >= 1", name=op.f("ck_payment_exception_cents_at_least_1")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_payment_exception_order_no")),
        sa.PrimaryKeyConstraint("order_no", "ref", name=op.f("pk_payment_exception")),
    )
    op.create_table(
        "invoice",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("series", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.Column("order_no", BIG, nullable=False),
        sa.Column("charge_no", BIG, nullable=False),
        sa.Column("issued_at", BIG, nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("net_cents", BIG, nullable=False),
        sa.Column("tax_cents", BIG, nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.CheckConstraint("kind IN ('invoice', 'credit_note')", name=op.f("ck_invoice_kind_known")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_invoice_number_at_least_1")),
        sa.ForeignKeyConstraint(["charge_no"], ["charge.no"], name=op.f("fk_invoice_charge_no")),
        sa.ForeignKeyConstraint(["order_no"], ["orders.no"], name=op.f("fk_invoice_order_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_invoice")),
        sa.UniqueConstraint("charge_no", name=op.f("uq_invoice_charge_no")),
        sa.UniqueConstraint("id", name=op.f("uq_invoice_id")),
        sa.UniqueConstraint("series", "year", "number", name="uq_invoice_series_year_number"),
    )
    with op.batch_alter_table("invoice", schema=None) as batch_op:
        batch_op.create_index("ix_invoice_issued", ["issued_at", "no"], unique=False)
        batch_op.create_index("ix_invoice_order", ["order_no"], unique=False)

    op.create_table(
        "payment_step",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("payment_no", BIG, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("charge", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'wanted'"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", BIG, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("asked_at", BIG, nullable=True),
        sa.Column("done_at", BIG, nullable=True),
        sa.Column("why", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("(state = 'wanted') = (done_at IS NULL)", name=op.f("ck_payment_step_ended_has_its_time")),
        sa.CheckConstraint(
            "kind IN ('authorise', 'capture', 'void', 'refund')", name=op.f("ck_payment_step_kind_known")
        ),
        sa.CheckConstraint("state IN ('wanted', 'done', 'refused', 'lost')", name=op.f("ck_payment_step_state_known")),
        sa.CheckConstraint("cents >= 1", name=op.f("ck_payment_step_cents_at_least_1")),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_payment_step_tries_at_least_0")),
        sa.ForeignKeyConstraint(["payment_no"], ["payment.no"], name=op.f("fk_payment_step_payment_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_payment_step")),
        sa.UniqueConstraint("id", name=op.f("uq_payment_step_id")),
    )
    with op.batch_alter_table("payment_step", schema=None) as batch_op:
        batch_op.create_index("ix_payment_step_payment", ["payment_no", "no"], unique=False)
        batch_op.create_index(
            "ix_payment_step_waiting",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("state = 'wanted'"),
            postgresql_where=sa.text("state = 'wanted'"),
        )

    for table in APPEND_ONLY:
        _append_only(table)
