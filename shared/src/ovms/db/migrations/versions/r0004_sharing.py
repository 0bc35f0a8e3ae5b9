"""Tokens for some vehicles and for some time, vehicles that are shared, and a trail of who did what."""

from alembic import op
from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Identity, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import ForeignKeyConstraint, PrimaryKeyConstraint

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("api_tokens", Column("vehicles", ARRAY(Text), comment="upper-cased ids of those that it is for; null: all"))
    op.add_column("api_tokens", Column("expires_at", DateTime(timezone=True), comment="null: it does not end by itself"))
    _create_shares()
    _create_audit()


def downgrade() -> None:
    op.drop_table("audit")
    op.drop_table("shares")
    # A token that was for some vehicles or for some time would be for all and for ever.
    op.execute("DELETE FROM api_tokens WHERE vehicles IS NOT NULL OR expires_at IS NOT NULL")
    op.drop_column("api_tokens", "expires_at")
    op.drop_column("api_tokens", "vehicles")


def _create_shares() -> None:
    op.create_table(
        "shares",
        Column("vehicle", BigInteger, nullable=False),
        Column("owner_id", BigInteger, nullable=False, comment="with whom"),
        Column("permit", Text, nullable=False, comment="scopes, commas between"),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("expires_at", DateTime(timezone=True), comment="null: it does not end by itself"),
        PrimaryKeyConstraint("vehicle", "owner_id", name="pk_shares"),
        ForeignKeyConstraint(["vehicle"], ["vehicles.id"], name="fk_shares_vehicle", ondelete="CASCADE"),
        ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_shares_owner_id", ondelete="CASCADE"),
    )
    op.create_index("ix_shares_owner_id", "shares", ["owner_id"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        Column("id", BigInteger, Identity(always=True), nullable=False),
        Column("owner_id", BigInteger, nullable=False, comment="whose it concerns"),
        Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("actor", Text, nullable=False, comment="the name of who did it"),
        Column("means", Text, nullable=False, comment="what he signed in with: password, or token and its identifier"),
        Column("action", Text, nullable=False),
        Column("vehicle_id", Text, comment="the vehicle that it concerns"),
        Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
        PrimaryKeyConstraint("id", name="pk_audit"),
        ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_audit_owner_id", ondelete="CASCADE"),
    )
    op.create_index("ix_audit_owner_id", "audit", ["owner_id", "id"])
