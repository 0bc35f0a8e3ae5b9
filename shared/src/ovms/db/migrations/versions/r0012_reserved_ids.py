"""Ids of removed vehicles, reserved for their former owners."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "reserved_vehicle_ids",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the upper-cased id"),
        sa.Column("owner_id", sa.BigInteger(), nullable=True, comment="null: was erased"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_reserved_vehicle_ids")),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["owners.id"], name=op.f("fk_reserved_vehicle_ids_owner_id"), ondelete="SET NULL"
        ),
    )
    op.create_index("ix_reserved_vehicle_ids_owner_id", "reserved_vehicle_ids", ["owner_id"])
    op.create_index("ix_reserved_vehicle_ids_until", "reserved_vehicle_ids", ["until"])


def downgrade() -> None:
    op.drop_table("reserved_vehicle_ids")
