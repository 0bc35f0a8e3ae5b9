"""What a vehicle has recorded: its records by type, its notifications, samples of its state, and the bytes that it has sent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import PoolDep
from api_gateway.errors import InsufficientRights
from api_gateway.pieces import slot_of
from api_gateway.refusals import ROOT
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, NotAcceptable, VehicleUnknown
from api_gateway.v1.history.asked import USUAL, Asked, asking, unordered
from api_gateway.v1.history.cursors import Key, write_cursor
from api_gateway.v1.history.listings import Listing, answer, page_answer
from api_gateway.v1.history.models import HistoryPage, HistorySummary, NotificationPage, StatePage, Traffic
from api_gateway.v1.history.rows import render_day, render_notification, render_record, render_state, render_type
from api_gateway.v1.history.tables import CSV, NDJSON, write_csv, write_csv_head, write_ndjson
from api_gateway.v1.reach import Readable, Recorded
from ovms.auth.rights import LOCATION
from ovms.db.engine import Pool
from ovms.db.history import HistoryRecord, RecordTypeSummary, list_types, read_part
from ovms.db.samples import Sample, read_samples
from ovms.db.traffic import Day, read_traffic
from ovms.records import State
from ovms.records.logs import NOTIFICATIONS, tells_where
from ovms.times import read_micros, write_micros

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}", tags=["typed history"])

DAYS: Final = 366

Oldest = Annotated[Asked, Depends(asking("asc"))]
Newest = Annotated[Asked, Depends(asking("desc"))]
Unordered = Annotated[Asked, Depends(unordered)]
RecordType = Annotated[str, Path(description="The record type, case included", examples=["*-LOG-Trip"])]

_AT: Final = datetime(2026, 11, 22, 19, 12, 23, tzinfo=UTC)
_TRIP: Final = HistoryRecord(_AT, 5, b"1,48.208493,16.373118,171,12.4,0.8,35")
_TOLD: Final = HistoryRecord(_AT, 4711, b"I,Vehicle is charging\rSOC: 75%")
_STATE: Final = Sample(_AT, b"62.5,K,231,15,charging,standard,251,228,16,41,0,27")
_TYPE: Final = RecordTypeSummary("*-LOG-Trip", 17, 26, 3090, _AT, _AT)
_DAY: Final = Day(_AT.date(), 10_240, 81_920, 20_480, 4_096)

_LINK: Final = {"Link": {"description": 'The next page, `rel="next"`, where there is one', "schema": {"type": "string"}}}
_TAG: Final = {"ETag": {"description": "What this answer is made from", "schema": {"type": "string"}}}


def _declare(item: dict[str, Any], columns: tuple[str, ...] = (), *, is_paged: bool = True) -> dict[int | str, dict[str, Any]]:
    """The answers of a list of such items, as CSV and as lines of JSON too where it has columns."""
    page = {"items": [_plain(item)]} | ({"next": None} if is_paged else {})
    content: dict[str, Any] = {"application/json": {"example": page}}
    if columns:
        text = {"type": "string"}
        content[CSV] = {"schema": text, "example": (write_csv_head(columns) + write_csv([item])).decode()}
        content[NDJSON] = {"schema": text, "example": write_ndjson([item]).decode()}
    headers = _TAG | (_LINK if is_paged else {})
    unchanged = {"description": "The answer is the one that If-None-Match names", "headers": _TAG}
    errors = (VehicleUnknown, *((NotAcceptable,) if columns else ()), InvalidRequest)
    return {200: {"headers": headers, "content": content}, 304: unchanged, **problems(*errors)}


def _plain(item: Mapping[str, Any]) -> Any:
    return orjson.loads(orjson.dumps(item, option=orjson.OPT_UTC_Z))


_RECORD_COLUMNS: Final = tuple(render_record(_TRIP))
_NOTIFICATION_COLUMNS: Final = tuple(render_notification(_TOLD, with_positions=True))
_STATE_COLUMNS: Final = tuple(render_state(_STATE))


@router.get(
    "/history",
    summary="What is stored, by record type",
    response_model=HistorySummary,
    response_description="A summary of each record type",
    responses=_declare(render_type(_TYPE)),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_history_summary",
)
async def summary(request: Request, reach: Recorded, asked: Unordered, pool: PoolDep) -> Response:
    """Return what is stored of each record type of the vehicle, in the order of their names.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/history`
    """
    limit = asked.limit or USUAL
    after = asked.after(str) or ("",)
    found = await list_types(pool, reach.vehicle.key, asked.part, str(after[0]), limit + 1)
    following: Key | None = (found[limit - 1].record_type,) if len(found) > limit else None
    return page_answer(
        request,
        {"items": [render_type(one) for one in found[:limit]], "next": following and write_cursor(following)},
        *([(b"link", asked.link(following))] if following else []),
    )


@router.get(
    "/history/{record_type:path}",
    summary="Records of one type",
    response_model=HistoryPage,
    response_description="The records",
    responses=_declare(render_record(_TRIP), _RECORD_COLUMNS),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_history_records",
)
async def records(request: Request, record_type: RecordType, reach: Recorded, asked: Oldest, pool: PoolDep) -> Response:
    """Return the records of one type: a page as JSON, or all that was asked for as CSV or as a JSON object a line.

    Types that may tell where the vehicle was need the scope `location` beside `history`. In CSV a text that spreadsheets
    would take for a formula has an apostrophe before it.

    `curl -u demo:demo -H 'Accept: text/csv' 'http://127.0.0.1:6868/api/v1/vehicles/DEMO/history/*-LOG-Trip'`
    """
    if tells_where(record_type) and not reach.may(LOCATION):
        raise InsufficientRights
    listing = _records_of(pool, reach.vehicle.key, record_type, asked, _RECORD_COLUMNS)
    return await answer(request, asked, listing, asked.after(int, int), slot_of(request, reach.caller))


@router.get(
    "/notifications",
    summary="Notifications",
    response_model=NotificationPage,
    response_description="The notifications",
    responses=_declare(render_notification(_TOLD, with_positions=True), _NOTIFICATION_COLUMNS),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_notifications",
)
async def notifications(request: Request, reach: Recorded, asked: Newest, pool: PoolDep) -> Response:
    """Return what the vehicle told its owner, the newest first.

    `curl -u demo:demo 'http://127.0.0.1:6868/api/v1/vehicles/DEMO/notifications?limit=10'`
    """
    listing = _records_of(
        pool,
        reach.vehicle.key,
        NOTIFICATIONS,
        asked,
        _NOTIFICATION_COLUMNS,
        partial(render_notification, with_positions=reach.may(LOCATION)),
    )
    return await answer(request, asked, listing, asked.after(int, int), slot_of(request, reach.caller))


@router.get(
    "/state/history",
    summary="How battery and charge were",
    response_model=StatePage,
    response_description="Samples of the state",
    responses=_declare(render_state(_STATE), _STATE_COLUMNS),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_state_history",
)
async def states(request: Request, reach: Recorded, asked: Oldest, pool: PoolDep) -> Response:
    """Return samples of the state of battery and charge, taken at most once a minute and kept for `OVMS_TRACK_DAYS` days.

    `curl -u demo:demo -H 'Accept: text/csv' http://127.0.0.1:6868/api/v1/vehicles/DEMO/state/history`
    """
    db, key = pool, reach.vehicle.key

    async def read(after: Key | None, limit: int) -> tuple[list[Sample], bool]:
        last = None if after is None else read_micros(int(after[0]))
        return await read_samples(db, key, State.code, asked.part, last, limit)

    listing = Listing(_STATE_COLUMNS, read, lambda sample: (write_micros(sample.recorded_at),), render_state)
    return await answer(request, asked, listing, asked.after(int), slot_of(request, reach.caller))


@router.get(
    "/traffic",
    summary="Bytes carried, a day",
    response_model=Traffic,
    response_description="The days",
    responses=_declare(render_day(_DAY), is_paged=False),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_traffic",
)
async def traffic(
    request: Request,
    reach: Readable,
    pool: PoolDep,
    days: Annotated[int, Query(ge=1, le=DAYS, description="How many days with traffic, at most")] = 90,
) -> Response:
    """Return how many bytes the vehicle and its apps were sent and have sent, the newest day first.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/traffic`
    """
    found = await read_traffic(pool, reach.vehicle.key, days=days)
    return page_answer(request, {"items": [render_day(day) for day in found]})


def _records_of(
    db: Pool,
    vehicle: int,
    record_type: str,
    asked: Asked,
    columns: tuple[str, ...],
    render: Any = render_record,
) -> Listing[HistoryRecord]:
    async def read(after: Key | None, limit: int) -> tuple[list[HistoryRecord], bool]:
        last = None if after is None else (read_micros(int(after[0])), int(after[1]))
        return await read_part(db, vehicle, record_type, asked.part, last, limit)

    return Listing(columns, read, lambda record: (write_micros(record.recorded_at), record.number), render)
