"""Links: a vehicle shown to whoever has its address, until it ends."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.issuing import issue
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import ClockDep, PoolDep, RevocationsDep
from api_gateway.errors import TooMany
from api_gateway.refusals import ROOT
from api_gateway.shared.page import PAGE
from api_gateway.trail import note
from api_gateway.v1.account.tokens import check_end
from api_gateway.v1.answers import created, done, json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, LinkUnknown, VehicleUnknown
from api_gateway.v1.fields import Instant, Wanted, permit_of
from api_gateway.v1.reach import Own
from ovms.auth.rights import LOCATION, READ, allows
from ovms.db.tokens import ApiToken, delete_link, identify, list_links
from ovms.identity import fold_vehicle_id

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}/links", tags=["account"])

LONGEST: Final = timedelta(days=366)

Identifier = Annotated[str, Path(description="The link's identifier, from the list", examples=["c0ffee0123456789"])]

_EXAMPLE: Final = {
    "identifier": "c0ffee0123456789",
    "location": False,
    "created_at": "2026-11-22T19:12:23Z",
    "last_used_at": None,
    "expires_at": "2026-11-23T19:12:23Z",
}


class LinkWanted(Wanted):
    """A link to be made."""

    location: Annotated[bool, Field(description="Whether it shows where the vehicle is")] = False
    expires_at: Annotated[Instant, Field(description="When it ends, within a year")]


class Link(BaseModel):
    """A link as it is listed."""

    identifier: Annotated[str, Field(description="By which it is deleted")]
    location: Annotated[bool, Field(description="Whether it shows where the vehicle is")]
    created_at: datetime
    last_used_at: Annotated[datetime | None, Field(description="null: never")]
    expires_at: datetime


class NewLink(Link):
    """A link, and its address, this once."""

    path: Annotated[str, Field(description="At this server; what stands behind # no server is ever told")]


class Links(BaseModel):
    """The links to a vehicle."""

    items: Annotated[list[Link], Field(description="The oldest first, those that have ended among them")]


@router.get(
    "",
    summary="The links to a vehicle",
    response_model=Links,
    response_description="The links",
    responses={200: {"content": {"application/json": {"example": {"items": [_EXAMPLE]}}}}, **problems(VehicleUnknown)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_links",
)
async def list_all(reach: Own, pool: PoolDep) -> Response:
    """Return the links to your vehicle.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/links`
    """
    links = await list_links(pool, reach.caller.owner_id, reach.vehicle.key)
    return json_answer({"items": [_render(link) for link in links]})


@router.post(
    "",
    status_code=201,
    summary="Make a link to a vehicle",
    response_model=NewLink,
    response_description="The link; its address is shown this once",
    responses={
        201: {"content": {"application/json": {"example": {**_EXAMPLE, "path": f"{PAGE}#8f2ad1…64 hexadecimal digits"}}}},
        **problems(VehicleUnknown, TooMany, InvalidRequest),
    },
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_make_link",
)
async def make(wanted: LinkWanted, reach: Own, clock: ClockDep, pool: PoolDep) -> Response:
    """Make the address of a page that shows your vehicle as it is now, with no way to change anything, until the link ends.
    Where it is shows only with `location`. The secret stands behind the `#`, where browsers keep it to themselves.

    `curl -u demo:demo -H 'Content-Type: application/json' -d '{"expires_at": "2027-01-01T00:00:00Z"}'
    http://127.0.0.1:6868/api/v1/vehicles/DEMO/links`
    """
    caller, vehicle = reach.caller, reach.vehicle
    if wanted.expires_at.timestamp() > clock() + LONGEST.total_seconds():
        raise InvalidRequest.of("expires_at", f"It is more than {LONGEST.days} days away")
    scopes = [READ, LOCATION] if wanted.location else [READ]
    async with pool.acquire() as connection, connection.transaction():
        await check_end(connection, caller, wanted.expires_at, clock)
        token = await issue(
            connection, caller, permit_of(scopes), application="link", purpose="", expires_at=wanted.expires_at,
            vehicles=[fold_vehicle_id(vehicle.vehicle_id)], link=vehicle.key,
        )  # fmt: skip
        identifier = identify(token)
        detail = {"link": identifier, "scopes": scopes}
        await note(connection, caller, "link.create", vehicle_id=vehicle.vehicle_id, detail=detail)
        links = {one.identifier: one for one in await list_links(connection, caller.owner_id, vehicle.key)}
    location = f"{ROOT}/vehicles/{vehicle.vehicle_id}/links/{identifier}"
    return created({**_render(links[identifier]), "path": f"{PAGE}#{token}"}, location)


@router.delete(
    "/{identifier}",
    status_code=204,
    summary="Delete a link",
    response_class=Response,
    response_description="It shows nothing any more",
    responses=problems(VehicleUnknown, LinkUnknown),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_delete_link",
)
async def delete(identifier: Identifier, reach: Own, pool: PoolDep, revocations: RevocationsDep) -> Response:
    """Delete a link. It shows nothing any more, at once.

    `curl -u demo:demo -X DELETE http://127.0.0.1:6868/api/v1/vehicles/DEMO/links/c0ffee0123456789`
    """
    async with pool.acquire() as connection, connection.transaction():
        if "\0" in identifier or not await delete_link(connection, reach.caller.owner_id, reach.vehicle.key, identifier):
            raise LinkUnknown
        detail = {"link": identifier}
        await note(connection, reach.caller, "link.delete", vehicle_id=reach.vehicle.vehicle_id, detail=detail)
    await revocations.publish(reach.caller.owner_id)
    return done()


def _render(link: ApiToken) -> dict[str, Any]:
    return {
        "identifier": link.identifier,
        "location": allows(link.permit, LOCATION),
        "created_at": link.created_at,
        "last_used_at": link.used_at,
        "expires_at": link.expires_at,
    }
