"""The caller's vehicles."""

from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import PoolDep, PresenceDep, Reader
from api_gateway.refusals import ROOT
from api_gateway.v1.answers import json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import VehicleUnknown
from api_gateway.v1.reach import Readable
from ovms.auth.rights import READ, allows
from ovms.bus.presence import Peers
from ovms.db.reach import Reached, list_reached

router = APIRouter(prefix=f"{ROOT}/vehicles", tags=["typed state"])

_EXAMPLE: Final = {"id": "DEMO", "owner": "demo", "connected": True, "apps": 1, "batch_clients": 0}


class Vehicle(BaseModel):
    """A vehicle and who is connected to it."""

    id: Annotated[str, Field(description="As its owner spells it")]
    owner: Annotated[str, Field(description="The name of its owner, who may share it with you")]
    connected: Annotated[bool, Field(description="Whether the car is connected")]
    apps: Annotated[int, Field(ge=0, description="Apps that are connected, HTTP sessions among them")]
    batch_clients: Annotated[int, Field(ge=0, description="Batch clients that are connected")]


class Vehicles(BaseModel):
    """The caller's vehicles."""

    items: Annotated[list[Vehicle], Field(description="In the order of their ids")]


@router.get(
    "",
    summary="Your vehicles",
    response_model=Vehicles,
    response_description="The vehicles",
    responses={200: {"content": {"application/json": {"example": {"items": [_EXAMPLE]}}}}, **problems()},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_vehicles",
)
async def list_all(caller: Reader, pool: PoolDep, presence: PresenceDep) -> Response:
    """Return your vehicles and those that others share with you, and who is connected to each.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles`
    """
    found = await list_reached(pool, caller.owner_id, caller.login.vehicles)
    readable = [vehicle for vehicle in found if allows(vehicle.permit, READ)]
    counts = await presence.counts([vehicle.name for vehicle in readable])
    return json_answer({"items": [_render(*vehicle) for vehicle in zip(readable, counts, strict=True)]})


@router.get(
    "/{vehicle_id}",
    summary="One vehicle",
    response_model=Vehicle,
    response_description="The vehicle",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}, **problems(VehicleUnknown)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_vehicle",
)
async def read_one(reach: Readable, presence: PresenceDep) -> Response:
    """Return a vehicle and who is connected to it. This does not connect you: cars report no faster for it.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO`
    """
    (peers,) = await presence.counts([reach.vehicle.name])
    return json_answer(_render(reach.vehicle, peers))


def _render(vehicle: Reached, peers: Peers) -> dict[str, object]:
    return {
        "id": vehicle.vehicle_id,
        "owner": vehicle.owner,
        "connected": bool(peers.car),
        "apps": peers.apps,
        "batch_clients": peers.batch,
    }
