"""Which vehicles somebody reaches: his own, and those that others share with him."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ovms.db.engine import Database

_COLUMNS: Final = """
SELECT v.id, v.vehicle_id, v.owner_id, o.name, CASE WHEN v.owner_id = $1 THEN '*' ELSE s.permit END
FROM vehicles v JOIN owners o ON o.id = v.owner_id
LEFT JOIN shares s ON s.vehicle = v.id AND s.owner_id = $1 AND (s.expires_at IS NULL OR s.expires_at > now())
WHERE (v.owner_id = $1 OR s.vehicle IS NOT NULL)
"""

_ONE: Final = f"{_COLUMNS} AND upper(v.vehicle_id) = upper($2)"

_ALL: Final = f"""{_COLUMNS}
  AND ($2::text[] IS NULL OR upper(v.vehicle_id) = ANY($2)) ORDER BY upper(v.vehicle_id) COLLATE "C\"
"""


@dataclass(frozen=True, slots=True)
class Reached:
    """A vehicle, and what somebody may do with it."""

    key: int
    """`vehicles.id`"""
    vehicle_id: str
    """As its owner spells it."""
    owner_id: int
    """Whose it is: not always who reaches it."""
    owner: str
    permit: str
    """What its owner lets him do; `*`: it is his own."""


async def find_reached(db: Database, owner_id: int, vehicle_id: str) -> Reached | None:
    """A vehicle by its id, without regard to case; None where an owner does not reach it."""
    row = await db.fetchrow(_ONE, owner_id, vehicle_id)
    return None if row is None else Reached(*row)


async def list_reached(db: Database, owner_id: int, only: Iterable[str] | None = None) -> list[Reached]:
    """All vehicles that an owner reaches, in order of their ids; those of these folded ids alone, where some are given."""
    return [Reached(*row) for row in await db.fetch(_ALL, owner_id, None if only is None else list(only))]
