"""Notices that a vehicle has been silent."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "silence_notices",
        sa.Column("vehicle", sa.BigInteger(), nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False, comment="of silence before the notice"),
        sa.Column("heard_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("is_silent", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="true: notified"),
        sa.Column("silent_at", sa.DateTime(timezone=True), comment="when its owner was notified last"),
        sa.PrimaryKeyConstraint("vehicle", name=op.f("pk_silence_notices")),
        sa.ForeignKeyConstraint(["vehicle"], ["vehicles.id"], name=op.f("fk_silence_notices_vehicle"), ondelete="CASCADE"),
    )


def downgrade() -> None:
    op.drop_table("silence_notices")
