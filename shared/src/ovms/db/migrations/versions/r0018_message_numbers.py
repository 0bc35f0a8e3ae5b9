"""The number of a state in its session."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column(
        "messages",
        sa.Column(
            "number",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="that of the message in its session; a smaller one never wins",
        ),
    )


def downgrade() -> None:
    op.drop_column("messages", "number")
