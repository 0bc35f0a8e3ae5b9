"""What `ovms import-reference` brings from a reference server and has no place yet, and how far it is."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, LargeBinary, Text, func
from sqlalchemy.schema import ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    _create_enciphered_configurations()
    _create_owners()
    _create_positions()


def downgrade() -> None:
    op.drop_table("reference_positions")
    op.drop_table("reference_owners")
    op.drop_table("enciphered_configurations")


def _create_enciphered_configurations() -> None:
    op.create_table(
        "enciphered_configurations",
        Column("key", Text, nullable=False, comment="what the module asks with, usually the VIN"),
        Column("owner_id", BigInteger),
        Column("token", Text, nullable=False),
        Column("digest", Text, nullable=False, comment="base64: proves the secret with the token"),
        Column("record", Text, nullable=False, comment="enciphered parameters, base64"),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        PrimaryKeyConstraint("key", name="pk_enciphered_configurations"),
        ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_enciphered_configurations_owner_id", ondelete="CASCADE"),
    )
    name = "enciphered_configurations"
    op.create_index(f"ix_{name}_{name}_owner_id", name, ["owner_id"])


def _create_owners() -> None:
    op.create_table(
        "reference_owners",
        Column("number", BigInteger, nullable=False, autoincrement=False),
        Column("owner_id", BigInteger, nullable=False),
        PrimaryKeyConstraint("number", name="pk_reference_owners"),
        ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_reference_owners_owner_id", ondelete="CASCADE"),
        UniqueConstraint("owner_id", name="uq_reference_owners_owner_id"),
    )


def _create_positions() -> None:
    op.create_table(
        "reference_positions",
        Column("vehicle", BigInteger, nullable=False),
        Column("record_type", LargeBinary, nullable=False),
        Column("record_number", BigInteger, nullable=False),
        Column("recorded_at", Text, nullable=False, comment="as it is written there"),
        Column("finished", Boolean, nullable=False),
        PrimaryKeyConstraint("vehicle", name="pk_reference_positions"),
        ForeignKeyConstraint(["vehicle"], ["vehicles.id"], name="fk_reference_positions_vehicle", ondelete="CASCADE"),
    )
