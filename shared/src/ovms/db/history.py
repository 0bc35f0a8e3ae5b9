"""History records of a vehicle, and their summary by type, as the typed API has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.sql.selectable import Subquery

from ovms.db.engine import Pool
from ovms.db.statement import Query, param
from ovms.db.tables import history

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


def within_bytes(page: Select[Any], order: Sequence[str], most: Any, *, descending: bool = False) -> Select[Any]:
    """Return the first rows of a page: as many as have at most so many bytes of data together, and at least one.

    What is long is stored apart from its row, and read for these alone.
    """

    def ordered(rows: Subquery) -> list[ColumnElement[Any]]:
        return [rows.c[name].desc() if descending else rows.c[name] for name in order]

    rows = page.subquery("next")
    length = func.octet_length(rows.c.data)
    sized = select(rows, (func.sum(length).over(order_by=ordered(rows)) - length).label("size_before")).subquery("sized")
    return select(*(sized.c[column.name] for column in rows.c)).where(sized.c.size_before < most).order_by(*ordered(sized))


def _part(*, newest_first: bool) -> Query[HistoryRecord]:
    place = tuple_(history.c.recorded_at, history.c.record_number)
    after = tuple_(param("after"), param("after_number"))
    order = (history.c.recorded_at, history.c.record_number)
    return Query(
        HistoryRecord,
        within_bytes(
            select(history.c.recorded_at, history.c.record_number.label("number"), history.c.data)
            .where(
                history.c.vehicle == param("vehicle"),
                history.c.record_type == param("record_type"),
                # The times alone let PostgreSQL leave out partitions.
                history.c.recorded_at >= param("start"),
                history.c.recorded_at <= param("end"),
                place < after if newest_first else place > after,
            )
            .order_by(*(column.desc() if newest_first else column for column in order))
            .limit(param("limit")),
            ("recorded_at", "number"),
            PAGE_BYTES,
            descending=newest_first,
        ),
    )


_OLDEST_FIRST: Final = _part(newest_first=False)
_NEWEST_FIRST: Final = _part(newest_first=True)

_TYPE: Final = history.c.record_type.collate("C")
_TYPES: Final = Query(
    RecordTypeSummary,
    select(
        history.c.record_type,
        func.count(history.c.record_number.distinct()).label("distinct_numbers"),
        func.count().label("records"),
        func.sum(func.octet_length(history.c.data)).label("size"),
        func.min(history.c.recorded_at).label("first"),
        func.max(history.c.recorded_at).label("last"),
    )
    .where(
        history.c.vehicle == param("vehicle"),
        history.c.recorded_at >= param("start"),
        history.c.recorded_at < param("end"),
        param("after") < _TYPE,
    )
    .group_by(history.c.record_type)
    .order_by(_TYPE)
    .limit(param("limit")),
)


async def list_types(db: Pool, vehicle: int, part: Part, after: str, limit: int) -> list[RecordTypeSummary]:
    """What is stored of the record types that come after this one, in their order; sizes are those of the data."""
    return await _TYPES.find_all(db, vehicle=vehicle, start=part.start, end=part.end, after=after, limit=limit)


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
        query, key = _NEWEST_FIRST, min(after or (end, _FIRST_NUMBER), (end, _FIRST_NUMBER))
        end = key[0]
    else:
        query, key = _OLDEST_FIRST, max(after or (start, _FIRST_NUMBER), (start, _FIRST_NUMBER))
        start, end = key[0], end - RESOLUTION
    found = await query.find_all(
        db, vehicle=vehicle, record_type=record_type, start=start, end=end, after=key[0], after_number=key[1], limit=limit + 1
    )
    records = found[:limit]
    return records, len(found) > limit or sum(len(record.data) for record in records) >= PAGE_BYTES
