"""History records of a vehicle, and their summary by type."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ovms.db.engine import Pool

# Sizes are the reference's: record type, data and vehicle id, and 20 bytes for the rest of a row.
_SUMMARY: Final = """
SELECT record_type, count(DISTINCT record_number), count(*),
       sum(octet_length(record_type) + octet_length(data) + $2 + 20), min(recorded_at), max(recorded_at)
FROM history WHERE vehicle = $1 AND recorded_at > $3
GROUP BY record_type ORDER BY record_type COLLATE "C"
"""

_RECORDS: Final = """
SELECT recorded_at, record_number, data FROM history
WHERE vehicle = $1 AND record_type = $2 AND recorded_at > $3
ORDER BY recorded_at, record_number
"""


@dataclass(frozen=True, slots=True)
class RecordTypeSummary:
    """What is stored of one record type."""

    record_type: str
    distinct_numbers: int
    records: int
    size: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One record as the car sent it."""

    recorded_at: datetime
    number: int
    data: bytes


async def summarise(db: Pool, vehicle: int, vehicle_id: str, since: datetime) -> list[RecordTypeSummary]:
    """What is stored of each record type later than `since`."""
    return [RecordTypeSummary(*row) for row in await db.fetch(_SUMMARY, vehicle, len(vehicle_id), since)]


async def read_records(db: Pool, vehicle: int, record_type: str, since: datetime) -> list[HistoryRecord]:
    """The records of one type later than `since`, oldest first."""
    if "\0" in record_type:  # PostgreSQL's text has no NUL, so there are none
        return []
    return [HistoryRecord(*row) for row in await db.fetch(_RECORDS, vehicle, record_type, since)]
