"""The caller's API tokens: keys for programs, each for as little as that needs."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from api_gateway.auth.authenticator import Caller
from api_gateway.auth.issuing import issue, latest_end
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import AccountAdmin, Clock, ClockDep, PoolDep, RevocationsDep
from api_gateway.errors import TooMany
from api_gateway.refusals import ROOT
from api_gateway.trail import note
from api_gateway.v1.answers import created, done, json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, TokenUnknown
from api_gateway.v1.fields import Instant, Scope, ShortText, Wanted, check_future, permit_of, scopes_of
from ovms.auth.rights import SCOPES
from ovms.db.engine import Database
from ovms.db.reach import list_reached
from ovms.db.tokens import ApiToken, delete_own_token, identify, list_own_tokens
from ovms.identity import fold_vehicle_id

router = APIRouter(prefix=f"{ROOT}/account/tokens", tags=["account"])

LONGEST_LIFETIME: Final = 100 * 366 * 86_400

Identifier = Annotated[str, Path(description="The token's identifier, from the list", examples=["c0ffee0123456789"])]

_EXAMPLE: Final = {
    "identifier": "c0ffee0123456789",
    "application": "evcc",
    "purpose": "charging",
    "scopes": ["read"],
    "vehicles": ["DEMO"],
    "created_at": "2026-11-22T19:12:23Z",
    "last_used_at": None,
    "expires_at": "2027-11-22T19:12:23Z",
}


class TokenWanted(Wanted):
    """A token to be made."""

    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES), description="What it may")]
    application: Annotated[ShortText, Field(description="What it is for")] = ""
    purpose: Annotated[ShortText, Field(description="What that does with it")] = ""
    vehicles: Annotated[
        list[ShortText] | None, Field(min_length=1, max_length=64, description="Those that it is for; null: all, also new ones")
    ] = None
    expires_at: Annotated[Instant | None, Field(description="When it ends; null: not by itself")] = None
    lifetime: Annotated[int | None, Field(gt=0, le=LONGEST_LIFETIME, description="The same in seconds from now")] = None

    @model_validator(mode="after")
    def _has_one_end(self) -> Self:
        if self.expires_at is not None and self.lifetime is not None:
            raise ValueError("Give expires_at or lifetime, not both")
        return self

    def end(self, now: float) -> datetime | None:
        """When it is to end."""
        if self.lifetime is None:
            return self.expires_at
        return datetime.fromtimestamp(now, UTC) + timedelta(seconds=self.lifetime)


class Token(BaseModel):
    """A token as it is listed."""

    identifier: Annotated[str, Field(description="By which it is deleted")]
    application: str
    purpose: str
    scopes: Annotated[list[Scope], Field(description="What it may")]
    vehicles: Annotated[list[str] | None, Field(description="Those that it is for; null: all")]
    created_at: datetime
    last_used_at: Annotated[datetime | None, Field(description="null: never")]
    expires_at: Annotated[datetime | None, Field(description="null: it does not end by itself")]


class NewToken(Token):
    """A token, and its text, this once."""

    token: Annotated[str, Field(description="It serves as a bearer token, and as its owner's password")]


class Tokens(BaseModel):
    """The caller's tokens."""

    items: Annotated[list[Token], Field(description="The oldest first")]


@router.get(
    "",
    summary="Your tokens",
    response_model=Tokens,
    response_description="The tokens",
    responses={200: {"content": {"application/json": {"example": {"items": [_EXAMPLE]}}}}, **problems()},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_tokens",
)
async def list_all(caller: AccountAdmin, pool: PoolDep) -> Response:
    """Return your API tokens, what each may and when it was used last. Links to vehicles are listed with those.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/account/tokens`
    """
    return json_answer({"items": [_render(token) for token in await list_own_tokens(pool, caller.owner_id)]})


@router.post(
    "",
    status_code=201,
    summary="Make a token",
    response_model=NewToken,
    response_description="The token; its text is shown this once",
    responses={
        201: {"content": {"application/json": {"example": {**_EXAMPLE, "token": "8f2ad1…64 hexadecimal digits"}}}},
        **problems(InvalidRequest, TooMany),
    },
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_make_token",
)
async def make(wanted: TokenWanted, caller: AccountAdmin, pool: PoolDep, clock: ClockDep) -> Response:
    """Make an API token that may do what its scopes say, with the vehicles named, for the time given. It may never do more
    than the credential that makes it: one that ends makes none that ends later.

    `curl -u demo:demo -H 'Content-Type: application/json' -d '{"scopes": ["read"], "lifetime": 86400}'
    http://127.0.0.1:6868/api/v1/account/tokens`
    """
    async with pool.acquire() as connection, connection.transaction():
        vehicles = await _vehicles(connection, caller, wanted.vehicles)
        expires_at = wanted.end(clock())
        await check_end(connection, caller, expires_at, clock)
        token = await issue(
            connection, caller, permit_of(wanted.scopes), application=wanted.application, purpose=wanted.purpose,
            vehicles=vehicles, expires_at=expires_at,
        )  # fmt: skip
        identifier = identify(token)
        detail = {"token": identifier, "scopes": wanted.scopes, "vehicles": vehicles, "application": wanted.application}
        await note(connection, caller, "token.create", detail=detail)
        listed = {one.identifier: one for one in await list_own_tokens(connection, caller.owner_id)}
    return created({**_render(listed[identifier]), "token": token}, f"{router.prefix}/{identifier}")


@router.delete(
    "/{identifier}",
    status_code=204,
    summary="Delete a token",
    response_class=Response,
    response_description="It is dead",
    responses=problems(TokenUnknown),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_delete_token",
)
async def delete(identifier: Identifier, caller: AccountAdmin, pool: PoolDep, revocations: RevocationsDep) -> Response:
    """Delete a token. It is dead at once, and so are sessions that were begun with it.

    `curl -u demo:demo -X DELETE http://127.0.0.1:6868/api/v1/account/tokens/c0ffee0123456789`
    """
    async with pool.acquire() as connection, connection.transaction():
        if "\0" in identifier or not await delete_own_token(connection, caller.owner_id, identifier):
            raise TokenUnknown
        await note(connection, caller, "token.delete", detail={"token": identifier})
    await revocations.publish(caller.owner_id)
    return done()


async def check_end(db: Database, caller: Caller, wanted: datetime | None, clock: Clock) -> None:
    """Refuse an end that has passed, or that is after the end of the token that asks."""
    check_future(wanted, clock())
    latest = await latest_end(db, caller)
    if latest is not None and wanted is not None and wanted > latest:
        raise InvalidRequest.of("expires_at", "It is later than the end of the token that asks")


async def _vehicles(db: Database, caller: Caller, wanted: list[str] | None) -> list[str] | None:
    if wanted is None:
        return None
    folded = sorted({fold_vehicle_id(vehicle_id) for vehicle_id in wanted})
    reached = await list_reached(db, caller.owner_id, folded)
    if len(reached) < len(folded):
        raise InvalidRequest.of("vehicles", "Not each of them is yours or shared with you")
    return folded


def _render(token: ApiToken) -> dict[str, Any]:
    """A token as it is listed."""
    return {
        "identifier": token.identifier,
        "application": token.application,
        "purpose": token.purpose,
        "scopes": scopes_of(token.permit),
        "vehicles": token.vehicles,
        "created_at": token.created_at,
        "last_used_at": token.used_at,
        "expires_at": token.expires_at,
    }
