"""Keeps here what was read there. Done again, every function changes nothing but what has become newer there.

Until its car has logged in here, the reference is what counts for a vehicle; until he has signed in here, for an owner. From
then on what is here stays.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import asyncpg
from sqlalchemy import delete, exists, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ovms.db.engine import Connection
from ovms.db.mail_addresses import confirm_address
from ovms.db.push import MOST_SUBSCRIPTIONS
from ovms.db.reference.rows import Configuration, LeftOut, Message, Owner, Record, Subscription, Token, Vehicle
from ovms.db.sealing import Sealer, SealingError
from ovms.db.statement import Query, Statement, columns, param, same_id, same_name
from ovms.db.tables import (
    api_tokens,
    enciphered_configurations,
    mail_addresses,
    messages,
    owners,
    push_subscriptions,
    reference_owners,
    reference_positions,
    vehicles,
)
from ovms.db.tokens import hash_token
from ovms.db.traffic import RECORD_TYPE as TRAFFIC
from ovms.identity import fold_vehicle_id
from ovms.subscriptions import MAIL, endpoint_of

_LOCK_NUMBER: Final = 0x4F564D52

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


class Position(NamedTuple):
    """How far the history of a vehicle has been taken: the key of the last record."""

    record_type: bytes
    record_number: int
    recorded_at: str
    """As it is written there."""
    is_finished: bool


_LOCK: Final = Statement(select(func.pg_try_advisory_lock(_LOCK_NUMBER)))

_KNOWN_OWNER: Final = Statement(
    select(owners.c.id, same_name(owners.c.name, param("name")).label("same_name"))
    .join_from(reference_owners, owners, owners.c.id == reference_owners.c.owner_id)
    .where(reference_owners.c.number == param("number"))
)

_NAME_IS_TAKEN: Final = Statement(select(exists().where(same_name(owners.c.name, param("name")))))

_added: Final = (
    insert(owners)
    .values(name=param("name"), email=param("email"), password_hash=param("password_hash"))
    .returning(owners.c.id)
    .cte("added")
)
_ADD_OWNER: Final = Statement(
    insert(reference_owners)
    .from_select(["number", "owner_id"], select(param("number"), _added.c.id))
    .returning(reference_owners.c.owner_id)
)

_HASH: Final = func.coalesce(param("password_hash"), owners.c.password_hash)
_CHANGE_OWNER: Final = Statement(
    update(owners)
    .values(email=param("email"), password_hash=_HASH)
    .where(
        owners.c.id == param("key"),
        owners.c.password_hash.not_like("$argon2id$%"),
        tuple_(owners.c.email, owners.c.password_hash) != tuple_(param("email"), _HASH),
    )
)

_KNOWN_VEHICLE: Final = Statement(
    select(
        *columns(vehicles, "id", "owner_id", "vehicle_id", "password", "password_key_id", "paranoid_token"),
        exists().where(messages.c.vehicle == vehicles.c.id, messages.c.epoch > 0).label("has_been_here"),
    ).where(same_id(vehicles.c.vehicle_id, param("vehicle_id")))
)

_SECRETS: Final = {name: param(name) for name in ("password", "password_key_id", "paranoid_token")}
_ADD_VEHICLE: Final = Statement(
    insert(vehicles).values(owner_id=param("owner_id"), vehicle_id=param("vehicle_id"), **_SECRETS).returning(vehicles.c.id)
)
_CHANGE_VEHICLE: Final = Statement(update(vehicles).values(**_SECRETS).where(vehicles.c.id == param("key")))

_KEPT_POSITION: Final = {
    "record_type": param("record_type"),
    "record_number": param("record_number"),
    "recorded_at": param("recorded_at"),
    "finished": param("is_finished"),
}
_POSITION: Final = Query(
    Position,
    select(
        reference_positions.c.record_type,
        reference_positions.c.record_number,
        reference_positions.c.recorded_at,
        reference_positions.c.finished.label("is_finished"),
    ).where(reference_positions.c.vehicle == param("vehicle")),
)
_KEEP_POSITION: Final = Statement(
    upsert(reference_positions)
    .values(vehicle=param("vehicle"), **_KEPT_POSITION)
    .on_conflict_do_update(index_elements=["vehicle"], set_=_KEPT_POSITION)
)
_FORGET_POSITIONS: Final = Statement(delete(reference_positions))

_TOKEN: Final = Statement(
    upsert(api_tokens)
    .values(
        **{name: param(name) for name in ("owner_id", "sha256", "application", "purpose", "permit")},
        **{name: func.coalesce(param(name), func.now()) for name in ("created_at", "refreshed_at", "last_used_at")},
    )
    .on_conflict_do_nothing(index_elements=["sha256"])
)
_TOKENS_OWNER: Final = Statement(select(api_tokens.c.owner_id).where(api_tokens.c.sha256 == param("sha256")))

_subscribing: Final = upsert(push_subscriptions).values(
    **{name: param(name) for name in ("vehicle", "app_id", "push_type", "key_type", "key", "endpoint")},
    updated_at=func.coalesce(param("updated_at"), func.to_timestamp(0)),
)
_SUBSCRIPTION: Final = Statement(
    _subscribing.on_conflict_do_update(
        index_elements=["vehicle", "app_id"],
        set_={name: _subscribing.excluded[name] for name in ("push_type", "key_type", "key", "endpoint", "updated_at")},
        where=push_subscriptions.c.updated_at < _subscribing.excluded.updated_at,
    )
)

_CONFIRM_SUBSCRIBED: Final = Statement(
    upsert(mail_addresses)
    .from_select(
        ["owner_id", "address", "confirmed_at"],
        select(vehicles.c.owner_id, param("address"), func.now()).where(vehicles.c.id == param("vehicle")),
    )
    .on_conflict_do_nothing()
)

_IS_FULL: Final = Statement(
    select(func.count() >= MOST_SUBSCRIPTIONS).where(
        push_subscriptions.c.vehicle == param("vehicle"), push_subscriptions.c.app_id != param("app_id")
    )
)

_SENT: Final = ("owner_id", "token", "digest", "record")
_configuring: Final = upsert(enciphered_configurations).values(**{name: param(name) for name in ("key", *_SENT)})
_CONFIGURATION: Final = Statement(
    _configuring.on_conflict_do_update(
        index_elements=["key"],
        set_={name: _configuring.excluded[name] for name in _SENT},
        where=tuple_(*(enciphered_configurations.c[name] for name in _SENT)).is_distinct_from(
            tuple_(*(_configuring.excluded[name] for name in _SENT))
        ),
    )
)


async def take_lock(connection: Connection) -> bool:
    """Be the only import, for as long as the connection lasts; whether nobody else is."""
    locked: bool = await _LOCK.fetchval(connection)
    return locked


async def known_owner(connection: Connection, owner: Owner) -> int | None:
    """The owner as he was taken before; None for a new one.

    Raises:
        LeftOut: somebody else is here under his number or his name.
    """
    found = await _KNOWN_OWNER.fetchrow(connection, number=owner.number, name=owner.name)
    if found is not None:
        if not found["same_name"]:
            raise LeftOut("taken before under another name")
        key: int = found["id"]
        return key
    if await _NAME_IS_TAKEN.fetchval(connection, name=owner.name):
        raise LeftOut("an owner here has the name already, or another one there in other letters")
    return None


async def add_owner(connection: Connection, owner: Owner, password_hash: str) -> int:
    """Add an owner; his key here."""
    key: int = await _ADD_OWNER.fetchval(
        connection, number=owner.number, name=owner.name, email=owner.email, password_hash=password_hash
    )
    await confirm_address(connection, key, owner.email)
    return key


async def change_owner(connection: Connection, key: int, owner: Owner, password_hash: str | None) -> None:
    """Give an owner who has not signed in here yet his address and, where there is one, the hash of his password there."""
    if await _CHANGE_OWNER.execute(connection, key=key, email=owner.email, password_hash=password_hash):
        await confirm_address(connection, key, owner.email)


async def take_vehicle(connection: Connection, owner: int, vehicle: Vehicle, sealer: Sealer) -> tuple[int, bool]:
    """Add or change a vehicle; its key here, and whether it is new.

    Raises:
        LeftOut: another owner has it.
    """
    found = await _KNOWN_VEHICLE.fetchrow(connection, vehicle_id=vehicle.vehicle_id)
    if found is None:
        secrets = _seal(vehicle, vehicle.vehicle_id, sealer)
        key: int = await _ADD_VEHICLE.fetchval(connection, owner_id=owner, vehicle_id=vehicle.vehicle_id, **secrets)
        return key, True
    if found["owner_id"] != owner:
        raise LeftOut("another owner has a vehicle of this id")
    if not found["has_been_here"] and _differs(found, vehicle, sealer):
        await _CHANGE_VEHICLE.execute(connection, key=found["id"], **_seal(vehicle, found["vehicle_id"], sealer))
    return found["id"], False


async def take_messages(connection: Connection, taken: Sequence[tuple[int, Message]]) -> int:
    """Keep newest messages with the keys of their vehicles, at most one a code; how many were not here yet."""
    columns = zip(
        *(
            (vehicle, new.code, new.data, new.received_at, new.is_paranoid, new.paranoid_token, new.is_valid)
            for vehicle, new in taken
        ),
        strict=True,
    )
    return _count(await connection.execute(_MESSAGES, *columns))


async def find_position(connection: Connection, vehicle: int) -> Position | None:
    """How far the history of a vehicle was taken by an import that did not end; None: it had not come to it."""
    return await _POSITION.find(connection, vehicle=vehicle)


async def take_history(connection: Connection, vehicle: int, records: Sequence[Record], position: Position) -> int:
    """Keep history records, no two of one key, and how far that is, both or neither; how many were not here yet."""
    count = 0
    async with connection.transaction():
        if records:
            columns = zip(
                *((new.record_type, new.number, new.recorded_at, new.data, new.expires_at) for new in records), strict=True
            )
            count = _count(await connection.execute(_HISTORY, vehicle, *columns, TRAFFIC))
        await _KEEP_POSITION.execute(connection, vehicle=vehicle, **position._asdict())
    return count


async def forget_positions(connection: Connection) -> None:
    """The next import begins at the beginning."""
    await _FORGET_POSITIONS.execute(connection)


async def take_token(connection: Connection, owner: int, token: Token) -> bool:
    """Keep a token; whether it was not here yet.

    Raises:
        LeftOut: another owner has it.
    """
    sha256 = hash_token(token.token)
    if await _TOKEN.execute(
        connection,
        owner_id=owner,
        sha256=sha256,
        application=token.application,
        purpose=token.purpose,
        permit=token.permit,
        created_at=token.created_at,
        refreshed_at=token.refreshed_at,
        last_used_at=token.last_used_at,
    ):
        return True
    if await _TOKENS_OWNER.fetchval(connection, sha256=sha256) != owner:
        raise LeftOut("another owner has the same")
    return False


async def take_subscription(connection: Connection, vehicle: int, subscription: Subscription) -> bool:
    """Keep a subscription; whether it was not here yet, or older.

    Raises:
        LeftOut: the vehicle has as many others as it may have.
    """
    if await _IS_FULL.fetchval(connection, vehicle=vehicle, app_id=subscription.app_id):
        raise LeftOut(f"more than {MOST_SUBSCRIPTIONS} of a vehicle")
    endpoint = endpoint_of(subscription.push_type, subscription.key)
    if subscription.push_type == MAIL:
        # It got mails there: the move is no reason to ask its owner.
        await _CONFIRM_SUBSCRIBED.execute(connection, vehicle=vehicle, address=endpoint)
    changed = await _SUBSCRIPTION.execute(
        connection,
        vehicle=vehicle,
        app_id=subscription.app_id,
        push_type=subscription.push_type,
        key_type=subscription.key_type,
        key=subscription.key,
        endpoint=endpoint,
        updated_at=subscription.updated_at,
    )
    return changed == 1


async def take_configuration(connection: Connection, owner: int | None, configuration: Configuration) -> bool:
    """Keep a configuration; whether it was not here yet, or another."""
    changed = await _CONFIGURATION.execute(
        connection,
        key=configuration.key,
        owner_id=owner,
        token=configuration.token,
        digest=configuration.digest,
        record=configuration.record,
    )
    return changed == 1


def _seal(vehicle: Vehicle, vehicle_id: str, sealer: Sealer) -> dict[str, Any]:
    key_id, sealed = sealer.seal(vehicle.password, context=fold_vehicle_id(vehicle_id))
    return {"password": sealed, "password_key_id": key_id, "paranoid_token": vehicle.paranoid_token}


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
