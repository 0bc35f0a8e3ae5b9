"""Bounds on what leaves: pushes belong to their subscriptions, and stay for a while when they are done, to pace the next."""

from alembic import op
from sqlalchemy import Column, DateTime, Integer, Text, func, text

revision = "0011"
down_revision = "0010"

# As `ovms.subscriptions.endpoint_of`.
_ENDPOINTS = """
UPDATE push_subscriptions SET endpoint = CASE push_type
  WHEN 'mail' THEN lower(key)
  WHEN 'webhook' THEN lower(split_part(split_part(split_part(split_part(key, '://', 2), '/', 1), '?', 1), '#', 1))
  ELSE '' END
"""

_ORPHANS = """
DELETE FROM push_outbox WHERE NOT EXISTS (
  SELECT FROM push_subscriptions AS kept WHERE kept.vehicle = push_outbox.vehicle AND kept.app_id = push_outbox.app_id)
"""


def upgrade() -> None:
    about = "what fails or hangs as a whole for an owner, empty: the push service"
    op.add_column("push_subscriptions", Column("endpoint", Text, nullable=False, server_default="", comment=about))
    op.execute(_ENDPOINTS)
    op.alter_column("push_subscriptions", "endpoint", server_default=None)
    about = "of the endpoint, one after the other"
    op.add_column("push_subscriptions", Column("failures", Integer, nullable=False, server_default=text("0"), comment=about))
    op.add_column(
        "push_subscriptions", Column("paused_until", DateTime(timezone=True), nullable=False, server_default=func.now())
    )
    about = "notifications that found no place"
    op.add_column("push_subscriptions", Column("omitted", Integer, nullable=False, server_default=text("0"), comment=about))
    op.execute(_ORPHANS)
    op.drop_index("ix_push_outbox_due", "push_outbox")
    op.drop_index("ix_push_outbox_push_outbox_vehicle", "push_outbox")
    for column in ("push_type", "key_type", "key"):
        op.drop_column("push_outbox", column)
    op.alter_column("push_outbox", "next_attempt_at", new_column_name="due_at")
    about = "of equal notifications, as which it counts"
    op.add_column("push_outbox", Column("count", Integer, nullable=False, server_default=text("1"), comment=about))
    about = "end of the lease of the replica that delivers it"
    op.add_column("push_outbox", Column("taken_until", DateTime(timezone=True), comment=about))
    about = "when it was delivered or given up"
    op.add_column("push_outbox", Column("done_at", DateTime(timezone=True), comment=about))
    op.drop_constraint("fk_push_outbox_vehicle", "push_outbox")
    op.create_foreign_key(
        "fk_push_outbox_vehicle", "push_outbox", "push_subscriptions", ["vehicle", "app_id"], ["vehicle", "app_id"],
        ondelete="CASCADE",
    )  # fmt: skip
    op.create_index("ix_push_outbox_subscription", "push_outbox", ["vehicle", "app_id"])


def downgrade() -> None:
    op.drop_table("push_outbox")
    for column in ("endpoint", "failures", "paused_until", "omitted"):
        op.drop_column("push_subscriptions", column)
    op.execute(_FORMER_OUTBOX)
    op.create_index("ix_push_outbox_push_outbox_vehicle", "push_outbox", ["vehicle"])
    op.create_index("ix_push_outbox_due", "push_outbox", ["push_type", "next_attempt_at"])


_FORMER_OUTBOX = """
CREATE TABLE push_outbox (
  id bigint GENERATED ALWAYS AS IDENTITY, vehicle bigint NOT NULL, app_id text NOT NULL, push_type text NOT NULL,
  key_type text NOT NULL, key text NOT NULL, message bytea NOT NULL, created_at timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0, next_attempt_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_push_outbox PRIMARY KEY (id),
  CONSTRAINT fk_push_outbox_vehicle FOREIGN KEY (vehicle) REFERENCES vehicles (id) ON DELETE CASCADE)
"""
