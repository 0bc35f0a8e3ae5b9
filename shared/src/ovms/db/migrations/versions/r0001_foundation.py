"""Owners, vehicles, their newest messages, history, API tokens."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, LargeBinary, Text, func, text
from sqlalchemy.schema import CheckConstraint, ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_owners()
    _create_vehicles()
    _create_messages()
    _create_history()
    _create_api_tokens()


def downgrade() -> None:
    for table in ("api_tokens", "history", "messages", "vehicles", "owners"):
        op.drop_table(table)


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _create_owners() -> None:
    op.create_table(
        "owners",
        Column("id", BigInteger, Identity(always=True), nullable=False),
        Column("name", Text, nullable=False),
        Column("email", Text, nullable=False, server_default=""),
        Column("password_hash", Text, nullable=False, comment="Argon2id"),
        _moment("created_at"),
        PrimaryKeyConstraint("id", name="pk_owners"),
    )
    op.create_index("uq_owners_name", "owners", [text("lower(name)")], unique=True)


def _create_vehicles() -> None:
    op.create_table(
        "vehicles",
        Column("id", BigInteger, Identity(always=True), nullable=False),
        Column("owner_id", BigInteger, nullable=False),
        Column("vehicle_id", Text, nullable=False, comment="as its owner spells it"),
        Column("password", LargeBinary, nullable=False, comment="AES-256-GCM: nonce, ciphertext, tag"),
        Column("password_key_id", Text, nullable=False, comment="the key that sealed the password"),
        Column("paranoid_token", Text, nullable=False, server_default=""),
        _moment("created_at"),
        PrimaryKeyConstraint("id", name="pk_vehicles"),
        ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_vehicles_owner_id", ondelete="CASCADE"),
        CheckConstraint(r"vehicle_id ~ '^[A-Za-z0-9._-]{1,32}$'", name=op.f("ck_vehicles_vehicle_id")),
    )
    op.create_index("ix_vehicles_vehicles_owner_id", "vehicles", ["owner_id"])
    op.create_index("uq_vehicles_vehicle_id", "vehicles", [text("upper(vehicle_id)")], unique=True)


def _create_messages() -> None:
    op.create_table(
        "messages",
        Column("vehicle", BigInteger, nullable=False),
        Column("code", Text, nullable=False, comment="one character, as on the wire"),
        Column("data", LargeBinary, nullable=False),
        Column("received_at", DateTime(timezone=True), nullable=False),
        Column("epoch", BigInteger, nullable=False, comment="the car session that sent it; an older one never wins"),
        Column("paranoid", Boolean, nullable=False, server_default=text("false")),
        Column("paranoid_token", Text, nullable=False, server_default=""),
        Column("valid", Boolean, nullable=False, server_default=text("true"), comment="false: sealed under an old token"),
        PrimaryKeyConstraint("vehicle", "code", name="pk_messages"),
        ForeignKeyConstraint(["vehicle"], ["vehicles.id"], name="fk_messages_vehicle", ondelete="CASCADE"),
    )


def _create_history() -> None:
    op.create_table(
        "history",
        Column("vehicle", BigInteger, nullable=False),
        Column("record_type", Text, nullable=False),
        Column("record_number", BigInteger, nullable=False),
        Column("recorded_at", DateTime(timezone=True), nullable=False, comment="whole seconds"),
        Column("data", LargeBinary, nullable=False),
        Column("expires_at", DateTime(timezone=True), nullable=False),
        Column("ack_code", Text, comment="the code of an `h`: the same one again is the same record sent again"),
        PrimaryKeyConstraint("vehicle", "record_type", "record_number", "recorded_at", name="pk_history"),
        postgresql_partition_by="RANGE (recorded_at)",
    )
    op.create_index("ix_history_expires_at", "history", ["expires_at"])
    # The months are made as they come (ovms.db.partitions); a record of any other time has its place too.
    op.execute("CREATE TABLE history_default PARTITION OF history DEFAULT")


def _create_api_tokens() -> None:
    op.create_table(
        "api_tokens",
        Column("id", BigInteger, Identity(always=True), nullable=False),
        Column("owner_id", BigInteger, nullable=False),
        Column("sha256", LargeBinary, nullable=False, comment="of the token's text; the token itself is shown once"),
        Column("application", Text, nullable=False),
        Column("purpose", Text, nullable=False),
        Column("permit", Text, nullable=False, comment="rights, commas between; `*` is every right"),
        _moment("created_at"),
        _moment("refreshed_at"),
        _moment("last_used_at"),
        PrimaryKeyConstraint("id", name="pk_api_tokens"),
        ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_api_tokens_owner_id", ondelete="CASCADE"),
        UniqueConstraint("sha256", name="uq_api_tokens_sha256"),
    )
    op.create_index("ix_api_tokens_api_tokens_owner_id", "api_tokens", ["owner_id"])
