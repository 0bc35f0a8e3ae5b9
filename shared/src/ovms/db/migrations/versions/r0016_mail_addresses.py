"""Mail addresses of owners: which are confirmed, and how many mails they have had."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, LargeBinary, Text, text
from sqlalchemy.schema import ForeignKeyConstraint, PrimaryKeyConstraint

revision = "0016"
down_revision = "0015"

# Whose an address of a subscription is, nobody has asked yet: each gets a mail to be confirmed by.
_SUBSCRIBED = """
INSERT INTO mail_addresses (owner_id, address, is_wanted)
SELECT DISTINCT owner_id, endpoint, true FROM push_subscriptions JOIN vehicles ON vehicles.id = vehicle WHERE push_type = 'mail'
"""


def upgrade() -> None:
    op.create_table(
        "mail_addresses",
        Column("owner_id", BigInteger, nullable=False),
        Column("address", Text, nullable=False, comment="in lower case"),
        Column("confirmed_at", DateTime(timezone=True)),
        Column("is_wanted", Boolean, nullable=False, server_default=text("false"), comment="a mail to confirm it by is due"),
        Column("code", LargeBinary, comment="SHA-256 of what confirms it"),
        Column("code_sent_at", DateTime(timezone=True)),
        Column("code_mails", Integer, nullable=False, server_default=text("0"), comment="to confirm it by, that were sent"),
        Column("hour_from", DateTime(timezone=True), comment="when the hour began that the mails are counted in"),
        Column("mails", Integer, nullable=False, server_default=text("0"), comment="in that hour"),
        PrimaryKeyConstraint("owner_id", "address", name="pk_mail_addresses"),
        ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_mail_addresses_owner_id", ondelete="CASCADE"),
    )
    op.create_index("ix_mail_addresses_address", "mail_addresses", ["address"])
    op.create_index("ix_mail_addresses_code", "mail_addresses", ["code"], unique=True)
    op.execute(_SUBSCRIBED)


def downgrade() -> None:
    op.drop_table("mail_addresses")
