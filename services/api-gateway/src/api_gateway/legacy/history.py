"""What a car recorded over time: a summary by record type, and the records of one type."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api_gateway.answers import json_answer
from api_gateway.auth.authenticator import Caller
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import HistoryReader, ResourcesDep
from api_gateway.errors import AuthenticationFailed, Forbidden, InsufficientRights, ServiceUnavailable, answers
from api_gateway.legacy.declared import INTEGER, STRING, TIME, answer, list_of, record
from api_gateway.legacy.vehicle_ids import TO_THE_END, VehicleId, check_possible
from api_gateway.resources import Resources
from ovms.auth.rights import LOCATION
from ovms.db.accounts import OwnedVehicle, find_vehicle
from ovms.db.legacy_history import find_spellings, read_records, summarise
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
    responses=answer("The records, oldest first; none is an empty list", [_RECORD], list_of(_RECORD_SCHEMA)) | _ERRORS,
    openapi_extra=dict(SIGNED_IN),
)
async def records(
    vehicle_id: VehicleId, record_type: RecordType, caller: HistoryReader, resources: ResourcesDep, since: Since = None
) -> Response:
    """Return the history records of one type as the car sent them; types compare without case.

    Every state message is a record too: its code is the type, its number 0.
    """
    vehicle = await _owned(resources, caller, vehicle_id)
    spellings = await find_spellings(resources.pool, vehicle.key, record_type)
    if any(map(tells_where, spellings or [record_type])) and not caller.may(LOCATION):
        raise InsufficientRights
    found = await read_records(resources.pool, vehicle.key, spellings, read_since(since))
    return json_answer(
        [
            {
                "h_data": entry.data.decode("utf-8", "replace"),
                "h_recordnumber": entry.number,
                "h_timestamp": write_time(entry.recorded_at),
            }
            for entry in found
        ]
    )


@router.get(
    f"/{TO_THE_END}",
    summary="Summary by record type",
    response_class=Response,
    responses=answer("One entry a record type", [_SUMMARY], list_of(_SUMMARY_SCHEMA)) | _ERRORS,
    openapi_extra=dict(SIGNED_IN),
)
async def summary(vehicle_id: VehicleId, caller: HistoryReader, resources: ResourcesDep, since: Since = None) -> Response:
    """Return what is stored of each record type of the vehicle."""
    vehicle = await _owned(resources, caller, vehicle_id)
    found = await summarise(resources.pool, vehicle.key, vehicle.vehicle_id, read_since(since))
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


async def _owned(resources: Resources, caller: Caller, vehicle_id: str) -> OwnedVehicle:
    check_possible(caller, vehicle_id)
    vehicle = await find_vehicle(resources.pool, caller.owner_id, vehicle_id)
    if vehicle is None:
        raise Forbidden
    return vehicle
