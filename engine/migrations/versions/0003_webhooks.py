"""Events for others, webhooks and messages to customers."""

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("webhook", sa.String(), nullable=False),
        sa.Column("event_no", BIG, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("ms", sa.Integer(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_attempt")),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index("ix_attempt_delivery", ["webhook", "event_no", "no"], unique=False)
        batch_op.create_index("ix_attempt_event", ["event_no"], unique=False)

    op.create_table(
        "event",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("made_at", BIG, nullable=False),
        sa.Column("fact", sa.String(), nullable=False),
        sa.Column("data", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_event")),
        sa.UniqueConstraint("id", name=op.f("uq_event_id")),
        sa.UniqueConstraint("subject", "sequence", name="uq_event_subject_sequence"),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_made", ["made_at"], unique=False)

    op.create_table(
        "opt_out",
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("recipient", "type", name=op.f("pk_opt_out")),
    )
    op.create_table(
        "told",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("sequence", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("held", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("day", sa.Integer(), nullable=True),
        sa.Column("low", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_told")),
    )
    op.create_table(
        "webhook",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("types", sa.JSON(), nullable=False),
        sa.Column("description", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("disabled", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("failing_since", BIG, nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rests_until", BIG, server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("disabled IN ('', 'by_hand', 'failing', 'gone')", name=op.f("ck_webhook_disabled_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_table(
        "delivery",
        sa.Column("webhook", sa.String(), nullable=False),
        sa.Column("event_no", BIG, nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("replays", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", BIG, nullable=False),
        sa.Column("leased_by", sa.String(), nullable=True),
        sa.Column("leased_until", BIG, nullable=True),
        sa.Column("ended_at", BIG, nullable=True),
        sa.CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name=op.f("ck_delivery_ended_has_a_time")),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'dead')", name=op.f("ck_delivery_state_known")),
        sa.CheckConstraint("replays >= 0", name=op.f("ck_delivery_replays_at_least_0")),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_delivery_tries_at_least_0")),
        sa.ForeignKeyConstraint(["event_no"], ["event.no"], name=op.f("fk_delivery_event_no")),
        sa.ForeignKeyConstraint(["webhook"], ["webhook.id"], name=op.f("fk_delivery_webhook")),
        sa.PrimaryKeyConstraint("webhook", "event_no", name=op.f("pk_delivery")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_due",
            ["webhook", "next_at", "event_no"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
        batch_op.create_index("ix_delivery_event", ["event_no"], unique=False)
        batch_op.create_index(
            "ix_delivery_waiting",
            ["webhook", "subject", "event_no"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )

    op.create_table(
        "notice",
        sa.Column("event_no", BIG, nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("why", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", BIG, nullable=False),
        sa.Column("leased_by", sa.String(), nullable=True),
        sa.Column("leased_until", BIG, nullable=True),
        sa.Column("ended_at", BIG, nullable=True),
        sa.CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name=op.f("ck_notice_ended_has_a_time")),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'skipped', 'dead')", name=op.f("ck_notice_state_known")),
        sa.ForeignKeyConstraint(["event_no"], ["event.no"], name=op.f("fk_notice_event_no")),
        sa.PrimaryKeyConstraint("event_no", name=op.f("pk_notice")),
    )
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.create_index(
            "ix_notice_due",
            ["next_at", "event_no"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
        batch_op.create_index("ix_notice_recipient", ["recipient", "event_no"], unique=False)

    op.create_table(
        "webhook_secret",
        sa.Column("no", BIG, autoincrement=True, nullable=False),
        sa.Column("webhook", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("until", BIG, nullable=True),
        sa.ForeignKeyConstraint(["webhook"], ["webhook.id"], name=op.f("fk_webhook_secret_webhook")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_webhook_secret")),
    )
    with op.batch_alter_table("webhook_secret", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_secret_webhook"), ["webhook"], unique=False)

    op.add_column("recipient", sa.Column("locale", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("recipient", "locale")
    for table in ("notice", "opt_out", "attempt", "delivery", "webhook_secret", "webhook", "told", "event"):
        op.drop_table(table)
