"""History records of a vehicle, and their summary by type."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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

# The same between two times, from either end. The times alone let PostgreSQL leave out partitions.
_PART: Final = """
SELECT recorded_at, record_number, data FROM (
  SELECT *, sum(octet_length(data)) OVER (ORDER BY recorded_at {order}, record_number {order}) - octet_length(data)
    AS size_before
  FROM (
    SELECT recorded_at, record_number, data FROM history
    WHERE vehicle = $1 AND record_type = $2 AND recorded_at >= $3 AND recorded_at <= $4
      AND (recorded_at, record_number) {beyond} ($5, $6)
    ORDER BY recorded_at {order}, record_number {order} LIMIT $7) AS next) AS sized
WHERE size_before < $8 ORDER BY recorded_at {order}, record_number {order}
"""

_OLDEST_FIRST: Final = _PART.format(order="", beyond=">")
_NEWEST_FIRST: Final = _PART.format(order="DESC", beyond="<")

_TYPES: Final = """
SELECT record_type, count(DISTINCT record_number), count(*), sum(octet_length(data)), min(recorded_at), max(recorded_at)
FROM history WHERE vehicle = $1 AND recorded_at >= $2 AND recorded_at < $3 AND record_type COLLATE "C" > $4
GROUP BY record_type ORDER BY record_type COLLATE "C" LIMIT $5
"""

PAGE_RECORDS: Final = 2000
PAGE_BYTES: Final = 1024 * 1024

RESOLUTION: Final = timedelta(microseconds=1)
"""Of PostgreSQL's times."""

_LAST_NUMBER: Final = 2**63 - 1
_FIRST_NUMBER: Final = -(2**63)


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


@dataclass(frozen=True, slots=True)
class Part:
    """What lies between two times, from one of its ends."""

    start: datetime = datetime(1, 1, 1, tzinfo=UTC)
    """Itself included."""
    end: datetime = datetime(9999, 12, 31, tzinfo=UTC)
    """Itself not."""
    newest_first: bool = False


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


async def list_types(db: Pool, vehicle: int, part: Part, after: str, limit: int) -> list[RecordTypeSummary]:
    """What is stored of the record types that come after this one, in their order; sizes are those of the data."""
    return [RecordTypeSummary(*row) for row in await db.fetch(_TYPES, vehicle, part.start, part.end, after, limit)]


async def read_part(
    db: Pool, vehicle: int, record_type: str, part: Part, after: tuple[datetime, int] | None, limit: int
) -> tuple[list[HistoryRecord], bool]:
    """At most `limit` records of one type that follow a record of this time and number, and whether more may follow.

    They are fewer where they are long, but at least one where there is any.
    """
    if "\0" in record_type or part.start >= part.end:
        return [], False
    start, end = part.start, part.end
    if part.newest_first:
        statement, key = _NEWEST_FIRST, min(after or (end, _FIRST_NUMBER), (end, _FIRST_NUMBER))
        end = key[0]
    else:
        statement, key = _OLDEST_FIRST, max(after or (start, _FIRST_NUMBER), (start, _FIRST_NUMBER))
        start, end = key[0], end - RESOLUTION
    rows = await db.fetch(statement, vehicle, record_type, start, end, *key, limit + 1, PAGE_BYTES)
    records = [HistoryRecord(*row) for row in rows[:limit]]
    return records, len(rows) > limit or sum(len(record.data) for record in records) >= PAGE_BYTES
