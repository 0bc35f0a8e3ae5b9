"""Owners, to be changed. Every function works inside the transaction of the connection it is given."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ovms.db.engine import Connection, Database
from ovms.db.vehicles import remove_vehicles
from ovms.identity import fold_vehicle_id

_FIND: Final = "SELECT id, name, email, password_hash FROM owners WHERE lower(name) = lower($1)"

_LIST: Final = """
SELECT owners.id, name, email, password_hash, count(vehicles.id)
FROM owners LEFT JOIN vehicles ON owner_id = owners.id GROUP BY owners.id ORDER BY lower(name)
"""

_ADD: Final = "INSERT INTO owners (name, email, password_hash) VALUES ($1, $2, $3) RETURNING id"

_CHANGE: Final = "UPDATE owners SET email = $2, password_hash = $3 WHERE id = $1"

_CHANGE_EMAIL: Final = "UPDATE owners SET email = $2 WHERE id = $1"

_CHANGE_HASH: Final = "UPDATE owners SET password_hash = $2 WHERE id = $1"

_PROFILE: Final = "SELECT name, email, created_at FROM owners WHERE id = $1"

_VEHICLES: Final = "SELECT id, vehicle_id FROM vehicles WHERE owner_id = $1 FOR UPDATE"

_REMOVE: Final = "DELETE FROM owners WHERE id = $1"

# What others may read of who did something with their vehicles, once he is no more.
_REMOVE_NAME: Final = """
UPDATE audit SET actor = CASE WHEN lower(actor) = lower($1) THEN '' ELSE actor END,
  detail = CASE WHEN lower(detail->>'with') = lower($1) THEN detail - 'with' ELSE detail END
WHERE lower(actor) = lower($1) OR lower(detail->>'with') = lower($1)
"""


_REMOVE_OFFERS: Final = "DELETE FROM share_offers WHERE folded = lower($1)"

_REMOVE_ACTOR: Final = "UPDATE commands SET actor = '' WHERE actor_id = $1"

_REMOVE_VEHICLE_IDS: Final = """
UPDATE audit SET vehicle_id = CASE WHEN upper(vehicle_id) = ANY($1::text[]) THEN NULL ELSE vehicle_id END,
  detail = CASE WHEN detail->'vehicles' ?| $1::text[] THEN detail - 'vehicles' ELSE detail END
WHERE upper(vehicle_id) = ANY($1::text[]) OR detail->'vehicles' ?| $1::text[]
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who signs in, and whose the vehicles are."""

    key: int
    """`owners.id`"""
    name: str
    email: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """An owner as he sees himself."""

    name: str
    email: str
    created_at: datetime


async def find_owner(connection: Connection, name: str) -> Owner | None:
    """The owner of this name, without regard to case."""
    row = await connection.fetchrow(_FIND, name)
    return None if row is None else Owner(*row)


async def list_owners(connection: Connection) -> list[tuple[Owner, int]]:
    """Every owner and how many vehicles he has, by name."""
    return [(Owner(*owner), count) for *owner, count in await connection.fetch(_LIST)]


async def add_owner(connection: Connection, name: str, *, email: str, password_hash: str) -> Owner:
    """Add an owner; the name must be checked.

    Raises:
        asyncpg.UniqueViolationError: it is taken.
    """
    return Owner(await connection.fetchval(_ADD, name, email, password_hash), name, email, password_hash)


async def change_owner(connection: Connection, owner: Owner, *, email: str, password_hash: str) -> None:
    """Give an owner this address and this password."""
    await connection.execute(_CHANGE, owner.key, email, password_hash)


async def change_email(connection: Connection, owner_id: int, email: str) -> None:
    """Give an owner this address."""
    await connection.execute(_CHANGE_EMAIL, owner_id, email)


async def change_password(connection: Connection, owner_id: int, password_hash: str) -> None:
    """Give an owner this password."""
    await connection.execute(_CHANGE_HASH, owner_id, password_hash)


async def read_profile(db: Database, owner_id: int) -> Profile | None:
    """An owner as he sees himself; None for one that was removed this moment."""
    row = await db.fetchrow(_PROFILE, owner_id)
    return None if row is None else Profile(*row)


async def remove_owner(connection: Connection, owner_id: int, name: str) -> list[int]:
    """Remove an owner, its tokens, its vehicles, all that they sent, and its name wherever it stands; return the vehicles."""
    vehicles = [tuple(row) for row in await connection.fetch(_VEHICLES, owner_id)]
    await remove_vehicles(connection, vehicles)
    await connection.execute(_REMOVE_ACTOR, owner_id)
    await connection.execute(_REMOVE, owner_id)
    await connection.execute(_REMOVE_NAME, name)
    await connection.execute(_REMOVE_OFFERS, name)
    await connection.execute(_REMOVE_VEHICLE_IDS, [fold_vehicle_id(vehicle_id) for _, vehicle_id in vehicles])
    return [key for key, _ in vehicles]
