"""Vehicles that their owners share with others."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ovms.db.engine import Database

MOST_SHARES: Final = 64
"""Of one vehicle."""

_LIST: Final = """
SELECT name, permit, shares.created_at, expires_at FROM shares JOIN owners ON owners.id = shares.owner_id
WHERE vehicle = $1 ORDER BY lower(name)
"""

_COUNT_OTHERS: Final = "SELECT count(*) FROM shares WHERE vehicle = $1 AND owner_id <> $2"

_PUT: Final = """
INSERT INTO shares (vehicle, owner_id, permit, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (vehicle, owner_id) DO UPDATE SET permit = excluded.permit, expires_at = excluded.expires_at
RETURNING created_at
"""

_END: Final = "DELETE FROM shares WHERE vehicle = $1 AND owner_id = $2 RETURNING owner_id"


@dataclass(frozen=True, slots=True)
class Share:
    """With whom a vehicle is shared, and for what."""

    owner: str
    permit: str
    created_at: datetime
    expires_at: datetime | None
    """None: it does not end by itself."""


async def list_shares(db: Database, vehicle: int) -> list[Share]:
    """The shares of a vehicle by the names of the others, those that have ended among them."""
    return [Share(*row) for row in await db.fetch(_LIST, vehicle)]


async def count_other_shares(db: Database, vehicle: int, owner_id: int) -> int:
    """How many shares a vehicle has beside that with one owner."""
    return int(await db.fetchval(_COUNT_OTHERS, vehicle, owner_id))


async def put_share(db: Database, vehicle: int, owner_id: int, *, permit: str, expires_at: datetime | None) -> datetime:
    """Share a vehicle with an owner, or change for what; returns since when it is shared."""
    created_at: datetime = await db.fetchval(_PUT, vehicle, owner_id, permit, expires_at)
    return created_at


async def end_share(db: Database, vehicle: int, owner_id: int) -> bool:
    """Share a vehicle with an owner no more; whether it was."""
    return await db.fetchval(_END, vehicle, owner_id) is not None
