"""History records as apps and the legacy API read them: those of the reference server.

They compare record types without case, as MySQL does, and a state message is a record of its code with number 0. Times are
whole seconds to them: a record is later than `since` when its second is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ovms.db.engine import Pool
from ovms.db.history import PAGE_BYTES, RecordTypeSummary
from ovms.times import EVERYTHING


def _folded(record_type: str) -> str:
    """SQL: equal for record types that compare equal, and in the order of MySQL's `utf8_general_ci`, for ASCII."""
    return f'upper(rtrim({record_type}) COLLATE "C")'


_LATER: Final = "recorded_at >= date_trunc('second', $3::timestamptz) + interval '1 second'"

# Sizes are the reference's: record type, data and vehicle id, and 20 bytes for the rest of a row.
_SUMMARY: Final = f"""
SELECT min(record_type COLLATE "C"), count(DISTINCT record_number), count(*),
  sum(octet_length(record_type) + size + $2 + 20), min(recorded_at), max(recorded_at)
FROM (
  SELECT record_type, record_number, recorded_at, octet_length(data) AS size FROM history WHERE vehicle = $1 AND {_LATER}
  UNION ALL
  SELECT code, 0::bigint, recorded_at, octet_length(data) FROM state_history WHERE vehicle = $1 AND {_LATER}) AS kept
GROUP BY {_folded("record_type")} ORDER BY {_folded("record_type")}
"""  # noqa: S608

# The primary key has the types of a vehicle in order: each step finds the next one, however many records a type has.
_SPELLINGS: Final = f"""
WITH RECURSIVE kept AS (
  (SELECT record_type FROM history WHERE vehicle = $1 ORDER BY record_type LIMIT 1)
  UNION ALL
  SELECT (SELECT record_type FROM history WHERE vehicle = $1 AND record_type > kept.record_type ORDER BY record_type LIMIT 1)
  FROM kept WHERE kept.record_type IS NOT NULL)
SELECT record_type FROM kept WHERE {_folded("record_type")} = {_folded("$2::text")}
UNION
SELECT asked FROM unnest($3::text[]) AS asked WHERE EXISTS (SELECT FROM state_history WHERE vehicle = $1 AND code = asked)
"""  # noqa: S608

_ORDER: Final = "recorded_at, record_number, record_type"


def _records(types: str) -> str:
    """SQL: the records of these types. With a single type each table has them in their order."""
    return f"""
SELECT record_type, recorded_at, record_number, data FROM history
WHERE vehicle = $1 AND record_type = {types} AND {_LATER} AND (recorded_at, record_number, record_type) > ($4, $5, $6)
UNION ALL
SELECT code, recorded_at, 0::bigint, data FROM state_history
WHERE vehicle = $1 AND code = {types} AND {_LATER} AND (recorded_at, 0, code) > ($4, $5, $6)
"""  # noqa: S608


def _page(types: str) -> str:
    # As many as are not too long together, and at least one: what is long is stored apart from its row.
    return f"""
SELECT record_type, recorded_at, record_number, data FROM (
  SELECT *, sum(octet_length(data)) OVER (ORDER BY {_ORDER}) - octet_length(data) AS size_before
  FROM (SELECT * FROM ({_records(types)}) AS kept ORDER BY {_ORDER} LIMIT $7) AS next) AS sized
WHERE size_before < $8 ORDER BY {_ORDER}
"""  # noqa: S608


_ONE, _ANY = "$2::text", "ANY($2::text[])"
_PAGE_OF_ONE, _PAGE_OF_ANY = _page(_ONE), _page(_ANY)

_COUNT: Final = f"""
SELECT (SELECT count(*) FROM history WHERE vehicle = $1 AND record_type = {_ANY} AND {_LATER})
  + (SELECT count(*) FROM state_history WHERE vehicle = $1 AND code = {_ANY} AND {_LATER})
"""  # noqa: S608

PAGE_RECORDS: Final = 2000

_FIRST_NUMBER: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class LegacyRecord:
    """One record as the car sent it."""

    record_type: str
    """As the car spelled it."""
    recorded_at: datetime
    number: int
    data: bytes


async def summarise(db: Pool, vehicle: int, vehicle_id: str, since: datetime) -> list[RecordTypeSummary]:
    """Return what is stored of each record type later than `since`."""
    return [RecordTypeSummary(*row) for row in await db.fetch(_SUMMARY, vehicle, len(vehicle_id), since)]


async def find_spellings(db: Pool, vehicle: int, record_type: str) -> list[str]:
    """Return the types, as the vehicle spelled them, that are equal to this one without case and trailing blanks."""
    if "\0" in record_type:  # PostgreSQL's text has no NUL, so there are none
        return []
    code = record_type.rstrip(" ")
    codes = {code.upper(), code.lower()} if len(code) == 1 and code.isascii() else {code}
    return [row[0] for row in await db.fetch(_SPELLINGS, vehicle, record_type, codes)]


async def count_records(db: Pool, vehicle: int, spellings: Sequence[str], since: datetime) -> int:
    """Return how many records of these types are later than `since`."""
    return int(await db.fetchval(_COUNT, vehicle, spellings, since)) if spellings else 0


async def read_page(
    db: Pool, vehicle: int, spellings: Sequence[str], since: datetime, last: LegacyRecord | None
) -> list[LegacyRecord]:
    """Return some records of these types that follow the last one read, oldest first; without one, the first after `since`."""
    if not spellings:
        return []
    after = (EVERYTHING, _FIRST_NUMBER, "") if last is None else (last.recorded_at, last.number, last.record_type)
    statement, types = (_PAGE_OF_ANY, spellings) if len(spellings) > 1 else (_PAGE_OF_ONE, spellings[0])
    rows = await db.fetch(statement, vehicle, types, since, *after, PAGE_RECORDS, PAGE_BYTES)
    return [LegacyRecord(*row) for row in rows]


def is_full(page: Sequence[LegacyRecord]) -> bool:
    """Return whether more records may follow a page."""
    return len(page) >= PAGE_RECORDS or sum(len(record.data) for record in page) >= PAGE_BYTES
