"""Bytes carried, a day and vehicle, kept as history records like the reference keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import BigInteger, Date, case, cast, func, select

from ovms.db.engine import Pool
from ovms.db.statement import Query, param
from ovms.db.tables import history

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


@dataclass(frozen=True, slots=True)
class Day:
    """What was carried on one day, in bytes."""

    day: date
    car_received: int
    car_sent: int
    apps_received: int
    apps_sent: int


_TEXT: Final = func.encode(history.c.data, "escape")
_SIZE: Final = case((_TEXT.regexp_match("^[0-9]{1,12}$"), cast(_TEXT, BigInteger)), else_=0)
_DAY: Final = cast(func.timezone("UTC", history.c.recorded_at), Date)
_DAYS: Final = Query(
    Day,
    select(
        _DAY.label("day"),
        *(
            cast(func.coalesce(func.sum(_SIZE).filter(history.c.record_number == number), 0), BigInteger).label(name)
            for number, name in enumerate(("car_received", "car_sent", "apps_received", "apps_sent"), CAR_RECEIVED)
        ),
    )
    .where(history.c.vehicle == param("vehicle"), history.c.record_type == RECORD_TYPE)
    .group_by(_DAY)
    .order_by(_DAY.desc())
    .limit(param("days")),
)


async def add_traffic(pool: Pool, sums: Sequence[tuple[int, int, int, int]], *, days: int) -> None:
    """Add to the sums: (vehicle, Unix time of the day's midnight, record number, bytes) each, kept for `days`."""
    await pool.execute(_ADD, *map(list, zip(*sums, strict=True)), RECORD_TYPE, days)


async def read_traffic(pool: Pool, vehicle: int, *, days: int) -> list[Day]:
    """The newest days of a vehicle, newest first."""
    return await _DAYS.find_all(pool, vehicle=vehicle, days=days)
