"""The owner's vehicles, and connecting to one."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api_gateway.answers import json_answer, json_typed_text
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import ConnectionsDep, PoolDep, Reader, caller_of, parts_of
from api_gateway.errors import AuthenticationFailed, CrossSite, Forbidden, InsufficientRights, ServiceUnavailable, answers
from api_gateway.legacy.declared import INTEGER, STRING, TIME, answer, list_of, record
from api_gateway.legacy.owned import read_owned
from api_gateway.legacy.vehicle_ids import TO_THE_END, VehicleId, check_possible
from ovms.auth.rights import READ
from ovms.bus.presence import Peers
from ovms.db.accounts import find_vehicle
from ovms.identity import VehicleName
from ovms.times import write_seconds

router = APIRouter(prefix="/api", tags=["vehicles"])

_ERRORS: Final = (AuthenticationFailed, Forbidden, InsufficientRights, CrossSite, ServiceUnavailable)
_PEERS: Final = {"v_apps_connected": 1, "v_btcs_connected": 0, "v_net_connected": 1}
_LISTED: Final = {"id": "DEMO", **_PEERS}
_CONNECTED: Final = {"m_msgage_s": 4, "m_msgtime_s": "2026-11-22 19:12:23", **_PEERS, "v_first_peer": 1}


@router.get(
    "/vehicles",
    summary="List the vehicles",
    response_class=Response,
    responses=answer(
        "The owner's vehicles",
        [_LISTED],
        list_of(record({name: STRING if name == "id" else INTEGER for name in _LISTED})),
    )
    | answers(AuthenticationFailed, InsufficientRights, ServiceUnavailable),
    openapi_extra=dict(SIGNED_IN),
)
async def list_all(request: Request) -> Response:
    """Return the owner's vehicles and how many cars (0 or 1), apps and batch clients are connected to each."""
    parts = parts_of(request.scope)
    states, caller = parts.states, await parts.callers.find_claimant(request.scope)
    listed = await states.list_vehicles(caller.owner_id, caller.login.proof)
    if listed is None:
        caller = await caller_of(request)
        listed = await states.list_vehicles(caller.owner_id, caller.login.proof)
    if listed is None:
        raise AuthenticationFailed
    if not caller.may(READ):
        raise InsufficientRights
    reached = [vehicle for vehicle in listed if caller.login.reaches(vehicle.vehicle_id)]
    counts = await parts.presence.counts(reached)
    return json_answer([{"id": vehicle_id, **_legacy(peers)} for (vehicle_id, _), peers in zip(reached, counts, strict=True)])


_CONNECTED_SCHEMA: Final = record({name: TIME if name == "m_msgtime_s" else INTEGER for name in _CONNECTED}, required=False)


@router.get(
    f"/vehicle/{TO_THE_END}",
    summary="Connect to a vehicle",
    response_class=Response,
    responses=answer("Connected", _CONNECTED, _CONNECTED_SCHEMA) | answers(*_ERRORS),
    openapi_extra=dict(SIGNED_IN),
)
async def connect(request: Request, vehicle_id: VehicleId) -> Response:
    """Connect to a vehicle and return who else is connected, and how old its last status is if there is one.

    The caller counts as an app from now on, and the car reports more often. The connection and the session last for six minutes
    (a setting) from the last of these calls; nothing else renews them.
    """
    caller, number, messages = await read_owned(request, vehicle_id, "S", READ)
    parts = parts_of(request.scope)
    parts.callers.check_site(request.scope, caller)
    connected = await parts.connections.connect(caller, VehicleName(vehicle_id, number))
    result: dict[str, str | int] = {**_legacy(connected.peers), "v_first_peer": int(connected.first)}
    if (status := messages.get("S")) is not None:
        result["m_msgtime_s"] = write_seconds(status.received_at)
        result["m_msgage_s"] = max(0, int(parts.clock()) - status.received_at)
    return json_answer(result)


@router.delete(
    f"/vehicle/{TO_THE_END}",
    summary="Disconnect from a vehicle",
    response_class=Response,
    responses=answer("Disconnected; the body is text, whatever its type says", "Disconnect OK\n") | answers(*_ERRORS),
    openapi_extra=dict(SIGNED_IN),
)
async def disconnect(vehicle_id: VehicleId, caller: Reader, pool: PoolDep, connections: ConnectionsDep) -> Response:
    """Disconnect from a vehicle. Optional: signing out and the end of the session do it too."""
    check_possible(caller, vehicle_id)
    vehicle = await find_vehicle(pool, caller.owner_id, vehicle_id)
    if vehicle is None:
        raise Forbidden
    await connections.disconnect(caller, vehicle.name)
    return json_typed_text("Disconnect OK")


def _legacy(peers: Peers) -> dict[str, int]:
    return {"v_apps_connected": peers.apps, "v_btcs_connected": peers.batch, "v_net_connected": peers.car}
