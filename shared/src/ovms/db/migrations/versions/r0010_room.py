"""Room in the pages of the newest messages for their next versions."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("ALTER TABLE messages SET (fillfactor = 50)")


def downgrade() -> None:
    op.execute("ALTER TABLE messages RESET (fillfactor)")
