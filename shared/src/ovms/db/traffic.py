"""Bytes carried, a day and vehicle, kept as history records like the reference keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ovms.db.engine import Pool

RECORD_TYPE: Final = "*-OVM-Utilisation"
CAR_RECEIVED: Final = 0
"""The record number of what the car received; 1: what it sent, 2: what apps received, 3: what they sent."""

# A car may send records of any type, of this one too: what is no number counts nothing, and holds up nobody's.
_ADD: Final = """
INSERT INTO history AS kept (vehicle, record_type, record_number, recorded_at, data, expires_at)
SELECT vehicle, $5, number, to_timestamp(day), convert_to(size::text, 'UTF8'), to_timestamp(day + $6 * 86400)
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS new(vehicle, day, number, size)
WHERE EXISTS (SELECT FROM vehicles WHERE vehicles.id = new.vehicle)
ON CONFLICT (vehicle, record_type, record_number, recorded_at) DO UPDATE
SET data = convert_to((convert_from(excluded.data, 'UTF8')::bigint + CASE
      WHEN encode(kept.data, 'escape') ~ '^[0-9]{1,12}$' THEN encode(kept.data, 'escape')::bigint ELSE 0 END)::text, 'UTF8'),
    expires_at = excluded.expires_at
"""

_DAYS: Final = """
SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day,
  sum(size) FILTER (WHERE record_number = 0)::bigint, sum(size) FILTER (WHERE record_number = 1)::bigint,
  sum(size) FILTER (WHERE record_number = 2)::bigint, sum(size) FILTER (WHERE record_number = 3)::bigint
FROM history, LATERAL (SELECT CASE
  WHEN encode(data, 'escape') ~ '^[0-9]{1,12}$' THEN encode(data, 'escape')::bigint ELSE 0 END AS size) AS carried
WHERE vehicle = $1 AND record_type = $2 GROUP BY day ORDER BY day DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Day:
    """What was carried on one day, in bytes."""

    day: date
    car_received: int
    car_sent: int
    apps_received: int
    apps_sent: int


async def add_traffic(pool: Pool, sums: Sequence[tuple[int, int, int, int]], *, days: int) -> None:
    """Add to the sums: (vehicle, Unix time of the day's midnight, record number, bytes) each, kept for `days`."""
    await pool.execute(_ADD, *map(list, zip(*sums, strict=True)), RECORD_TYPE, days)


async def read_traffic(pool: Pool, vehicle: int, *, days: int) -> list[Day]:
    """The newest days of a vehicle, newest first."""
    rows = await pool.fetch(_DAYS, vehicle, RECORD_TYPE, days)
    return [Day(day, *(size or 0 for size in sums)) for day, *sums in rows]
