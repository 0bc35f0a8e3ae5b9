"""Sharing a vehicle with another owner."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import ClockDep, PoolDep, RevocationsDep
from api_gateway.errors import InsufficientRights, TooMany
from api_gateway.refusals import ROOT
from api_gateway.trail import note
from api_gateway.v1.answers import done, json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, ShareUnknown, VehicleUnknown
from api_gateway.v1.fields import Instant, Wanted, check_future, permit_of, scopes_of
from api_gateway.v1.reach import Own, Reach, reaching
from ovms.account_rules import check_owner_name
from ovms.auth.rights import ADMIN
from ovms.db.accounts import lock_account
from ovms.db.shares import Share, change_share, end_share, find_share, list_shares, may_offer, offer_share, withdraw_offer
from ovms.errors import IdentityError

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}/shares", tags=["account"])

SharedScope = Literal["read", "location", "history", "control"]
OwnerName = Annotated[str, Path(description="The other owner's name; case does not matter", examples=["bob"])]

_EXAMPLE: Final = {
    "owner": "bob",
    "scopes": ["read", "location"],
    "created_at": "2026-11-22T19:12:23Z",
    "expires_at": "2026-12-24T00:00:00Z",
    "accepted_at": None,
}


class ShareWanted(Wanted):
    """For what a vehicle is to be shared."""

    scopes: Annotated[list[SharedScope], Field(min_length=1, max_length=4, description="What the other may")]
    expires_at: Annotated[Instant | None, Field(description="When it ends; null: not by itself")] = None


class SharedWith(BaseModel):
    """With whom a vehicle is shared, and for what."""

    owner: Annotated[str, Field(description="The other owner's name")]
    scopes: Annotated[list[SharedScope], Field(description="What he may")]
    created_at: Annotated[datetime, Field(description="Since when")]
    expires_at: Annotated[datetime | None, Field(description="Until when; null: it does not end by itself")]
    accepted_at: Annotated[datetime | None, Field(description="When the other owner accepted; null: it is an offer")]


class Shares(BaseModel):
    """With whom a vehicle is shared."""

    items: Annotated[list[SharedWith], Field(description="By name")]


@router.get(
    "",
    summary="With whom a vehicle is shared",
    response_model=Shares,
    response_description="The shares",
    responses={200: {"content": {"application/json": {"example": {"items": [_EXAMPLE]}}}}, **problems(VehicleUnknown)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_shares",
)
async def list_all(reach: Own, pool: PoolDep) -> Response:
    """List the vehicle's shares, including expired ones, and the offers that wait to be accepted.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/shares`
    """
    return json_answer({"items": [_render(share) for share in await list_shares(pool, reach.vehicle.key)]})


@router.put(
    "/{owner}",
    summary="Share a vehicle",
    response_model=SharedWith,
    response_description="The share, or the offer of one",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problems(VehicleUnknown, TooMany, InvalidRequest),
    },
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_share",
)
async def put(
    owner: OwnerName, wanted: ShareWanted, reach: Own, clock: ClockDep, pool: PoolDep, revocations: RevocationsDep
) -> Response:
    """Offer to share your vehicle with another owner, or change a share. The other owner reaches the vehicle once the offer is
    accepted (`PUT /api/v1/account/shares/{vehicle}`), within 30 days, and may do in the typed API what the scopes say. A change
    of an accepted share holds at once. The answer does not depend on whether an owner has the name.

    `curl -u demo:demo -X PUT -H 'Content-Type: application/json' -d '{"scopes": ["read"]}'
    http://127.0.0.1:6868/api/v1/vehicles/DEMO/shares/bob`
    """
    check_future(wanted.expires_at, clock())
    _check_name(owner)
    if owner.lower() == reach.caller.login.owner.lower():
        raise _wrong_name("The vehicle is your own")
    vehicle, permit, expires_at = reach.vehicle.key, permit_of(wanted.scopes), wanted.expires_at
    async with pool.acquire() as connection, connection.transaction():
        await lock_account(connection, reach.caller.owner_id)
        former = await find_share(connection, vehicle, owner)
        changed = await change_share(connection, vehicle, owner, permit=permit, expires_at=expires_at)
        if changed is not None:
            share, other = changed
        else:
            if former is None and not await may_offer(connection, vehicle, reach.caller.owner_id, owner):
                raise TooMany
            share, other = await offer_share(connection, vehicle, owner, permit=permit, expires_at=expires_at), None
        if share != former:
            await _note(connection, reach, "share.put", reach.caller.owner_id, share.owner, scopes=permit.split(","))
    if other is not None:
        await revocations.publish(other)  # the share may be for less than before
    return json_answer(_render(share))


@router.delete(
    "/{owner}",
    status_code=204,
    summary="End a share",
    response_class=Response,
    response_description="It has ended",
    responses=problems(VehicleUnknown, ShareUnknown),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_end_share",
)
async def delete(
    owner: OwnerName, reach: Annotated[Reach, Depends(reaching())], pool: PoolDep, revocations: RevocationsDep
) -> Response:
    """End a share, or withdraw an offer. The other owner can end a share too.

    `curl -u demo:demo -X DELETE http://127.0.0.1:6868/api/v1/vehicles/DEMO/shares/bob`
    """
    _check_may_end(reach, owner)
    async with pool.acquire() as connection, connection.transaction():
        other = await end_share(connection, reach.vehicle.key, owner) if is_owner_name(owner) else None
        if other is not None:
            for concerned in (reach.vehicle.owner_id, other):
                await _note(connection, reach, "share.delete", concerned, owner)
        elif not (is_owner_name(owner) and await withdraw_offer(connection, reach.vehicle.key, owner)):
            raise ShareUnknown
        else:
            await _note(connection, reach, "share.delete", reach.vehicle.owner_id, owner)
    if other is not None:
        await revocations.publish(other)
    return done()


def is_owner_name(name: str) -> bool:
    """Whether an owner can have this name."""
    try:
        check_owner_name(name)
    except IdentityError:
        return False
    return True


def _check_name(name: str) -> None:
    if not is_owner_name(name):
        raise _wrong_name("No owner can have this name")


def _wrong_name(detail: str) -> InvalidRequest:
    return InvalidRequest({"pointer": "#/path/owner", "detail": detail})


def _check_may_end(reach: Reach, other: str) -> None:
    """Allow the vehicle's owner to end a share, and the owner with whom it is shared, each with a credential for everything."""
    is_owner = reach.vehicle.owner_id == reach.caller.owner_id
    leaves = other.lower() == reach.caller.login.owner.lower()
    if not (reach.caller.may(ADMIN) and (is_owner or leaves)):
        raise InsufficientRights


async def _note(connection: Any, reach: Reach, action: str, concerned: int, other: str, **more: Any) -> None:
    vehicle_id, detail = reach.vehicle.vehicle_id, {"with": other, **more}
    await note(connection, reach.caller, action, owner_id=concerned, vehicle_id=vehicle_id, detail=detail)


def _render(share: Share) -> dict[str, Any]:
    return {
        "owner": share.owner,
        "scopes": scopes_of(share.permit),
        "created_at": share.created_at,
        "expires_at": share.expires_at,
        "accepted_at": share.accepted_at,
    }
