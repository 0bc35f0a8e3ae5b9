"""History records of a vehicle, and their summary by type, as the typed API has them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ovms.db.engine import Pool

# As many as are not too long together, and at least one. What is long is stored apart from its row, and read for those alone.
# The times alone let PostgreSQL leave out partitions.
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

PAGE_BYTES: Final = 1024 * 1024

RESOLUTION: Final = timedelta(microseconds=1)
"""Of PostgreSQL's times."""

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
