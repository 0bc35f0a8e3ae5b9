"""Where a vehicle was, for maps and for programs that read tracks."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import ClockDep, PoolDep
from api_gateway.pieces import in_pieces, slot_of
from api_gateway.refusals import ROOT
from api_gateway.v1.answers import VARY
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, NotAcceptable, VehicleUnknown
from api_gateway.v1.history.asked import Asked, Cursor, Since, Until, kind_wanted, part_of, query_of
from api_gateway.v1.history.cursors import write_cursor
from api_gateway.v1.history.track.geojson import GeoJson
from api_gateway.v1.history.track.gpx import Gpx
from api_gateway.v1.history.track.plausible import Plausible
from api_gateway.v1.history.track.points import Point, TrackWriter, read_points
from api_gateway.v1.reach import Reach, reaching
from ovms.auth.rights import HISTORY, LOCATION
from ovms.db.engine import Pool
from ovms.db.history import RESOLUTION, Part
from ovms.db.samples import find_last, read_samples
from ovms.records import Location
from ovms.times import read_micros, write_micros

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}", tags=["typed history"])

GEOJSON: Final = "application/geo+json"
GPX: Final = "application/gpx+xml"
JSON: Final = "application/json"

USUAL: Final = 10_000
MOST: Final = 50_000
AT_ONCE: Final = 500
"""Points that are read and written before everybody else has a turn."""

# A sample is written within a moment of its time, and stays as it is.
_SETTLED: Final = timedelta(minutes=1)
_PAST: Final = (b"cache-control", b"private, max-age=3600")
_PRESENT: Final = (b"cache-control", b"private, no-cache")

Tracked = Annotated[Reach, Depends(reaching(LOCATION, HISTORY))]
Points = Annotated[int, Query(ge=1, le=MOST, description="Points, at most")]


async def asked_of_track(
    request: Request, since: Since = None, until: Until = None, limit: Points = USUAL, cursor: Cursor = None
) -> Asked:
    """What is asked of a track."""
    return Asked(part_of(since, until), limit, cursor, request.scope["path"], query_of(since, until, limit))


def _example(writer: TrackWriter) -> str:
    at = datetime(2026, 11, 22, 19, 12, 23, tzinfo=UTC)
    points = [
        Point(at, 48.208493, 16.373118, 171, 48.2, 92),
        Point(at + timedelta(seconds=5), 48.208461, 16.374014, 171, 49.0, 93),
    ]
    return (writer.begin() + writer.add(points) + writer.end()).decode()


_COLLECTION: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Track",
    "description": "RFC 7946; a feature a trip. Its properties have an entry a position each: `times` (RFC 3339), `speeds` "
    "(km/h or null), `directions` (degrees from north or null).",
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {"type": "array", "items": {"type": "object"}},
        "next": {"type": ["string", "null"], "description": "The `cursor` of what follows; null: nothing does"},
    },
    "required": ["type", "features", "next"],
}
_FEATURES: Final = orjson.loads(_example(GeoJson("DEMO", None)))


@router.get(
    "/track",
    summary="Where it was",
    response_class=Response,
    responses={
        200: {
            "description": "The track",
            "headers": {
                "Link": {"description": 'What follows, `rel="next"`, where something does', "schema": {"type": "string"}}
            },
            "content": {
                GEOJSON: {"schema": _COLLECTION, "example": _FEATURES},
                JSON: {"schema": _COLLECTION, "example": _FEATURES},
                GPX: {"schema": {"type": "string"}, "example": _example(Gpx("DEMO"))},
            },
        },
        **problems(VehicleUnknown, NotAcceptable, InvalidRequest),
    },
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_track",
)
async def track(
    request: Request, reach: Tracked, asked: Annotated[Asked, Depends(asked_of_track)], pool: PoolDep, clock: ClockDep
) -> Response:
    """Return where the vehicle was, as GeoJSON or GPX 1.1.

    Positions are sampled while it moves and kept for `OVMS_TRACK_DAYS` days; those that it encrypts are not. Points that no
    vehicle can have driven to, and positions of poor quality while it is parked, are left out. Speeds are converted from the
    unit that the vehicle used at that time. This needs the scopes `location` and `history`.

    `curl -u demo:demo -H 'Accept: application/gpx+xml' http://127.0.0.1:6868/api/v1/vehicles/DEMO/track`
    """
    kind = kind_wanted(request, GEOJSON, GPX, JSON)
    part, following = await _bounded(pool, reach.vehicle.key, asked)
    key = None if following is None else (write_micros(following),)
    vehicle_id = reach.vehicle.vehicle_id
    writer: TrackWriter = Gpx(vehicle_id) if kind == GPX else GeoJson(vehicle_id, None if key is None else write_cursor(key))
    pieces = _pieces(pool, reach.vehicle.key, part, writer)
    headers = [(b"content-type", kind.encode()), *VARY, _PAST if _is_past(part, clock()) else _PRESENT]
    if key is not None:
        headers.append((b"link", asked.link(key)))
    return await in_pieces(request, slot_of(request, reach.caller), pieces, *headers)


async def _bounded(db: Pool, vehicle: int, asked: Asked) -> tuple[Part, datetime | None]:
    """The part that is answered, and the time of its last point where others follow."""
    part, after = asked.part, asked.after(int)
    if after is not None:
        part = replace(part, start=max(part.start, read_micros(int(after[0])) + RESOLUTION))
    last = await find_last(db, vehicle, Location.code, part, asked.limit or USUAL)
    return (part, None) if last is None else (replace(part, end=last + RESOLUTION), last)


def _is_past(part: Part, now: float) -> bool:
    return part.end < datetime.fromtimestamp(now, UTC) - _SETTLED


async def _pieces(db: Pool, vehicle: int, part: Part, writer: TrackWriter) -> AsyncIterator[bytes]:
    head, after, more, plausible = writer.begin(), None, True, Plausible()
    while more:
        samples, more = await read_samples(db, vehicle, Location.code, part, after, AT_ONCE)
        if piece := head + writer.add(plausible.add(read_points(samples))):
            yield piece
        head, after = b"", samples[-1].recorded_at if samples else after
    yield writer.add(plausible.end()) + writer.end()
