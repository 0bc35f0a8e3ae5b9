"""The history of state messages, by day."""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, Text
from sqlalchemy.schema import PrimaryKeyConstraint

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "state_history",
        Column("vehicle", BigInteger, nullable=False),
        Column("code", Text, nullable=False, comment="one character, as on the wire"),
        Column("recorded_at", DateTime(timezone=True), nullable=False, comment="whole seconds"),
        Column("data", LargeBinary, nullable=False, comment="as on the wire, without the code; base64 where it is encrypted"),
        PrimaryKeyConstraint("vehicle", "code", "recorded_at", name="pk_state_history"),
        postgresql_partition_by="RANGE (recorded_at)",
    )
    op.execute("CREATE TABLE state_history_default PARTITION OF state_history DEFAULT")
    op.alter_column(
        "history",
        "recorded_at",
        comment="whole seconds; different records of one key lie a microsecond apart",
        existing_comment="whole seconds",
    )


def downgrade() -> None:
    op.alter_column("history", "recorded_at", comment="whole seconds")
    op.drop_table("state_history")
