"""Configurations for modules that ask for theirs."""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, Text, func
from sqlalchemy.schema import ForeignKeyConstraint, PrimaryKeyConstraint

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "autoprovision",
        Column("key", Text, nullable=False, comment="what the module asks with, usually the VIN"),
        Column("owner_id", BigInteger, nullable=False),
        Column("secret", LargeBinary, nullable=False, comment="usually the ICCID; sealed like a vehicle's password"),
        Column("secret_key_id", Text, nullable=False),
        Column("record", LargeBinary, nullable=False, comment="parameters, spaces between; sealed like a vehicle's password"),
        Column("record_key_id", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        PrimaryKeyConstraint("key", name="pk_autoprovision"),
        ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_autoprovision_owner_id", ondelete="CASCADE"),
    )
    op.create_index("ix_autoprovision_autoprovision_owner_id", "autoprovision", ["owner_id"])


def downgrade() -> None:
    op.drop_table("autoprovision")
