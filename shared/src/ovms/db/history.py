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

_COUNT: Final = "SELECT count(*) FROM history WHERE vehicle = $1 AND record_type = $2 AND recorded_at > $3"

# As many as are not too long together, and at least one. What is long is stored apart from its row, and read for those alone.
_PAGE: Final = """
SELECT recorded_at, record_number, data FROM (
  SELECT *, sum(octet_length(data)) OVER (ORDER BY recorded_at, record_number) - octet_length(data) AS size_before
  FROM (
    SELECT recorded_at, record_number, data FROM history
    WHERE vehicle = $1 AND record_type = $2 AND (recorded_at, record_number) > ($3, $4)
    ORDER BY recorded_at, record_number LIMIT $5) AS next) AS sized
WHERE size_before < $6 ORDER BY recorded_at, record_number
"""

PAGE_RECORDS: Final = 2000
PAGE_BYTES: Final = 1024 * 1024

_LAST_NUMBER: Final = 2**63 - 1


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


async def count_records(db: Pool, vehicle: int, record_type: str, since: datetime) -> int:
    """How many records of one type are later than `since`."""
    return 0 if "\0" in record_type else int(await db.fetchval(_COUNT, vehicle, record_type, since))


async def read_page(
    db: Pool, vehicle: int, record_type: str, since: datetime, last: HistoryRecord | None
) -> list[HistoryRecord]:
    """Some records of one type that follow the last one read, oldest first; without one, the first later than `since`."""
    after = (since, _LAST_NUMBER) if last is None else (last.recorded_at, last.number)
    return [HistoryRecord(*row) for row in await db.fetch(_PAGE, vehicle, record_type, *after, PAGE_RECORDS, PAGE_BYTES)]
