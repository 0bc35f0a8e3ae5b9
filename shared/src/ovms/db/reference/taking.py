"""Keeps here what was read there. Done again, every function changes nothing but what has become newer there.

Until its car has logged in here, the reference is what counts for a vehicle; until he has signed in here, for an owner. From
then on what is here stays.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from ovms.db.engine import Connection
from ovms.db.mail_addresses import confirm_address
from ovms.db.push import MOST_SUBSCRIPTIONS
from ovms.db.reference.rows import Configuration, LeftOut, Message, Owner, Record, Subscription, Token, Vehicle
from ovms.db.sealing import Sealer, SealingError
from ovms.db.tokens import hash_token
from ovms.db.traffic import RECORD_TYPE as TRAFFIC
from ovms.identity import fold_vehicle_id
from ovms.subscriptions import MAIL, endpoint_of

_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
_LOCK_NUMBER: Final = 0x4F564D52

_KNOWN_OWNER: Final = """
SELECT owners.id, lower(name) = lower($2) AS same_name
FROM reference_owners JOIN owners ON owners.id = owner_id WHERE number = $1
"""

_NAME_IS_TAKEN: Final = "SELECT EXISTS (SELECT FROM owners WHERE lower(name) = lower($1))"

_ADD_OWNER: Final = """
WITH added AS (INSERT INTO owners (name, email, password_hash) VALUES ($2, $3, $4) RETURNING id)
INSERT INTO reference_owners (number, owner_id) SELECT $1, id FROM added RETURNING owner_id
"""

_CHANGE_OWNER: Final = """
UPDATE owners SET email = $2, password_hash = coalesce($3, password_hash)
WHERE id = $1 AND password_hash NOT LIKE '$argon2id$%' AND (email, password_hash) <> ($2, coalesce($3, password_hash))
"""

_KNOWN_VEHICLE: Final = """
SELECT id, owner_id, vehicle_id, password, password_key_id, paranoid_token,
  EXISTS (SELECT FROM messages WHERE vehicle = id AND epoch > 0) AS has_been_here
FROM vehicles WHERE upper(vehicle_id) = upper($1)
"""

_ADD_VEHICLE: Final = """
INSERT INTO vehicles (owner_id, vehicle_id, password, password_key_id, paranoid_token) VALUES ($1, $2, $3, $4, $5) RETURNING id
"""

_CHANGE_VEHICLE: Final = "UPDATE vehicles SET password = $2, password_key_id = $3, paranoid_token = $4 WHERE id = $1"

# Epoch 0 is that of no session: what a car has said here is newer.
_MESSAGES: Final = """
INSERT INTO messages AS kept (vehicle, code, data, received_at, epoch, paranoid, paranoid_token, valid)
SELECT vehicle, code, data, received_at, 0, paranoid, paranoid_token, valid
FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::timestamptz[], $5::boolean[], $6::text[], $7::boolean[])
  AS new(vehicle, code, data, received_at, paranoid, paranoid_token, valid)
ON CONFLICT (vehicle, code) DO UPDATE
SET data = excluded.data, received_at = excluded.received_at,
    paranoid = excluded.paranoid, paranoid_token = excluded.paranoid_token, valid = excluded.valid
WHERE kept.epoch = 0 AND kept.received_at < excluded.received_at
"""

# A sum of traffic that has grown there replaces the one that was taken; what is greater here was carried here.
_HISTORY: Final = """
INSERT INTO history AS kept (vehicle, record_type, record_number, recorded_at, data, expires_at)
SELECT $1, record_type, record_number, recorded_at, data, expires_at
FROM unnest($2::text[], $3::bigint[], $4::timestamptz[], $5::bytea[], $6::timestamptz[])
  AS new(record_type, record_number, recorded_at, data, expires_at)
ON CONFLICT (vehicle, record_type, record_number, recorded_at) DO UPDATE SET data = excluded.data
WHERE kept.record_type = $7 AND CASE
  WHEN encode(kept.data, 'escape') ~ '^[0-9]{1,12}$' AND encode(excluded.data, 'escape') ~ '^[0-9]{1,12}$'
  THEN encode(kept.data, 'escape')::bigint < encode(excluded.data, 'escape')::bigint ELSE false END
"""

_POSITION: Final = "SELECT record_type, record_number, recorded_at, finished FROM reference_positions WHERE vehicle = $1"

_KEEP_POSITION: Final = """
INSERT INTO reference_positions (vehicle, record_type, record_number, recorded_at, finished) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (vehicle) DO UPDATE SET record_type = excluded.record_type, record_number = excluded.record_number,
  recorded_at = excluded.recorded_at, finished = excluded.finished
"""

_FORGET_POSITIONS: Final = "DELETE FROM reference_positions"

_TOKENS: Final = """
INSERT INTO api_tokens AS kept (owner_id, sha256, application, purpose, permit, created_at, refreshed_at, last_used_at)
VALUES ($1, $2, $3, $4, $5, coalesce($6, now()), coalesce($7, now()), coalesce($8, now()))
ON CONFLICT (sha256) DO NOTHING
"""

_TOKENS_OWNER: Final = "SELECT owner_id FROM api_tokens WHERE sha256 = $1"

_SUBSCRIPTION: Final = """
INSERT INTO push_subscriptions AS kept (vehicle, app_id, push_type, key_type, key, updated_at, endpoint)
VALUES ($1, $2, $3, $4, $5, coalesce($6, timestamptz 'epoch'), $7)
ON CONFLICT (vehicle, app_id) DO UPDATE
SET push_type = excluded.push_type, key_type = excluded.key_type, key = excluded.key, endpoint = excluded.endpoint,
    updated_at = excluded.updated_at
WHERE kept.updated_at < excluded.updated_at
"""

_CONFIRM_SUBSCRIBED: Final = """
INSERT INTO mail_addresses (owner_id, address, confirmed_at) SELECT owner_id, $2, now() FROM vehicles WHERE id = $1
ON CONFLICT DO NOTHING
"""

_IS_FULL: Final = """
SELECT count(*) >= $2 FROM push_subscriptions WHERE vehicle = $1 AND app_id <> $3
"""

_CONFIGURATION: Final = """
INSERT INTO enciphered_configurations AS kept (key, owner_id, token, digest, record) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key) DO UPDATE
SET owner_id = excluded.owner_id, token = excluded.token, digest = excluded.digest, record = excluded.record
WHERE (kept.owner_id, kept.token, kept.digest, kept.record)
  IS DISTINCT FROM (excluded.owner_id, excluded.token, excluded.digest, excluded.record)
"""


class Position(NamedTuple):
    """How far the history of a vehicle has been taken: the key of the last record."""

    record_type: bytes
    record_number: int
    recorded_at: str
    """As it is written there."""
    is_finished: bool


async def take_lock(connection: Connection) -> bool:
    """Be the only import, for as long as the connection lasts; whether nobody else is."""
    locked: bool = await connection.fetchval(_LOCK, _LOCK_NUMBER)
    return locked


async def known_owner(connection: Connection, owner: Owner) -> int | None:
    """The owner as he was taken before; None for a new one.

    Raises:
        LeftOut: somebody else is here under his number or his name.
    """
    found = await connection.fetchrow(_KNOWN_OWNER, owner.number, owner.name)
    if found is not None:
        if not found["same_name"]:
            raise LeftOut("taken before under another name")
        key: int = found["id"]
        return key
    if await connection.fetchval(_NAME_IS_TAKEN, owner.name):
        raise LeftOut("an owner here has the name already, or another one there in other letters")
    return None


async def add_owner(connection: Connection, owner: Owner, password_hash: str) -> int:
    """Add an owner; his key here."""
    key: int = await connection.fetchval(_ADD_OWNER, owner.number, owner.name, owner.email, password_hash)
    await confirm_address(connection, key, owner.email)
    return key


async def change_owner(connection: Connection, key: int, owner: Owner, password_hash: str | None) -> None:
    """Give an owner who has not signed in here yet his address and, where there is one, the hash of his password there."""
    if _count(await connection.execute(_CHANGE_OWNER, key, owner.email, password_hash)):
        await confirm_address(connection, key, owner.email)


async def take_vehicle(connection: Connection, owner: int, vehicle: Vehicle, sealer: Sealer) -> tuple[int, bool]:
    """Add or change a vehicle; its key here, and whether it is new.

    Raises:
        LeftOut: another owner has it.
    """
    found = await connection.fetchrow(_KNOWN_VEHICLE, vehicle.vehicle_id)
    if found is None:
        key_id, sealed = sealer.seal(vehicle.password, context=fold_vehicle_id(vehicle.vehicle_id))
        key: int = await connection.fetchval(_ADD_VEHICLE, owner, vehicle.vehicle_id, sealed, key_id, vehicle.paranoid_token)
        return key, True
    if found["owner_id"] != owner:
        raise LeftOut("another owner has a vehicle of this id")
    if not found["has_been_here"] and _differs(found, vehicle, sealer):
        key_id, sealed = sealer.seal(vehicle.password, context=fold_vehicle_id(found["vehicle_id"]))
        await connection.execute(_CHANGE_VEHICLE, found["id"], sealed, key_id, vehicle.paranoid_token)
    return found["id"], False


async def take_messages(connection: Connection, messages: Sequence[tuple[int, Message]]) -> int:
    """Keep newest messages with the keys of their vehicles, at most one a code; how many were not here yet."""
    columns = zip(
        *(
            (vehicle, new.code, new.data, new.received_at, new.is_paranoid, new.paranoid_token, new.is_valid)
            for vehicle, new in messages
        ),
        strict=True,
    )
    return _count(await connection.execute(_MESSAGES, *columns))


async def find_position(connection: Connection, vehicle: int) -> Position | None:
    """How far the history of a vehicle was taken by an import that did not end; None: it had not come to it."""
    row = await connection.fetchrow(_POSITION, vehicle)
    return None if row is None else Position(*row)


async def take_history(connection: Connection, vehicle: int, records: Sequence[Record], position: Position) -> int:
    """Keep history records, no two of one key, and how far that is, both or neither; how many were not here yet."""
    count = 0
    async with connection.transaction():
        if records:
            columns = zip(
                *((new.record_type, new.number, new.recorded_at, new.data, new.expires_at) for new in records), strict=True
            )
            count = _count(await connection.execute(_HISTORY, vehicle, *columns, TRAFFIC))
        await connection.execute(_KEEP_POSITION, vehicle, *position)
    return count


async def forget_positions(connection: Connection) -> None:
    """The next import begins at the beginning."""
    await connection.execute(_FORGET_POSITIONS)


async def take_token(connection: Connection, owner: int, token: Token) -> bool:
    """Keep a token; whether it was not here yet.

    Raises:
        LeftOut: another owner has it.
    """
    sha256 = hash_token(token.token)
    about = (token.application, token.purpose, token.permit, token.created_at, token.refreshed_at, token.last_used_at)
    if _count(await connection.execute(_TOKENS, owner, sha256, *about)):
        return True
    if await connection.fetchval(_TOKENS_OWNER, sha256) != owner:
        raise LeftOut("another owner has the same")
    return False


async def take_subscription(connection: Connection, vehicle: int, subscription: Subscription) -> bool:
    """Keep a subscription; whether it was not here yet, or older.

    Raises:
        LeftOut: the vehicle has as many others as it may have.
    """
    if await connection.fetchval(_IS_FULL, vehicle, MOST_SUBSCRIPTIONS, subscription.app_id):
        raise LeftOut(f"more than {MOST_SUBSCRIPTIONS} of a vehicle")
    about = (subscription.app_id, subscription.push_type, subscription.key_type, subscription.key, subscription.updated_at)
    endpoint = endpoint_of(subscription.push_type, subscription.key)
    if subscription.push_type == MAIL:
        # It got mails there: the move is no reason to ask its owner.
        await connection.execute(_CONFIRM_SUBSCRIBED, vehicle, endpoint)
    return _count(await connection.execute(_SUBSCRIPTION, vehicle, *about, endpoint)) == 1


async def take_configuration(connection: Connection, owner: int | None, configuration: Configuration) -> bool:
    """Keep a configuration; whether it was not here yet, or another."""
    sent = (configuration.token, configuration.digest, configuration.record)
    return _count(await connection.execute(_CONFIGURATION, configuration.key, owner, *sent)) == 1


def _differs(found: asyncpg.Record, vehicle: Vehicle, sealer: Sealer) -> bool:
    if found["paranoid_token"] != vehicle.paranoid_token:
        return True
    try:
        context = fold_vehicle_id(found["vehicle_id"])
        return sealer.open(found["password_key_id"], found["password"], context=context) != vehicle.password
    except SealingError:
        return True


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
