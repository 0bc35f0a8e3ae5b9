"""Shares of other owners' vehicles: listing, accepting, declining and leaving them."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.authenticator import Caller
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import AccountAdmin, PoolDep, RevocationsDep
from api_gateway.refusals import ROOT
from api_gateway.trail import note
from api_gateway.v1.account.shares import SharedScope
from api_gateway.v1.answers import done, json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import ShareUnknown
from api_gateway.v1.fields import scopes_of
from ovms.db.reach import find_reached
from ovms.db.shares import (
    IncomingShare,
    accept_share,
    decline_share,
    end_share,
    find_incoming_share,
    list_incoming_shares,
)
from ovms.identity import VEHICLE_ID

router = APIRouter(prefix=f"{ROOT}/account/shares", tags=["account"])

SharedVehicle = Annotated[str, Path(description="The vehicle's id; case does not matter", examples=["ALICECAR"])]

_EXAMPLE: Final = {
    "vehicle": "ALICECAR",
    "owner": "alice",
    "scopes": ["read", "location"],
    "created_at": "2026-11-22T19:12:23Z",
    "expires_at": None,
    "accepted_at": None,
}


class SharedBy(BaseModel):
    """A share of another owner's vehicle, or the offer of one."""

    vehicle: Annotated[str, Field(description="The vehicle's id")]
    owner: Annotated[str, Field(description="The name of the vehicle's owner")]
    scopes: Annotated[list[SharedScope], Field(description="What you may do with it")]
    created_at: Annotated[datetime, Field(description="When it was offered; of a share, since when it holds")]
    expires_at: Annotated[datetime | None, Field(description="When the share ends; null: it does not end by itself")]
    accepted_at: Annotated[datetime | None, Field(description="When you accepted it; null: it is an offer")]


class IncomingShares(BaseModel):
    """Shares of other owners' vehicles, and offers of some."""

    items: Annotated[list[SharedBy], Field(description="By vehicle id")]


@router.get(
    "",
    summary="List incoming shares",
    response_model=IncomingShares,
    response_description="The shares and offers",
    responses={200: {"content": {"application/json": {"example": {"items": [_EXAMPLE]}}}}, **problems()},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_incoming_shares",
)
async def list_all(caller: AccountAdmin, pool: PoolDep) -> Response:
    """List the vehicles that other owners share with you, and those that they offer. You reach a vehicle once you accept it.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/account/shares`
    """
    found = await list_incoming_shares(pool, caller.owner_id, caller.login.owner)
    return json_answer({"items": [_render(share) for share in found]})


@router.put(
    "/{vehicle}",
    summary="Accept a share",
    response_model=SharedBy,
    response_description="The share",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE | {"accepted_at": "2026-11-23T08:00:00Z"}}}},
        **problems(ShareUnknown),
    },
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_accept_share",
)
async def accept(vehicle: SharedVehicle, caller: AccountAdmin, pool: PoolDep) -> Response:
    """Accept the offer of a share: the vehicle is among yours from now on. Accepting it again changes nothing.

    `curl -u bob:geheim-1 -X PUT http://127.0.0.1:6868/api/v1/account/shares/ALICECAR`
    """
    _check_id(vehicle)
    async with pool.acquire() as connection, connection.transaction():
        accepted = await accept_share(connection, caller.owner_id, caller.login.owner, vehicle)
        if accepted is not None:
            share, owner_id = accepted
            await _note(connection, caller, "share.accept", share.vehicle_id, caller.owner_id, owner_id)
        elif (found := await find_incoming_share(connection, caller.owner_id, vehicle)) is not None:
            share = found
        else:
            raise ShareUnknown
    return json_answer(_render(share))


@router.delete(
    "/{vehicle}",
    status_code=204,
    summary="Decline a share",
    response_class=Response,
    response_description="It is declined",
    responses=problems(ShareUnknown),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_decline_share",
)
async def decline(vehicle: SharedVehicle, caller: AccountAdmin, pool: PoolDep, revocations: RevocationsDep) -> Response:
    """Decline the offer of a share, or end a share that you accepted. The vehicle's owner is not notified.

    `curl -u bob:geheim-1 -X DELETE http://127.0.0.1:6868/api/v1/account/shares/ALICECAR`
    """
    _check_id(vehicle)
    async with pool.acquire() as connection, connection.transaction():
        is_declined = await decline_share(connection, caller.login.owner, vehicle)
        reached = await find_reached(connection, caller.owner_id, vehicle)
        if reached is not None and await end_share(connection, reached.key, caller.login.owner) is not None:
            await _note(connection, caller, "share.delete", reached.vehicle_id, caller.owner_id, reached.owner_id)
        elif not is_declined:
            raise ShareUnknown
    await revocations.publish(caller.owner_id)
    return done()


def _check_id(vehicle_id: str) -> None:
    if not VEHICLE_ID.match(vehicle_id):
        raise ShareUnknown


async def _note(connection: Any, caller: Caller, action: str, vehicle_id: str, *concerned: int) -> None:
    for owner_id in concerned:
        detail = {"with": caller.login.owner}
        await note(connection, caller, action, owner_id=owner_id, vehicle_id=vehicle_id, detail=detail)


def _render(share: IncomingShare) -> dict[str, Any]:
    return {
        "vehicle": share.vehicle_id,
        "owner": share.owner,
        "scopes": scopes_of(share.permit),
        "created_at": share.created_at,
        "expires_at": share.expires_at,
        "accepted_at": share.accepted_at,
    }
