"""History records as apps and the legacy API read them: those of the reference server.

They compare record types without case, as MySQL does, and a state message is a record of its code with number 0. Times are
whole seconds to them: a record is later than `since` when its second is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Select,
    Table,
    Text,
    and_,
    any_,
    cast,
    exists,
    func,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from ovms.db.engine import Pool
from ovms.db.history import PAGE_BYTES, RecordTypeSummary, within_bytes
from ovms.db.statement import SECOND, Query, Statement, param
from ovms.db.tables import history, state_history
from ovms.times import EVERYTHING

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


_NUMBER: Final = cast(0, BigInteger)
"""Of a state message."""


def _fold(record_type: ColumnElement[str]) -> ColumnElement[str]:
    """Return what is equal for record types that compare equal, and in the order of MySQL's `utf8_general_ci`, for ASCII."""
    return func.upper(func.rtrim(record_type).collate("C"))


def _is_of_vehicle(table: Table) -> ColumnElement[bool]:
    return table.c.vehicle == param("vehicle")


def _is_later(table: Table) -> ColumnElement[bool]:
    since = cast(param("since"), DateTime(timezone=True))
    return and_(_is_of_vehicle(table), table.c.recorded_at >= func.date_trunc("second", since) + SECOND)


_kept: Final = union_all(
    select(
        history.c.record_type, history.c.record_number, history.c.recorded_at, func.octet_length(history.c.data).label("size")
    ).where(_is_later(history)),
    select(state_history.c.code, _NUMBER, state_history.c.recorded_at, func.octet_length(state_history.c.data)).where(
        _is_later(state_history)
    ),
).subquery("kept")

# Sizes are the reference's: record type, data and vehicle id, and 20 bytes for the rest of a row.
_SUMMARY: Final = Query(
    RecordTypeSummary,
    select(
        func.min(_kept.c.record_type.collate("C")).label("record_type"),
        func.count(_kept.c.record_number.distinct()).label("distinct_numbers"),
        func.count().label("records"),
        func.sum(func.octet_length(_kept.c.record_type) + _kept.c.size + param("id_length") + 20).label("size"),
        func.min(_kept.c.recorded_at).label("first"),
        func.max(_kept.c.recorded_at).label("last"),
    )
    .group_by(_fold(_kept.c.record_type))
    .order_by(_fold(_kept.c.record_type)),
)


def _first_type(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(history.c.record_type).where(_is_of_vehicle(history), *conditions).order_by(history.c.record_type).limit(1)


# The primary key has the types of a vehicle in order: each step finds the next one, however many records a type has.
_spelled: Final = _first_type().cte("spelled", recursive=True)
_spellings: Final = _spelled.union_all(
    select(_first_type(history.c.record_type > _spelled.c.record_type).scalar_subquery()).where(
        _spelled.c.record_type.is_not(None)
    )
)
_code: Final = func.unnest(cast(param("codes"), ARRAY(Text))).column_valued("code_asked")
_SPELLINGS: Final = Statement(
    select(_spellings.c.record_type)
    .where(_fold(_spellings.c.record_type) == _fold(cast(param("record_type"), Text)))
    .union(select(_code).where(exists().where(_is_of_vehicle(state_history), state_history.c.code == _code)))
)

_ORDER: Final = ("recorded_at", "number", "record_type")


def _page(types: Any) -> Query[LegacyRecord]:
    """Return records of these types. With a single type each table has them in their order."""

    def records(table: Table, record_type: Column[str], number: ColumnElement[int]) -> Select[Any]:
        place = tuple_(table.c.recorded_at, number, record_type)
        return select(record_type.label("record_type"), table.c.recorded_at, number.label("number"), table.c.data).where(
            record_type == types, _is_later(table), place > tuple_(*(param(f"after_{name}") for name in _ORDER))
        )

    kept = union_all(
        records(history, history.c.record_type, history.c.record_number), records(state_history, state_history.c.code, _NUMBER)
    ).subquery("kept")
    page = select(kept).order_by(*(kept.c[name] for name in _ORDER)).limit(param("limit"))
    return Query(LegacyRecord, within_bytes(page, _ORDER, param("bytes")))


_ONE: Final = cast(param("types"), Text)
_ANY: Final = any_(cast(param("types"), ARRAY(Text)))
_PAGE_OF_ONE: Final = _page(_ONE)
_PAGE_OF_ANY: Final = _page(_ANY)

_COUNT: Final = Statement(
    select(
        select(func.count()).where(history.c.record_type == _ANY, _is_later(history)).scalar_subquery()
        + select(func.count()).where(state_history.c.code == _ANY, _is_later(state_history)).scalar_subquery()
    )
)


async def summarise(db: Pool, vehicle: int, vehicle_id: str, since: datetime) -> list[RecordTypeSummary]:
    """Return what is stored of each record type later than `since`."""
    return await _SUMMARY.find_all(db, vehicle=vehicle, id_length=len(vehicle_id), since=since)


async def find_spellings(db: Pool, vehicle: int, record_type: str) -> list[str]:
    """Return the types, as the vehicle spelled them, that are equal to this one without case and trailing blanks."""
    if "\0" in record_type:  # PostgreSQL's text has no NUL, so there are none
        return []
    code = record_type.rstrip(" ")
    codes = {code.upper(), code.lower()} if len(code) == 1 and code.isascii() else {code}
    found = await _SPELLINGS.fetch(db, vehicle=vehicle, record_type=record_type, codes=codes)
    return [row[0] for row in found]


async def count_records(db: Pool, vehicle: int, spellings: Sequence[str], since: datetime) -> int:
    """Return how many records of these types are later than `since`."""
    return int(await _COUNT.fetchval(db, vehicle=vehicle, types=spellings, since=since)) if spellings else 0


async def read_page(
    db: Pool, vehicle: int, spellings: Sequence[str], since: datetime, last: LegacyRecord | None
) -> list[LegacyRecord]:
    """Return some records of these types that follow the last one read, oldest first; without one, the first after `since`."""
    if not spellings:
        return []
    after = (EVERYTHING, _FIRST_NUMBER, "") if last is None else (last.recorded_at, last.number, last.record_type)
    query, types = (_PAGE_OF_ANY, spellings) if len(spellings) > 1 else (_PAGE_OF_ONE, spellings[0])
    return await query.find_all(
        db,
        vehicle=vehicle,
        types=types,
        since=since,
        after_recorded_at=after[0],
        after_number=after[1],
        after_record_type=after[2],
        limit=PAGE_RECORDS,
        bytes=PAGE_BYTES,
    )


def is_full(page: Sequence[LegacyRecord]) -> bool:
    """Return whether more records may follow a page."""
    return len(page) >= PAGE_RECORDS or sum(len(record.data) for record in page) >= PAGE_BYTES
