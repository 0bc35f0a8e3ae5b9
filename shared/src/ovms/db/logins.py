"""What a login needs: the vehicle and its sealed password, and the stored messages that greet an app."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ovms.db.engine import Pool
from ovms.identity import VEHICLE_ID, VehicleName

_VEHICLES: Final = """
SELECT id, vehicle_id, password, password_key_id, paranoid_token FROM vehicles WHERE upper(vehicle_id) = ANY($1::text[])
"""

_VEHICLES_OF: Final = """
SELECT id, vehicle_id, password, password_key_id, paranoid_token FROM vehicles
WHERE owner_id = $1 ORDER BY upper(vehicle_id) COLLATE "C"
"""

_MESSAGES: Final = """
SELECT vehicle, code, data, extract(epoch FROM received_at)::float8 AS received_at,
  CASE WHEN paranoid THEN paranoid_token END AS sealed_with, epoch, number
FROM messages WHERE vehicle = ANY($1::bigint[]) AND valid
"""


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle as its login needs it."""

    key: int
    """`vehicles.id`"""
    vehicle_id: str
    """As its owner spells it."""
    password: bytes = field(repr=False)
    """Sealed."""
    password_key_id: str
    paranoid_token: str
    """The name of the key that car and apps seal with, empty outside paranoid mode."""

    @property
    def name(self) -> VehicleName:
        """Return its name on Redis."""
        return VehicleName(self.vehicle_id, self.key)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """The newest message of a code."""

    message: bytes
    """As on the wire: one byte of code, then the data."""
    received_at: float
    """Unix time."""
    sealed_with: str | None = None
    """The name of the key that all but its code is sealed with, in paranoid mode."""
    epoch: int = 0
    """The session in which it came."""
    number: int = 0
    """That of the message in its session, 0 where it has none."""


async def find_vehicles(pool: Pool, folded_ids: Sequence[str]) -> dict[str, Vehicle]:
    """The vehicles among these upper-cased ids, by that id."""
    # An id that nobody can have may hold what PostgreSQL does not take, a NUL for one.
    rows = await pool.fetch(_VEHICLES, [folded for folded in folded_ids if VEHICLE_ID.match(folded)])
    return {row["vehicle_id"].upper(): Vehicle(*row) for row in rows}


async def find_vehicles_of(pool: Pool, owner_id: int) -> list[Vehicle]:
    """An owner's vehicles, in order of their ids."""
    return [Vehicle(*row) for row in await pool.fetch(_VEHICLES_OF, owner_id)]


async def find_messages(pool: Pool, vehicles: Iterable[int]) -> dict[int, dict[int, StoredMessage]]:
    """The newest messages of some vehicles: by vehicle, then by code."""
    keys = list(vehicles)
    found: dict[int, dict[int, StoredMessage]] = {key: {} for key in keys}
    for vehicle, code, data, *rest in await pool.fetch(_MESSAGES, keys):
        found[vehicle][ord(code)] = StoredMessage(code.encode("latin-1") + data, *rest)
    return found
