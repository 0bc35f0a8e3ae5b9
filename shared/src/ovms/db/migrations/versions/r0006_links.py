"""Links: tokens that are for looking at one vehicle, and end with it."""

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("api_tokens", Column("link", BigInteger, comment="the vehicle that it is a link to"))
    op.create_foreign_key("fk_api_tokens_link", "api_tokens", "vehicles", ["link"], ["id"], ondelete="CASCADE")
    op.create_index("ix_api_tokens_link", "api_tokens", ["link"])


def downgrade() -> None:
    op.drop_index("ix_api_tokens_link", "api_tokens")
    op.drop_column("api_tokens", "link")
