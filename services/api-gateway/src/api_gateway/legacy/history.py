"""What a car recorded over time: a summary by record type, and the records of one type."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api_gateway.answers import JSON, json_answer, json_body
from api_gateway.auth.authenticator import Caller
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import HistoryReader, PoolDep
from api_gateway.errors import (
    AuthenticationFailed,
    Forbidden,
    InsufficientRights,
    ServiceUnavailable,
    TooManyDownloads,
    answers,
)
from api_gateway.legacy.declared import INTEGER, STRING, TIME, answer, list_of, record
from api_gateway.legacy.vehicle_ids import TO_THE_END, VehicleId, check_possible
from api_gateway.pieces import in_pieces, slot_of
from ovms.auth.rights import LOCATION
from ovms.db.accounts import OwnedVehicle, find_vehicle
from ovms.db.engine import Pool
from ovms.db.legacy_history import LegacyRecord, find_spellings, is_full, read_page, summarise
from ovms.records.logs import tells_where
from ovms.times import read_since, write_time

router = APIRouter(prefix="/api/historical", tags=["history"])

Since = Annotated[
    str | None,
    Query(
        description="Only records later than this time (UTC, `YYYY-MM-DD HH:MM:SS`; a date alone is its midnight). "
        "One that cannot be read holds nothing back.",
        examples=["2026-11-22 19:00:00"],
    ),
]
RecordType = Annotated[str, Path(description="The record type", examples=["*-LOG-Trip"])]

_ERRORS: Final = answers(AuthenticationFailed, Forbidden, InsufficientRights, ServiceUnavailable)
_ERRORS_OF_RECORDS: Final = answers(AuthenticationFailed, Forbidden, InsufficientRights, TooManyDownloads, ServiceUnavailable)
_SUMMARY: Final = {
    "distinctrecs": 17,
    "first": "2026-11-01 08:00:00",
    "h_recordtype": "*-LOG-Trip",
    "last": "2026-11-22 19:12:23",
    "totalrecs": 26,
    "totalsize": "3090",
}
_SUMMARY_SCHEMA: Final = record(
    {
        "distinctrecs": {**INTEGER, "description": "Different record numbers"},
        "first": TIME,
        "h_recordtype": STRING,
        "last": TIME,
        "totalrecs": INTEGER,
        "totalsize": {**STRING, "description": "Bytes, as digits"},
    }
)
_RECORD: Final = {"h_data": "12.4,0.8,35", "h_recordnumber": 5, "h_timestamp": "2026-11-22 19:12:23"}
_RECORD_SCHEMA: Final = record({"h_data": STRING, "h_recordnumber": INTEGER, "h_timestamp": TIME})


@router.get(
    "/{vehicle_id}/{record_type:path}",
    summary="Records of one type",
    response_class=Response,
    responses=answer("The records, oldest first; none is an empty list", [_RECORD], list_of(_RECORD_SCHEMA))
    | _ERRORS_OF_RECORDS,
    openapi_extra=dict(SIGNED_IN),
)
async def records(
    request: Request,
    vehicle_id: VehicleId,
    record_type: RecordType,
    caller: HistoryReader,
    pool: PoolDep,
    since: Since = None,
) -> Response:
    """Return the history records of one type as the car sent them; types compare without case.

    Every state message is a record too: its code is the type, its number 0.
    """
    vehicle = await _owned(pool, caller, vehicle_id)
    spellings = await find_spellings(pool, vehicle.key, record_type)
    if any(map(tells_where, spellings or [record_type])) and not caller.may(LOCATION):
        raise InsufficientRights
    after = read_since(since)
    page = await read_page(pool, vehicle.key, spellings, after, None)
    if not is_full(page):
        return json_answer([_shown(record) for record in page])
    pieces = _pieces(pool, vehicle.key, spellings, after, page)
    return await in_pieces(request, slot_of(request, caller), pieces, JSON)


def _shown(record: LegacyRecord) -> dict[str, Any]:
    return {
        "h_data": record.data.decode("utf-8", "replace"),
        "h_recordnumber": record.number,
        "h_timestamp": write_time(record.recorded_at),
    }


async def _pieces(
    db: Pool, vehicle: int, spellings: Sequence[str], since: datetime, page: list[LegacyRecord]
) -> AsyncIterator[bytes]:
    """Yield the same answer as `json_answer`, a page at a time."""
    before = b"["
    while page:
        yield before + b",".join(json_body(_shown(record)) for record in page)
        before, page = b",", await read_page(db, vehicle, spellings, since, page[-1])
    yield b"]\n"


@router.get(
    f"/{TO_THE_END}",
    summary="Summary by record type",
    response_class=Response,
    responses=answer("One entry a record type", [_SUMMARY], list_of(_SUMMARY_SCHEMA)) | _ERRORS,
    openapi_extra=dict(SIGNED_IN),
)
async def summary(vehicle_id: VehicleId, caller: HistoryReader, pool: PoolDep, since: Since = None) -> Response:
    """Return what is stored of each record type of the vehicle."""
    vehicle = await _owned(pool, caller, vehicle_id)
    found = await summarise(pool, vehicle.key, vehicle.vehicle_id, read_since(since))
    return json_answer(
        [
            {
                "distinctrecs": entry.distinct_numbers,
                "first": write_time(entry.first),
                "h_recordtype": entry.record_type,
                "last": write_time(entry.last),
                "totalrecs": entry.records,
                "totalsize": str(entry.size),
            }
            for entry in found
        ]
    )


async def _owned(pool: Pool, caller: Caller, vehicle_id: str) -> OwnedVehicle:
    check_possible(caller, vehicle_id)
    vehicle = await find_vehicle(pool, caller.owner_id, vehicle_id)
    if vehicle is None:
        raise Forbidden
    return vehicle
