"""What cars sent as state, sampled; and the history by time."""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, Text
from sqlalchemy.schema import PrimaryKeyConstraint

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _create_samples()
    _rebuild_key("vehicle, record_type, recorded_at, record_number")


def downgrade() -> None:
    _rebuild_key("vehicle, record_type, record_number, recorded_at")
    op.drop_table("samples")


def _create_samples() -> None:
    op.create_table(
        "samples",
        Column("vehicle", BigInteger, nullable=False),
        Column("code", Text, nullable=False, comment="one character, as on the wire"),
        Column("recorded_at", DateTime(timezone=True), nullable=False, comment="when it came"),
        Column("data", LargeBinary, nullable=False),
        Column("expires_at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("vehicle", "code", "recorded_at", name="pk_samples"),
        postgresql_partition_by="RANGE (recorded_at)",
    )
    op.create_index("ix_samples_expires_at", "samples", ["expires_at"])
    op.execute("CREATE TABLE samples_default PARTITION OF samples DEFAULT")


def _rebuild_key(columns: str) -> None:
    # With the number before the time, a page of a record type took a look at all of its records.
    op.execute(f"ALTER TABLE history DROP CONSTRAINT pk_history, ADD CONSTRAINT pk_history PRIMARY KEY ({columns})")
