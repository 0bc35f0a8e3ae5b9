"""Notices that a vehicle has been silent, and that it is back: which owners want them, and which are due."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ovms.db.engine import Connection, Database

_GET: Final = "SELECT hours, is_silent FROM silence_notices WHERE vehicle = $1"

# A vehicle that was silent before its owner asked is due after the whole time: what its owner knows already is no news.
_PUT: Final = """
INSERT INTO silence_notices AS kept (vehicle, hours) VALUES ($1, $2)
ON CONFLICT (vehicle) DO UPDATE SET hours = excluded.hours, heard_at = greatest(kept.heard_at, now()), is_silent = false
WHERE kept.hours <> excluded.hours
"""

_END: Final = "DELETE FROM silence_notices WHERE vehicle = $1"

_CONNECTED: Final = "UPDATE silence_notices SET heard_at = now() WHERE vehicle = ANY($1::bigint[])"

# A vehicle may connect and leave between two looks.
_RECEIVED: Final = """
UPDATE silence_notices SET heard_at = received.at
FROM (
  SELECT vehicle, least(now(), max(received_at)) AS at FROM messages JOIN silence_notices USING (vehicle) GROUP BY vehicle
) AS received
WHERE silence_notices.vehicle = received.vehicle AND received.at > heard_at
"""

# A row is locked by the first of several replicas; the others find it changed.
_SILENT: Final = """
UPDATE silence_notices SET is_silent = true, silent_at = now()
WHERE NOT is_silent AND heard_at < now() - make_interval(hours => hours) RETURNING vehicle, hours
"""

_BACK: Final = """
UPDATE silence_notices SET is_silent = false WHERE is_silent AND heard_at > silent_at RETURNING vehicle
"""


@dataclass(frozen=True, slots=True)
class SilenceNotice:
    """When the owner of a vehicle is notified that it is silent."""

    hours: int
    is_silent: bool
    """Whether the owner was notified, and the vehicle is not back."""


async def find_silence_notice(db: Database, vehicle: int) -> SilenceNotice | None:
    """Return what the owner of a vehicle has asked for; None: no notice."""
    row = await db.fetchrow(_GET, vehicle)
    return None if row is None else SilenceNotice(*row)


async def put_silence_notice(db: Database, vehicle: int, hours: int) -> None:
    """Notify the owner of a vehicle when it has been silent for some hours, and when it is back."""
    await db.execute(_PUT, vehicle, hours)


async def end_silence_notice(db: Database, vehicle: int) -> bool:
    """Stop these notices; return whether there were any."""
    return bool(await db.execute(_END, vehicle) != "DELETE 0")


async def note_heard(connection: Connection, connected: Sequence[int]) -> list[int]:
    """Note that vehicles are connected, and when others were; return those that were silent and are back."""
    await connection.execute(_CONNECTED, connected)
    await connection.execute(_RECEIVED)
    return [row[0] for row in await connection.fetch(_BACK)]


async def take_silent(connection: Connection) -> list[tuple[int, int]]:
    """Return the vehicles that have been silent for as long as their owners want to know, with the hours; each once."""
    return [(vehicle, hours) for vehicle, hours in await connection.fetch(_SILENT)]
