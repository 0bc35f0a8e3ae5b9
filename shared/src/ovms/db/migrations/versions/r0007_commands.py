"""Commands to vehicles, until they are carried out and for some time after that."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, DateTime, Identity, Integer, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.schema import ForeignKeyConstraint, PrimaryKeyConstraint

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "commands",
        Column("id", UUID, nullable=False),
        Column("place", BigInteger, Identity(always=True), nullable=False, comment="the order in which they were taken"),
        Column("vehicle", BigInteger, nullable=False),
        Column("actor_id", BigInteger, comment="who asked for it"),
        Column("actor", Text, nullable=False, comment="his name"),
        Column("means", Text, nullable=False, comment="what he signed in with: password, or token and its identifier"),
        Column("kind", Text, nullable=False),
        Column("number", Integer, nullable=False, comment="of protocol v2"),
        Column("arguments", JSONB, nullable=False, comment="those that are never secret"),
        Column("message", LargeBinary, comment="what is sent, sealed; null: it is over"),
        Column("message_key_id", Text, comment="the key that sealed the message"),
        Column("state", Text, nullable=False, server_default="queued"),
        Column("revision", Integer, nullable=False, server_default=text("1"), comment="grows with every change"),
        Column("waits", Boolean, nullable=False, comment="whether it waits for an absent vehicle"),
        Column("only_by", Text, comment="the process that alone may send it, since it alone wants the answer; null: any"),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("expires_at", DateTime(timezone=True), nullable=False, comment="until when it may be sent"),
        Column("sent_at", DateTime(timezone=True)),
        Column("answer_by", DateTime(timezone=True), comment="when whoever has sent it must have died"),
        Column("finished_at", DateTime(timezone=True)),
        Column("result", Integer, comment="of protocol v2"),
        Column("words", Text, comment="the vehicle's"),
        Column("idempotency_key", Text),
        Column("request_mark", LargeBinary, comment="equal for equal requests"),
        Column("request_key_id", Text, comment="the key that the mark was made with"),
        PrimaryKeyConstraint("id", name="pk_commands"),
        ForeignKeyConstraint(["vehicle"], ["vehicles.id"], name="fk_commands_vehicle", ondelete="CASCADE"),
        ForeignKeyConstraint(["actor_id"], ["owners.id"], name="fk_commands_actor_id", ondelete="SET NULL"),
        CheckConstraint(
            "state IN ('queued', 'sent', 'succeeded', 'failed', 'unsupported', 'expired', 'unknown', 'cancelled')",
            name=op.f("ck_commands_state"),
        ),
    )
    op.create_index("ix_commands_actor_id", "commands", ["actor_id"])
    op.create_index("ix_commands_vehicle", "commands", ["vehicle", "place"])
    op.create_index("ix_commands_open", "commands", ["vehicle", "place"], postgresql_where=text("finished_at IS NULL"))
    op.create_index("uq_commands_sent", "commands", ["vehicle"], unique=True, postgresql_where=text("state = 'sent'"))
    op.create_index("ix_commands_finished_at", "commands", ["finished_at"])
    op.create_index(
        "uq_commands_idempotency_key",
        "commands",
        ["actor_id", "vehicle", "idempotency_key"],
        unique=True,
        postgresql_where=text("idempotency_key IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("commands")
