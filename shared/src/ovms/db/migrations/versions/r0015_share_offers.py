"""Shares that wait to be accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "share_offers",
        sa.Column("vehicle", sa.BigInteger(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False, comment="lower-cased name of the owner to whom it is offered"),
        sa.Column("name", sa.Text(), nullable=False, comment="that name as it was spelled"),
        sa.Column("permit", sa.Text(), nullable=False, comment="scopes, commas between"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), comment="end of the share; null: it does not end by itself"),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False, comment="until when it can be accepted"),
        sa.Column(
            "declined",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="true: shown to the offering owner alone",
        ),
        sa.PrimaryKeyConstraint("vehicle", "folded", name=op.f("pk_share_offers")),
        sa.ForeignKeyConstraint(["vehicle"], ["vehicles.id"], name=op.f("fk_share_offers_vehicle"), ondelete="CASCADE"),
    )
    op.add_column("shares", sa.Column("accepted_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False))
    op.create_index("ix_share_offers_folded", "share_offers", ["folded"])
    op.create_index("ix_share_offers_ends_at", "share_offers", ["ends_at"])


def downgrade() -> None:
    op.drop_column("shares", "accepted_at")
    op.drop_table("share_offers")
