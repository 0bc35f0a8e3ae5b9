"""Vehicles, to be changed. Every function works inside the transaction of the connection it is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ovms.db.engine import Connection, Database
from ovms.db.sealing import Sealer
from ovms.identity import fold_vehicle_id

MOST_VEHICLES: Final = 500
"""That an owner may add himself."""
RESERVED_FOR: Final = 86_400.0
"""Seconds that the id of a removed vehicle is reserved for its owner: programs that know the vehicle by its id have time to
notice that it was removed before another owner has a vehicle of that id."""
REMOVED_WITHIN: Final = 300.0
"""Seconds: years of history may have to go."""

_SELECT: Final = """
SELECT vehicles.id, vehicle_id, owner_id, name, password, password_key_id FROM vehicles JOIN owners ON owners.id = owner_id
"""

_FIND: Final = f"{_SELECT} WHERE upper(vehicle_id) = upper($1)"

_LIST: Final = f"{_SELECT} WHERE $1::bigint IS NULL OR owner_id = $1 ORDER BY upper(vehicle_id)"

# An id that is reserved counts as a vehicle, or an owner could reserve any number of ids by removing what it has just added.
_COUNT: Final = """
SELECT (SELECT count(*) FROM vehicles WHERE owner_id = $1)
  + (SELECT count(*) FROM reserved_vehicle_ids WHERE owner_id = $1 AND until > now()
    AND digest <> sha256(convert_to(upper($2), 'UTF8')))
"""

_ADD: Final = "INSERT INTO vehicles (owner_id, vehicle_id, password, password_key_id) VALUES ($1, $2, $3, $4)"

# A statement of its own after the one that adds: that one waits for a removal of the same id, this one sees the reservation.
_TAKE_RESERVED: Final = """
DELETE FROM reserved_vehicle_ids WHERE digest = sha256(convert_to(upper($1), 'UTF8'))
RETURNING until > now() AND owner_id IS DISTINCT FROM $2
"""

_CHANGE: Final = "UPDATE vehicles SET password = $2, password_key_id = $3 WHERE id = $1"

_RESERVE: Final = """
INSERT INTO reserved_vehicle_ids (digest, owner_id, until)
SELECT sha256(convert_to(upper(vehicle_id), 'UTF8')), owner_id, now() + make_interval(secs => $2)
FROM vehicles WHERE id = ANY($1::bigint[])
ON CONFLICT (digest) DO UPDATE SET owner_id = excluded.owner_id, until = excluded.until
"""

_END_RESERVATIONS: Final = """
DELETE FROM reserved_vehicle_ids
WHERE digest IN (SELECT digest FROM reserved_vehicle_ids WHERE until < now() LIMIT $1)
"""

_REMOVE: Final = "DELETE FROM vehicles WHERE id = ANY($1::bigint[])"

_REMOVE_HISTORY: Final = "DELETE FROM history WHERE vehicle = ANY($1::bigint[])"

_REMOVE_SAMPLES: Final = "DELETE FROM samples WHERE vehicle = ANY($1::bigint[])"

_REMOVE_STATE_HISTORY: Final = "DELETE FROM state_history WHERE vehicle = ANY($1::bigint[])"

# Tokens, also of others with whom it was shared, that were for this vehicle must not be for another that gets its id.
_REMOVE_FROM_TOKENS: Final = """
UPDATE api_tokens SET vehicles = (SELECT coalesce(array_agg(id), '{}') FROM unnest(vehicles) AS id WHERE id <> ALL($1::text[]))
WHERE vehicles && $1::text[]
"""

_REMOVE_TOKENS: Final = "DELETE FROM api_tokens WHERE vehicles = '{}'"

_REMOVED: Final = """
SELECT vehicle FROM unnest($1::bigint[]) AS vehicle WHERE NOT EXISTS (SELECT FROM vehicles WHERE id = vehicle)
"""


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


async def find_vehicle(connection: Connection, vehicle_id: str) -> Vehicle | None:
    """The vehicle of this id, without regard to case."""
    row = await connection.fetchrow(_FIND, vehicle_id)
    return None if row is None else Vehicle(*row)


async def list_vehicles(connection: Connection, owner_id: int | None = None) -> list[Vehicle]:
    """The vehicles of an owner, or all, by id."""
    return [Vehicle(*row) for row in await connection.fetch(_LIST, owner_id)]


async def count_vehicles(connection: Connection, owner_id: int, but: str = "") -> int:
    """Return how many vehicle ids an owner holds, reserved ones included, one id left out."""
    return int(await connection.fetchval(_COUNT, owner_id, but))


async def add_vehicle(
    connection: Connection, owner_id: int, vehicle_id: str, *, password: bytes, sealer: Sealer, by_operator: bool = False
) -> None:
    """Add a vehicle; the id must be checked. An operator can add one whose id is reserved for another owner.

    Raises:
        asyncpg.UniqueViolationError: the id is taken.
        VehicleIdReserved: the id is reserved for another owner; the transaction must be rolled back.
    """
    key_id, sealed = _seal(vehicle_id, password, sealer)
    await connection.execute(_ADD, owner_id, vehicle_id, sealed, key_id)
    if await connection.fetchval(_TAKE_RESERVED, vehicle_id, owner_id) and not by_operator:
        raise VehicleIdReserved


async def change_vehicle_password(
    connection: Connection, vehicle: int, vehicle_id: str, *, password: bytes, sealer: Sealer
) -> None:
    """Give a vehicle this password; its car needs it at its next login."""
    key_id, sealed = _seal(vehicle_id, password, sealer)
    await connection.execute(_CHANGE, vehicle, sealed, key_id)


async def remove_vehicles(connection: Connection, vehicles: Sequence[tuple[int, str]]) -> None:
    """Remove vehicles and all that they sent, given as `vehicles.id` and id; reserve their ids for their owner.

    The sessions of a removed vehicle are closed soon: see `find_removed`.
    """
    keys = [key for key, _ in vehicles]
    await connection.execute(_RESERVE, keys, RESERVED_FOR)
    await connection.execute(_REMOVE, keys, timeout=REMOVED_WITHIN)
    await remove_history(connection, keys)
    await connection.execute(_REMOVE_FROM_TOKENS, [fold_vehicle_id(vehicle_id) for _, vehicle_id in vehicles])
    await connection.execute(_REMOVE_TOKENS)


async def end_reservations(connection: Connection, *, limit: int) -> int:
    """Remove reservations that are over, at most so many; return how many were removed."""
    status = await connection.execute(_END_RESERVATIONS, limit)
    return int(status.removeprefix("DELETE "))


async def find_removed(db: Database, vehicles: Sequence[int]) -> list[int]:
    """Which of these vehicles are no more."""
    return [row[0] for row in await db.fetch(_REMOVED, vehicles)]


async def remove_history(db: Database, vehicles: Sequence[int]) -> None:
    """Remove the history of vehicles that are no more; what was on its way to it when they went needs another time."""
    await db.execute(_REMOVE_HISTORY, vehicles, timeout=REMOVED_WITHIN)
    await db.execute(_REMOVE_SAMPLES, vehicles, timeout=REMOVED_WITHIN)
    await db.execute(_REMOVE_STATE_HISTORY, vehicles, timeout=REMOVED_WITHIN)


def _seal(vehicle_id: str, password: bytes, sealer: Sealer) -> tuple[str, bytes]:
    return sealer.seal(password, context=fold_vehicle_id(vehicle_id))
