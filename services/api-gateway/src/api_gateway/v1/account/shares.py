"""Sharing a vehicle with another owner."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import ResourcesDep
from api_gateway.errors import InsufficientRights, TooMany
from api_gateway.refusals import ROOT
from api_gateway.trail import note
from api_gateway.v1.answers import done, json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, OwnerUnknown, ShareUnknown, VehicleUnknown
from api_gateway.v1.fields import Instant, Wanted, check_future, permit_of, scopes_of
from api_gateway.v1.reach import Own, Reach, reaching
from ovms.auth.rights import ADMIN
from ovms.db.accounts import Account, find_account, lock_account
from ovms.db.shares import MOST_SHARES, Share, count_other_shares, end_share, list_shares, put_share

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}/shares", tags=["account"])

SharedScope = Literal["read", "location", "history", "control"]
OwnerName = Annotated[str, Path(description="The other owner's name; case does not matter", examples=["bob"])]

_EXAMPLE: Final = {
    "owner": "bob",
    "scopes": ["read", "location"],
    "created_at": "2026-11-22T19:12:23Z",
    "expires_at": "2026-12-24T00:00:00Z",
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
async def list_all(reach: Own, resources: ResourcesDep) -> Response:
    """Return with whom your vehicle is shared and for what, shares that have ended among them.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/shares`
    """
    return json_answer({"items": [_render(share) for share in await list_shares(resources.pool, reach.vehicle.key)]})


@router.put(
    "/{owner}",
    summary="Share a vehicle",
    response_model=SharedWith,
    response_description="The share",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problems(VehicleUnknown, OwnerUnknown, TooMany, InvalidRequest),
    },
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_share",
)
async def put(owner: OwnerName, wanted: ShareWanted, reach: Own, resources: ResourcesDep) -> Response:
    """Share your vehicle with another owner, or change for what. He sees it in the typed API, beside his own, and may do there
    what the scopes say; where it is only with `location`.

    `curl -u demo:demo -X PUT -H 'Content-Type: application/json' -d '{"scopes": ["read"]}'
    http://127.0.0.1:6868/api/v1/vehicles/DEMO/shares/bob`
    """
    check_future(wanted.expires_at, resources.clock())
    if (other := await find_account(resources.pool, owner)) is None:
        raise OwnerUnknown
    if other.owner_id == reach.caller.owner_id:
        raise InvalidRequest({"pointer": "#/path/owner", "detail": "The vehicle is his own"})
    permit = permit_of(wanted.scopes)
    async with resources.pool.acquire() as connection, connection.transaction():
        await lock_account(connection, reach.caller.owner_id)
        if await count_other_shares(connection, reach.vehicle.key, other.owner_id) >= MOST_SHARES:
            raise TooMany
        since = await put_share(
            connection, reach.vehicle.key, other.owner_id, permit=permit, expires_at=wanted.expires_at
        )  # fmt: skip
        for concerned in (reach.caller.owner_id, other.owner_id):
            await _note(connection, reach, "share.put", concerned, other.name, scopes=permit.split(","))
    await resources.revocations.publish(other.owner_id)  # it may be for less than before
    return json_answer(_render(Share(other.name, permit, since, wanted.expires_at)))


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
    owner: OwnerName, reach: Annotated[Reach, Depends(reaching())], resources: ResourcesDep
) -> Response:  # fmt: skip
    """Share your vehicle with an owner no more. He can end it too.

    `curl -u demo:demo -X DELETE http://127.0.0.1:6868/api/v1/vehicles/DEMO/shares/bob`
    """
    other = await find_account(resources.pool, owner)
    _check_may_end(reach, other)
    if other is None:
        raise ShareUnknown
    async with resources.pool.acquire() as connection, connection.transaction():
        if not await end_share(connection, reach.vehicle.key, other.owner_id):
            raise ShareUnknown
        for concerned in (reach.vehicle.owner_id, other.owner_id):
            await _note(connection, reach, "share.delete", concerned, other.name)
    await resources.revocations.publish(other.owner_id)
    return done()


def _check_may_end(reach: Reach, other: Account | None) -> None:
    """Who may end a share: the vehicle's owner, and with whom it is shared, each with what may do all that he may."""
    is_owner = reach.vehicle.owner_id == reach.caller.owner_id
    leaves = other is not None and other.owner_id == reach.caller.owner_id
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
    }
