"""Who gets notifications pushed, and the notifications that wait to be."""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Identity, Integer, LargeBinary, Text, func, text
from sqlalchemy.schema import ForeignKeyConstraint, PrimaryKeyConstraint

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _create_subscriptions()
    _create_outbox()


def downgrade() -> None:
    op.drop_table("push_outbox")
    op.drop_table("push_subscriptions")


def _create_subscriptions() -> None:
    op.create_table(
        "push_subscriptions",
        Column("vehicle", BigInteger, nullable=False),
        Column("app_id", Text, nullable=False),
        Column("push_type", Text, nullable=False),
        Column("key_type", Text, nullable=False),
        Column("key", Text, nullable=False, comment="a device's token, a mail address or an URL"),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        PrimaryKeyConstraint("vehicle", "app_id", name="pk_push_subscriptions"),
        ForeignKeyConstraint(["vehicle"], ["vehicles.id"], name="fk_push_subscriptions_vehicle", ondelete="CASCADE"),
    )


def _create_outbox() -> None:
    op.create_table(
        "push_outbox",
        Column("id", BigInteger, Identity(always=True), nullable=False),
        Column("vehicle", BigInteger, nullable=False),
        Column("app_id", Text, nullable=False),
        Column("push_type", Text, nullable=False),
        Column("key_type", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("message", LargeBinary, nullable=False, comment="one byte of type, then the text"),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        PrimaryKeyConstraint("id", name="pk_push_outbox"),
        ForeignKeyConstraint(["vehicle"], ["vehicles.id"], name="fk_push_outbox_vehicle", ondelete="CASCADE"),
    )
    op.create_index("ix_push_outbox_push_outbox_vehicle", "push_outbox", ["vehicle"])
    op.create_index("ix_push_outbox_due", "push_outbox", ["push_type", "next_attempt_at"])
