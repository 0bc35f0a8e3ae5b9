"""Notices that a vehicle has been silent for hours, and that it is back."""

from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import PoolDep
from api_gateway.refusals import ROOT
from api_gateway.trail import note
from api_gateway.v1.answers import done, json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, VehicleUnknown
from api_gateway.v1.fields import Wanted
from api_gateway.v1.reach import Own
from ovms.db.silence import end_silence_notice, find_silence_notice, put_silence_notice

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}/silence-notice", tags=["account"])

YEAR: Final = 8760
"""Hours."""

_EXAMPLE: Final = {"hours": 24, "silent": False}


class SilenceWanted(Wanted):
    """When the owner is to be notified."""

    hours: Annotated[int, Field(ge=1, le=YEAR, description="Hours of silence before the notice")]


class Silence(BaseModel):
    """When the owner is notified that the vehicle is silent."""

    hours: Annotated[int | None, Field(description="Hours of silence before the notice; null: there is no notice")]
    silent: Annotated[bool, Field(description="Whether the notice was sent, and the vehicle is not back")]


@router.get(
    "",
    summary="Show the silence notice",
    response_model=Silence,
    response_description="The setting",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}, **problems(VehicleUnknown)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_silence_notice",
)
async def show(reach: Own, pool: PoolDep) -> Response:
    """Return after how many hours without a connection of your vehicle you are notified, and whether you were.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/silence-notice`
    """
    found = await find_silence_notice(pool, reach.vehicle.key)
    if found is None:
        return json_answer({"hours": None, "silent": False})
    return json_answer({"hours": found.hours, "silent": found.is_silent})


@router.put(
    "",
    status_code=204,
    summary="Set the silence notice",
    response_class=Response,
    response_description="It is set",
    responses=problems(VehicleUnknown, InvalidRequest),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_set_silence_notice",
)
async def put(wanted: SilenceWanted, reach: Own, pool: PoolDep) -> Response:
    """Be notified once when your vehicle has not been connected for so many hours, and once when it is back. The notifications
    are in the list of the vehicle's notifications, and are pushed to its subscriptions. An outage of the server is no silence:
    there is no notice within 15 minutes after it.

    `curl -u demo:demo -X PUT -H 'Content-Type: application/json' -d '{"hours": 24}'
    http://127.0.0.1:6868/api/v1/vehicles/DEMO/silence-notice`
    """
    async with pool.acquire() as connection, connection.transaction():
        await put_silence_notice(connection, reach.vehicle.key, wanted.hours)
        detail = {"hours": wanted.hours}
        await note(connection, reach.caller, "silence_notice.put", vehicle_id=reach.vehicle.vehicle_id, detail=detail)
    return done()


@router.delete(
    "",
    status_code=204,
    summary="End the silence notice",
    response_class=Response,
    response_description="There is none",
    responses=problems(VehicleUnknown),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_end_silence_notice",
)
async def delete(reach: Own, pool: PoolDep) -> Response:
    """Be notified of your vehicle's silence no longer. Where there is no notice this changes nothing.

    `curl -u demo:demo -X DELETE http://127.0.0.1:6868/api/v1/vehicles/DEMO/silence-notice`
    """
    async with pool.acquire() as connection, connection.transaction():
        if await end_silence_notice(connection, reach.vehicle.key):
            await note(connection, reach.caller, "silence_notice.delete", vehicle_id=reach.vehicle.vehicle_id)
    return done()
