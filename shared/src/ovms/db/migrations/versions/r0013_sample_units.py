"""Keep with each sample the unit that it was measured in."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    column = sa.Column("units", sa.Text, comment="K or M: what the car measured in at that time; null: unknown")
    op.add_column("samples", column)


def downgrade() -> None:
    op.drop_column("samples", "units")
