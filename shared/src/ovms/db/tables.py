"""The tables, declared once; `ovms.db.migrations` brings a database to this form.

What cars send is kept as `bytea`, the bytes of the wire: a car may send any byte, text that is not UTF-8 and NUL included,
and what an app reads later must be what the car sent.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_label)s",
    }
)


def _now() -> Column[object]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


owners: Final = Table(
    "owners",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False, server_default=""),
    Column("password_hash", Text, nullable=False, comment="Argon2id"),
    _now(),
    Index("uq_owners_name", text("lower(name)"), unique=True),
)

vehicles: Final = Table(
    "vehicles",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("owner_id", BigInteger, ForeignKey("owners.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("vehicle_id", Text, nullable=False, comment="as its owner spells it"),
    Column("password", LargeBinary, nullable=False, comment="AES-256-GCM: nonce, ciphertext, tag"),
    Column("password_key_id", Text, nullable=False, comment="the key that sealed the password"),
    Column("paranoid_token", Text, nullable=False, server_default=""),
    _now(),
    CheckConstraint(r"vehicle_id ~ '^[A-Za-z0-9._-]{1,32}$'", name="vehicle_id"),
    Index("uq_vehicles_vehicle_id", text("upper(vehicle_id)"), unique=True),
)

# Ids of vehicles that were removed: for a while only their former owner can add a vehicle of that id. Digests, since nothing
# that names a vehicle is left of an erased account.
reserved_vehicle_ids: Final = Table(
    "reserved_vehicle_ids",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the upper-cased id"),
    Column("owner_id", BigInteger, ForeignKey("owners.id", ondelete="SET NULL"), comment="null: was erased"),
    Column("until", DateTime(timezone=True), nullable=False),
    Index("ix_reserved_vehicle_ids_owner_id", "owner_id"),
    Index("ix_reserved_vehicle_ids_until", "until"),
)

# The newest message of each code. `vehicle` is vehicles.id. Half of each page is left free for the next versions of its rows:
# one that finds room beside the former changes no index, and costs two thirds of the time and a third of the log.
messages: Final = Table(
    "messages",
    metadata,
    Column("vehicle", BigInteger, ForeignKey("vehicles.id", ondelete="CASCADE"), primary_key=True),
    Column("code", Text, primary_key=True, comment="one character, as on the wire"),
    Column("data", LargeBinary, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("epoch", BigInteger, nullable=False, comment="the car session that sent it; an older one never wins"),
    Column(
        "number",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="that of the message in its session; a smaller one never wins",
    ),
    Column("paranoid", Boolean, nullable=False, server_default=text("false")),
    Column("paranoid_token", Text, nullable=False, server_default=""),
    Column("valid", Boolean, nullable=False, server_default=text("true"), comment="false: sealed under an old token"),
    postgresql_with={"fillfactor": 50},
)

# Partitioned by month of `recorded_at`, with a default partition for what lies outside. No foreign key: its check would
# cost every insert more than the insert itself; removing a vehicle removes its history in the same transaction.
history: Final = Table(
    "history",
    metadata,
    Column("vehicle", BigInteger, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("record_number", BigInteger, nullable=False),
    Column(
        "recorded_at",
        DateTime(timezone=True),
        nullable=False,
        comment="whole seconds; different records of one key lie a microsecond apart",
    ),
    Column("data", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("ack_code", Text, comment="the code of an `h`: the same one again is the same record sent again"),
    Index("ix_history_expires_at", "expires_at"),
    # Records are read by time, and one is found again within a minute of its time.
    PrimaryKeyConstraint("vehicle", "record_type", "recorded_at", "record_number"),
    postgresql_partition_by="RANGE (recorded_at)",
)

# What cars sent as state, one message of a code in a while: where they were, and how their batteries were. Apart from the
# history, which shows to cars' apps what cars have recorded themselves. No foreign key, as there.
samples: Final = Table(
    "samples",
    metadata,
    Column("vehicle", BigInteger, primary_key=True),
    Column("code", Text, primary_key=True, comment="one character, as on the wire"),
    Column("recorded_at", DateTime(timezone=True), primary_key=True, comment="when it came"),
    Column("data", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("units", Text, comment="K or M: what the car measured in at that time; null: unknown"),
    Index("ix_samples_expires_at", "expires_at"),
    postgresql_partition_by="RANGE (recorded_at)",
)

# The last state message of each code and second, for a short time: apps read it as history records with number 0. Partitioned
# by day, with a default partition for what lies outside; a day is dropped as a whole, so rows have no time to expire.
state_history: Final = Table(
    "state_history",
    metadata,
    Column("vehicle", BigInteger, primary_key=True),
    Column("code", Text, primary_key=True, comment="one character, as on the wire"),
    Column("recorded_at", DateTime(timezone=True), primary_key=True, comment="whole seconds"),
    Column("data", LargeBinary, nullable=False, comment="as on the wire, without the code; base64 where it is encrypted"),
    postgresql_partition_by="RANGE (recorded_at)",
)

api_tokens: Final = Table(
    "api_tokens",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("owner_id", BigInteger, ForeignKey("owners.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sha256", LargeBinary, nullable=False, comment="of the token's text; the token itself is shown once"),
    Column("application", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("permit", Text, nullable=False, comment="rights, commas between; `*` is every right"),
    _now(),
    Column("refreshed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("last_used_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("vehicles", ARRAY(Text), comment="upper-cased ids of those that it is for; null: all"),
    Column("expires_at", DateTime(timezone=True), comment="null: it does not end by itself"),
    Column("link", BigInteger, ForeignKey("vehicles.id", ondelete="CASCADE"), comment="the vehicle that it is a link to"),
    UniqueConstraint("sha256"),
    Index("ix_api_tokens_link", "link"),
)

# What others may do with a vehicle beside its owner.
shares: Final = Table(
    "shares",
    metadata,
    Column("vehicle", BigInteger, ForeignKey("vehicles.id", ondelete="CASCADE"), primary_key=True),
    Column("owner_id", BigInteger, ForeignKey("owners.id", ondelete="CASCADE"), primary_key=True, comment="with whom"),
    Column("permit", Text, nullable=False, comment="scopes, commas between"),
    _now(),
    Column("expires_at", DateTime(timezone=True), comment="null: it does not end by itself"),
    Column("accepted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_shares_owner_id", "owner_id"),
)

# Shares that wait to be accepted. By name, whether or not an owner has it, so that an offer does not show which names exist.
share_offers: Final = Table(
    "share_offers",
    metadata,
    Column("vehicle", BigInteger, ForeignKey("vehicles.id", ondelete="CASCADE"), primary_key=True),
    Column("folded", Text, primary_key=True, comment="lower-cased name of the owner to whom it is offered"),
    Column("name", Text, nullable=False, comment="that name as it was spelled"),
    Column("permit", Text, nullable=False, comment="scopes, commas between"),
    _now(),
    Column("expires_at", DateTime(timezone=True), comment="end of the share; null: it does not end by itself"),
    Column("ends_at", DateTime(timezone=True), nullable=False, comment="until when it can be accepted"),
    Column(
        "declined", Boolean, nullable=False, server_default=text("false"), comment="true: shown to the offering owner alone"
    ),
    Index("ix_share_offers_folded", "folded"),
    Index("ix_share_offers_ends_at", "ends_at"),
)

# Vehicles whose owners are notified of their silence.
silence_notices: Final = Table(
    "silence_notices",
    metadata,
    Column("vehicle", BigInteger, ForeignKey("vehicles.id", ondelete="CASCADE"), primary_key=True),
    Column("hours", Integer, nullable=False, comment="of silence before the notice"),
    Column("heard_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("is_silent", Boolean, nullable=False, server_default=text("false"), comment="true: notified"),
    Column("silent_at", DateTime(timezone=True), comment="when its owner was notified last"),
)

# Who did what, for the owner to read. No secret is in it, and nothing of what a car said.
audit: Final = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("owner_id", BigInteger, ForeignKey("owners.id", ondelete="CASCADE"), nullable=False, comment="whose it concerns"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("actor", Text, nullable=False, comment="the name of who did it"),
    Column("means", Text, nullable=False, comment="what he signed in with: password, or token and its identifier"),
    Column("action", Text, nullable=False),
    Column("vehicle_id", Text, comment="the vehicle that it concerns"),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    Index("ix_audit_owner_id", "owner_id", "id"),
    Index("ix_audit_at", "at"),
)

# What vehicles are told over the HTTP API, and what became of it.
commands: Final = Table(
    "commands",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("place", BigInteger, Identity(always=True), nullable=False, comment="the order in which they were taken"),
    Column("vehicle", BigInteger, ForeignKey("vehicles.id", ondelete="CASCADE"), nullable=False),
    Column("actor_id", BigInteger, ForeignKey("owners.id", ondelete="SET NULL"), comment="who asked for it"),
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
    _now(),
    Column("expires_at", DateTime(timezone=True), nullable=False, comment="until when it may be sent"),
    Column("sent_at", DateTime(timezone=True)),
    Column("answer_by", DateTime(timezone=True), comment="when whoever has sent it must have died"),
    Column("finished_at", DateTime(timezone=True)),
    Column("result", Integer, comment="of protocol v2"),
    Column("words", Text, comment="the vehicle's"),
    Column("idempotency_key", Text),
    Column("request_mark", LargeBinary, comment="equal for equal requests"),
    Column("request_key_id", Text, comment="the key that the mark was made with"),
    CheckConstraint(
        "state IN ('queued', 'sent', 'succeeded', 'failed', 'unsupported', 'expired', 'unknown', 'cancelled')", name="state"
    ),
    Index("ix_commands_actor_id", "actor_id"),
    Index("ix_commands_vehicle", "vehicle", "place"),
    Index("ix_commands_open", "vehicle", "place", postgresql_where=text("finished_at IS NULL")),
    # One at a time a car.
    Index("uq_commands_sent", "vehicle", unique=True, postgresql_where=text("state = 'sent'")),
    Index("ix_commands_finished_at", "finished_at"),
    Index(
        "uq_commands_idempotency_key",
        "actor_id",
        "vehicle",
        "idempotency_key",
        unique=True,
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
)

autoprovision: Final = Table(
    "autoprovision",
    metadata,
    Column("key", Text, primary_key=True, comment="what the module asks with, usually the VIN"),
    Column("owner_id", BigInteger, ForeignKey("owners.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("secret", LargeBinary, nullable=False, comment="usually the ICCID; sealed like a vehicle's password"),
    Column("secret_key_id", Text, nullable=False),
    Column("record", LargeBinary, nullable=False, comment="parameters, spaces between; sealed like a vehicle's password"),
    Column("record_key_id", Text, nullable=False),
    _now(),
)

# Configurations that were brought from a reference server: enciphered with secrets that only their modules know, and sent as
# they are.
enciphered_configurations: Final = Table(
    "enciphered_configurations",
    metadata,
    Column("key", Text, primary_key=True, comment="what the module asks with, usually the VIN"),
    Column("owner_id", BigInteger, ForeignKey("owners.id", ondelete="CASCADE"), index=True),
    Column("token", Text, nullable=False),
    Column("digest", Text, nullable=False, comment="base64: proves the secret with the token"),
    Column("record", Text, nullable=False, comment="enciphered parameters, base64"),
    _now(),
)

# The owners that were brought from a reference server, by their numbers there.
reference_owners: Final = Table(
    "reference_owners",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("owner_id", BigInteger, ForeignKey("owners.id", ondelete="CASCADE"), nullable=False),
    UniqueConstraint("owner_id"),
)

# How far the history of each vehicle has been brought along, while an import is under way.
reference_positions: Final = Table(
    "reference_positions",
    metadata,
    Column("vehicle", BigInteger, ForeignKey("vehicles.id", ondelete="CASCADE"), primary_key=True),
    Column("record_type", LargeBinary, nullable=False),
    Column("record_number", BigInteger, nullable=False),
    Column("recorded_at", Text, nullable=False, comment="as it is written there"),
    Column("finished", Boolean, nullable=False),
)

# Addresses that notifications are mailed to, or are to be.
mail_addresses: Final = Table(
    "mail_addresses",
    metadata,
    Column("owner_id", BigInteger, ForeignKey("owners.id", ondelete="CASCADE"), primary_key=True),
    Column("address", Text, primary_key=True, comment="in lower case"),
    Column("confirmed_at", DateTime(timezone=True)),
    Column("is_wanted", Boolean, nullable=False, server_default=text("false"), comment="a mail to confirm it by is due"),
    Column("code", LargeBinary, comment="SHA-256 of what confirms it"),
    Column("code_sent_at", DateTime(timezone=True)),
    Column("code_mails", Integer, nullable=False, server_default=text("0"), comment="to confirm it by, that were sent"),
    Column("hour_from", DateTime(timezone=True), comment="when the hour began that the mails are counted in"),
    Column("mails", Integer, nullable=False, server_default=text("0"), comment="in that hour"),
    Index("ix_mail_addresses_address", "address"),
    Index("ix_mail_addresses_code", "code", unique=True),
)

# Who gets the notifications of a vehicle pushed, and how that goes.
push_subscriptions: Final = Table(
    "push_subscriptions",
    metadata,
    Column("vehicle", BigInteger, ForeignKey("vehicles.id", ondelete="CASCADE"), primary_key=True),
    Column("app_id", Text, primary_key=True),
    Column("push_type", Text, nullable=False),
    Column("key_type", Text, nullable=False),
    Column("key", Text, nullable=False, comment="a device's token, a mail address or an URL"),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("endpoint", Text, nullable=False, comment="what fails or hangs as a whole for an owner, empty: the push service"),
    Column("failures", Integer, nullable=False, server_default=text("0"), comment="of the endpoint, one after the other"),
    Column("paused_until", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("omitted", Integer, nullable=False, server_default=text("0"), comment="notifications that found no place"),
)

# One row a notification and subscription, written with the notification. Those that are done stay for some minutes: they are
# what the next ones are paced by.
push_outbox: Final = Table(
    "push_outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("vehicle", BigInteger, nullable=False),
    Column("app_id", Text, nullable=False),
    Column("message", LargeBinary, nullable=False, comment="one byte of type, then the text"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("count", Integer, nullable=False, server_default=text("1"), comment="of equal notifications, as which it counts"),
    Column("taken_until", DateTime(timezone=True), comment="end of the lease of the replica that delivers it"),
    Column("done_at", DateTime(timezone=True), comment="when it was delivered or given up"),
    ForeignKeyConstraint(
        ["vehicle", "app_id"],
        ["push_subscriptions.vehicle", "push_subscriptions.app_id"],
        name="fk_push_outbox_vehicle",
        ondelete="CASCADE",
    ),
    Index("ix_push_outbox_subscription", "vehicle", "app_id"),
)
