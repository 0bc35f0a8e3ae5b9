"""Vehicles, to be changed. Every function works inside the transaction of the connection it is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Text,
    all_,
    and_,
    any_,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.dialects.postgresql import insert as upsert

from ovms.db.engine import Connection, Database
from ovms.db.sealing import Sealer
from ovms.db.statement import SECOND, Query, Statement, param, same_id
from ovms.db.tables import api_tokens, history, owners, reserved_vehicle_ids, samples, state_history, vehicles
from ovms.identity import fold_vehicle_id

MOST_VEHICLES: Final = 500
"""That an owner may add himself."""
RESERVED_FOR: Final = 86_400.0
"""Seconds that the id of a removed vehicle is reserved for its owner: programs that know the vehicle by its id have time to
notice that it was removed before another owner has a vehicle of that id."""
REMOVED_WITHIN: Final = 300.0
"""Seconds: years of history may have to go."""


class VehicleIdReserved(Exception):
    """A vehicle of this id was removed lately, and another owner had it."""


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A car, whose it is, and its sealed password."""

    key: int
    """`vehicles.id`"""
    vehicle_id: str
    owner_id: int
    owner_name: str
    password: bytes = field(repr=False)
    password_key_id: str

    def open_password(self, sealer: Sealer) -> bytes:
        """The password in clear.

        Raises:
            SealingError: it was sealed under a key that is not known.
        """
        return sealer.open(self.password_key_id, self.password, context=fold_vehicle_id(self.vehicle_id))


_VEHICLE: Final = select(
    vehicles.c.id.label("key"),
    vehicles.c.vehicle_id,
    vehicles.c.owner_id,
    owners.c.name.label("owner_name"),
    vehicles.c.password,
    vehicles.c.password_key_id,
).join_from(vehicles, owners, owners.c.id == vehicles.c.owner_id)

_FIND: Final = Query(Vehicle, _VEHICLE.where(same_id(vehicles.c.vehicle_id, param("vehicle_id"))))

_OWNER: Final = cast(param("owner_id"), BigInteger)
_LIST: Final = Query(
    Vehicle, _VEHICLE.where(or_(_OWNER.is_(None), vehicles.c.owner_id == _OWNER)).order_by(func.upper(vehicles.c.vehicle_id))
)


def _digest(vehicle_id: Any) -> ColumnElement[bytes]:
    return func.sha256(func.convert_to(func.upper(vehicle_id), "UTF8"))


# An id that is reserved counts as a vehicle, or an owner could reserve any number of ids by removing what it has just added.
_COUNT: Final = Statement(
    select(
        select(func.count()).where(vehicles.c.owner_id == param("owner_id")).scalar_subquery()
        + select(func.count())
        .where(
            reserved_vehicle_ids.c.owner_id == param("owner_id"),
            reserved_vehicle_ids.c.until > func.now(),
            reserved_vehicle_ids.c.digest != _digest(param("but")),
        )
        .scalar_subquery()
    )
)

_ADD: Final = Statement(
    insert(vehicles).values(
        owner_id=param("owner_id"), vehicle_id=param("vehicle_id"), password=param("password"), password_key_id=param("key_id")
    )
)

# A statement of its own after the one that adds: that one waits for a removal of the same id, this one sees the reservation.
_TAKE_RESERVED: Final = Statement(
    delete(reserved_vehicle_ids)
    .where(reserved_vehicle_ids.c.digest == _digest(param("vehicle_id")))
    .returning(
        and_(reserved_vehicle_ids.c.until > func.now(), reserved_vehicle_ids.c.owner_id.is_distinct_from(param("owner_id")))
    )
)

_CHANGE: Final = Statement(
    update(vehicles)
    .values(password=param("password"), password_key_id=param("key_id"))
    .where(vehicles.c.id == param("vehicle"))
)

_reserving: Final = upsert(reserved_vehicle_ids).from_select(
    ["digest", "owner_id", "until"],
    select(_digest(vehicles.c.vehicle_id), vehicles.c.owner_id, func.now() + param("seconds") * SECOND).where(
        vehicles.c.id == any_(param("vehicles"))
    ),
)
_RESERVE: Final = Statement(
    _reserving.on_conflict_do_update(
        index_elements=["digest"], set_={"owner_id": _reserving.excluded.owner_id, "until": _reserving.excluded.until}
    )
)

_END_RESERVATIONS: Final = Statement(
    delete(reserved_vehicle_ids).where(
        reserved_vehicle_ids.c.digest.in_(
            select(reserved_vehicle_ids.c.digest).where(reserved_vehicle_ids.c.until < func.now()).limit(param("limit"))
        )
    )
)


def _remove(key: Column[Any]) -> Statement:
    return Statement(delete(key.table).where(key == any_(param("vehicles"))))


_REMOVE: Final = _remove(vehicles.c.id)
_REMOVE_SENT: Final = (_remove(history.c.vehicle), _remove(samples.c.vehicle), _remove(state_history.c.vehicle))

_IDS: Final = cast(param("vehicle_ids"), ARRAY(Text))
_NONE: Final = cast(array([]), ARRAY(Text))
_of_token: Final = func.unnest(api_tokens.c.vehicles).column_valued("id")

# Tokens, also of others with whom it was shared, that were for this vehicle must not be for another that gets its id.
_REMOVE_FROM_TOKENS: Final = Statement(
    update(api_tokens)
    .values(vehicles=select(func.coalesce(func.array_agg(_of_token), _NONE)).where(_of_token != all_(_IDS)).scalar_subquery())
    .where(api_tokens.c.vehicles.overlap(_IDS))
)

_REMOVE_TOKENS: Final = Statement(delete(api_tokens).where(api_tokens.c.vehicles == _NONE))

_asked: Final = func.unnest(cast(param("vehicles"), ARRAY(BigInteger))).column_valued("vehicle")
_REMOVED: Final = Statement(select(_asked).where(~exists().where(vehicles.c.id == _asked)))


async def find_vehicle(connection: Connection, vehicle_id: str) -> Vehicle | None:
    """The vehicle of this id, without regard to case."""
    return await _FIND.find(connection, vehicle_id=vehicle_id)


async def list_vehicles(connection: Connection, owner_id: int | None = None) -> list[Vehicle]:
    """The vehicles of an owner, or all, by id."""
    return await _LIST.find_all(connection, owner_id=owner_id)


async def count_vehicles(connection: Connection, owner_id: int, but: str = "") -> int:
    """Return how many vehicle ids an owner holds, reserved ones included, one id left out."""
    return int(await _COUNT.fetchval(connection, owner_id=owner_id, but=but))


async def add_vehicle(
    connection: Connection, owner_id: int, vehicle_id: str, *, password: bytes, sealer: Sealer, by_operator: bool = False
) -> None:
    """Add a vehicle; the id must be checked. An operator can add one whose id is reserved for another owner.

    Raises:
        asyncpg.UniqueViolationError: the id is taken.
        VehicleIdReserved: the id is reserved for another owner; the transaction must be rolled back.
    """
    key_id, sealed = _seal(vehicle_id, password, sealer)
    await _ADD.execute(connection, owner_id=owner_id, vehicle_id=vehicle_id, password=sealed, key_id=key_id)
    if await _TAKE_RESERVED.fetchval(connection, vehicle_id=vehicle_id, owner_id=owner_id) and not by_operator:
        raise VehicleIdReserved


async def change_vehicle_password(
    connection: Connection, vehicle: int, vehicle_id: str, *, password: bytes, sealer: Sealer
) -> None:
    """Give a vehicle this password; its car needs it at its next login."""
    key_id, sealed = _seal(vehicle_id, password, sealer)
    await _CHANGE.execute(connection, vehicle=vehicle, password=sealed, key_id=key_id)


async def remove_vehicles(connection: Connection, removed: Sequence[tuple[int, str]]) -> None:
    """Remove vehicles and all that they sent, given as `vehicles.id` and id; reserve their ids for their owner.

    The sessions of a removed vehicle are closed soon: see `find_removed`.
    """
    keys = [key for key, _ in removed]
    await _RESERVE.execute(connection, vehicles=keys, seconds=RESERVED_FOR)
    await _REMOVE.execute(connection, vehicles=keys, timeout=REMOVED_WITHIN)
    await remove_history(connection, keys)
    await _REMOVE_FROM_TOKENS.execute(connection, vehicle_ids=[fold_vehicle_id(vehicle_id) for _, vehicle_id in removed])
    await _REMOVE_TOKENS.execute(connection)


async def end_reservations(connection: Connection, *, limit: int) -> int:
    """Remove reservations that are over, at most so many; return how many were removed."""
    return await _END_RESERVATIONS.execute(connection, limit=limit)


async def find_removed(db: Database, keys: Sequence[int]) -> list[int]:
    """Which of these vehicles are no more."""
    return [row[0] for row in await _REMOVED.fetch(db, vehicles=keys)]


async def remove_history(db: Database, keys: Sequence[int]) -> None:
    """Remove the history of vehicles that are no more; what was on its way to it when they went needs another time."""
    for statement in _REMOVE_SENT:
        await statement.execute(db, vehicles=keys, timeout=REMOVED_WITHIN)


def _seal(vehicle_id: str, password: bytes, sealer: Sealer) -> tuple[str, bytes]:
    return sealer.seal(password, context=fold_vehicle_id(vehicle_id))
