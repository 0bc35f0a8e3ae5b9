"""API tokens: keys for programs, that stand in for the password and may permit less."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from api_gateway.answers import json_answer
from api_gateway.auth.authenticator import Caller
from api_gateway.auth.credentials import presented
from api_gateway.auth.issuing import issue
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import PoolDep, RevocationsDep, holding, with_all
from api_gateway.errors import (
    AuthenticationFailed,
    BadRequest,
    CrossSite,
    InsufficientRights,
    ServiceUnavailable,
    TokenMissing,
    TooMany,
    answers,
)
from api_gateway.legacy.declared import STRING, TIME, answer, list_of, record
from api_gateway.legacy.forms import read_fields
from api_gateway.trail import note
from ovms.auth.credentials import BearerToken, Password
from ovms.db.tokens import delete_token, identify, list_tokens
from ovms.times import write_time

router = APIRouter(prefix="/api/token", tags=["tokens"])

_holder = with_all(holding("token.admin", "admin"))
TokenHolder = Annotated[Caller, Depends(_holder)]
FromQuery = Annotated[str | None, Query(description="In place of the body's field of this name; the body wins")]

LONGEST: Final = 255

_DEFAULTS: Final = {"application": "notspecified", "purpose": "notspecified", "permit": "auth"}
_ERRORS: Final = (AuthenticationFailed, InsufficientRights, CrossSite, ServiceUnavailable)
_NEW: Final = {
    "application": "evcc",
    "owner": "demo",
    "permit": "auth",
    "purpose": "charging",
    "token": "8f2ad1…64 hexadecimal digits",
}
_LISTED: Final = {
    "application": "evcc",
    "created": "2026-11-22 19:12:23",
    "lastused": "2026-11-22 19:40:02",
    "owner": "demo",
    "permit": "auth",
    "purpose": "charging",
    "refreshed": "2026-11-22 19:12:23",
    "token": "c0ffee0123456789",
}
_LISTED_SCHEMA: Final = record({name: TIME if name in ("created", "lastused", "refreshed") else STRING for name in _LISTED})
_FORM: Final = {
    "type": "object",
    "properties": {
        "application": {"type": "string", "maxLength": LONGEST, "default": "notspecified"},
        "purpose": {"type": "string", "maxLength": LONGEST, "default": "notspecified"},
        "permit": {
            "type": "string",
            "maxLength": LONGEST,
            "default": "auth",
            "description": "Rights with commas between (`auth`, `session`, `v2`, `token.admin`, `admin`, …), or `*` for all",
        },
    },
    "example": {"application": "evcc", "purpose": "charging", "permit": "auth"},
}
_BODY: Final = {
    "requestBody": {
        "content": {
            kind: {"schema": _FORM} for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "application/json")
        }
    }
}


@router.get(
    "/{ignored:path}",
    summary="List the API tokens",
    include_in_schema=False,
)
@router.get(
    "",
    summary="List the API tokens",
    response_class=Response,
    responses=answer("The owner's tokens, oldest first", [_LISTED], list_of(_LISTED_SCHEMA)) | answers(*_ERRORS),
    openapi_extra=dict(SIGNED_IN),
)
async def list_all(request: Request, caller: TokenHolder, pool: PoolDep) -> Response:
    """Return the owner's API tokens. Tokens themselves are not kept: `token` is an identifier that DELETE accepts. Only the
    token that the call comes with is listed in full, so that a program finds its own.

    An API token needs the right `token.admin` or `admin`.
    """
    tokens = await list_tokens(pool, caller.owner_id)
    known = {identify(token): token for token in _presented(request)}
    listed = [
        {
            "application": token.application,
            "created": write_time(token.created_at),
            "lastused": write_time(token.last_used_at),
            "owner": caller.login.owner,
            "permit": token.permit,
            "purpose": token.purpose,
            "refreshed": write_time(token.refreshed_at),
            "token": known.get(token.identifier, token.identifier),
        }
        for token in tokens
    ]
    return json_answer(listed)


def _presented(request: Request) -> list[str]:
    """Return what the call came with in the place of a password, which may be a token."""
    _, credential = presented(request.scope["headers"], request.scope["query_string"])
    match credential:
        case Password(_, secret):
            return [secret]
        case BearerToken(token):
            return [token]
        case _:
            return []


@router.post("/{ignored:path}", include_in_schema=False)
@router.post(
    "",
    summary="Create an API token",
    response_class=Response,
    responses=answer("The new token", _NEW, record(dict.fromkeys(_NEW, STRING)), status=201)
    | answers(BadRequest, TooMany, *_ERRORS),
    openapi_extra={**SIGNED_IN, **_BODY},
    status_code=201,
)
async def create(
    caller: TokenHolder,
    pool: PoolDep,
    request: Request,
    application: FromQuery = None,
    purpose: FromQuery = None,
    permit: FromQuery = None,
) -> Response:
    """Make an API token and return it, this once. It serves as the password of its owner, or as a bearer token.

    The fields come in a form, in JSON or in the query; form parts may carry file names. An API token needs the right
    `token.admin` or `admin`.
    """
    # The parameters are declared for the document; `read_fields` reads them as clients really send them.
    content_type = request.headers.get("content-type", "")
    given = read_fields(_DEFAULTS, content_type, await request.body(), request.scope["query_string"])
    fields = _DEFAULTS | given
    if any(len(value) > LONGEST or "\0" in value for value in fields.values()):
        raise BadRequest
    application, purpose, permit = fields["application"], fields["purpose"], fields["permit"]
    async with pool.acquire() as connection, connection.transaction():
        token = await issue(connection, caller, permit, application=application, purpose=purpose)
        detail = {"token": identify(token), "permit": permit, "application": application}
        await note(connection, caller, "token.create", detail=detail)
    return json_answer({**fields, "owner": caller.login.owner, "token": token}, 201)


@router.delete("", include_in_schema=False, dependencies=[Depends(_holder)])
async def delete_none() -> Response:
    """Refuse to delete a token without a name."""
    raise TokenMissing


_DELETED: Final = {"owner": "demo", "token": "c0ffee0123456789"}


@router.delete(
    "/{token:path}",
    summary="Delete an API token",
    response_class=Response,
    responses=answer("The token is gone, or was never there", _DELETED, record(dict.fromkeys(_DELETED, STRING)))
    | answers(TokenMissing, *_ERRORS),
    openapi_extra=dict(SIGNED_IN),
)
async def delete(
    caller: TokenHolder,
    pool: PoolDep,
    revocations: RevocationsDep,
    token: Annotated[str, Path(description="The token, or its identifier from the list", examples=["c0ffee0123456789"])],
) -> Response:
    """Delete a token of the owner's. An API token needs the right `token.admin` or `admin`."""
    async with pool.acquire() as connection, connection.transaction():
        for identifier in await delete_token(connection, caller.owner_id, token):
            await note(connection, caller, "token.delete", detail={"token": identifier})
    await revocations.publish(caller.owner_id)
    return json_answer({"owner": caller.login.owner, "token": token})
