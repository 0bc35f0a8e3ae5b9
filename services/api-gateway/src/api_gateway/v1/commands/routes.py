"""Commands to a vehicle as resources: asked for, waited for, listed, cancelled."""

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api_gateway.answers import Plain
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.commands.errors import CommandNotQueued, CommandQueueFull, CommandUnknown, IdempotencyKeyReused, NotJson
from api_gateway.commands.kinds import OF_ADMINS
from api_gateway.commands.resource import render
from api_gateway.commands.states import OPEN
from api_gateway.dependencies import CommandsDep, PoolDep
from api_gateway.edge.deadlines import allow_longer
from api_gateway.errors import InsufficientRights, ParanoidVehicle, VehicleNotConnected
from api_gateway.refusals import ROOT
from api_gateway.v1.answers import EXPOSED, json_body
from api_gateway.v1.commands.described import APPLIED, BODY, LOCATION, PAGE_QUERY, POST_HEADERS
from api_gateway.v1.commands.models import CANCELLED_EXAMPLE, EXAMPLE, QUEUED_EXAMPLE, CommandAnswer, CommandPage
from api_gateway.v1.commands.requests import (
    DEFAULT_LIMIT,
    MOST_LIMIT,
    read_key,
    read_number,
    read_order,
    read_wait,
    telling_which,
)
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, VehicleUnknown
from api_gateway.v1.reach import Controllable, Reach
from ovms.auth.rights import ADMIN
from ovms.db.commands import NEWEST, Command, find_of, list_page
from ovms.db.engine import Pool

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}/commands", tags=["typed commands"])

_JSON: Final = (b"content-type", b"application/json")
_HEADERS: Final = (
    (b"cache-control", b"private, no-store"),
    (b"vary", b"Authorization, Cookie"),
    EXPOSED,
)
CommandId = Annotated[str, Path(description="The command's id", examples=["0b7f6d0e-4c9b-4c55-9f0b-6a5d2f0f3b1a"])]


def _answer(value: Any, status: int, *headers: tuple[bytes, bytes]) -> Response:
    return Plain(json_body(value), status, _JSON, *_HEADERS, *headers)


def _hidden(reach: Reach) -> tuple[str, ...]:
    return () if reach.may(ADMIN) else OF_ADMINS


async def _find(reach: Reach, pool: Pool, command_id: str) -> Command:
    try:
        wanted = uuid.UUID(command_id)
    except ValueError:
        raise CommandUnknown from None
    if (found := await find_of(pool, reach.vehicle.key, wanted, _hidden(reach))) is None:
        raise CommandUnknown
    return found


def _content(example: Any) -> dict[str, Any]:
    return {"application/json": {"example": example}}


@router.post(
    "",
    summary="Command the vehicle",
    status_code=202,
    response_model=CommandAnswer,
    response_description="The command is taken",
    responses={
        200: {
            "description": "The command is finished",
            "model": CommandAnswer,
            "headers": LOCATION | APPLIED,
            "content": _content(EXAMPLE),
        },
        202: {"headers": LOCATION | APPLIED, "content": _content(QUEUED_EXAMPLE)},
        **problems(
            VehicleUnknown,
            NotJson,
            InvalidRequest,
            IdempotencyKeyReused,
            CommandQueueFull,
            ParanoidVehicle,
            VehicleNotConnected,
        ),
    },
    openapi_extra={**SIGNED_IN, "requestBody": BODY, "parameters": POST_HEADERS},
    operation_id="v1_command",
)
async def give(request: Request, reach: Controllable, commands: CommandsDep) -> Response:
    """Ask for a command. The vehicle gets one at a time, in the order in which they were asked for, and each at most once.

    What becomes of it is to be asked for at `Location`, or waited for with `Prefer: wait=n`. A vehicle that is not connected is
    told when it comes, within `ttl` seconds, where `queue` is true; otherwise the call is refused and nothing is kept.

    `curl -u demo:demo -H 'Prefer: wait=10' --json '{"kind": "lock"}' http://127.0.0.1:6868/api/v1/vehicles/DEMO/commands`
    """
    # A page elsewhere may make a browser send any other type with the session's cookie, unasked.
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise NotJson
    with telling_which("#/header"):
        key, wait = read_key(request.headers), read_wait(request.headers)
    with telling_which("#"):
        order = read_order(await request.body())
        order.kind.write(order.fields)
    if not reach.may(order.kind.scope):
        raise InsufficientRights
    command = await commands.submit(reach.caller, reach.vehicle.name, order, key)
    headers = [(b"location", f"{ROOT}/vehicles/{reach.vehicle.vehicle_id}/commands/{command.id}".encode())]
    if wait is not None:
        allow_longer(request.scope, wait)
        command = await commands.wait(command, wait)
        headers.append((b"preference-applied", b"wait=%d" % wait))
    return _answer(render(command), 202 if command.state in OPEN else 200, *headers)


@router.get(
    "",
    summary="Commands of the vehicle",
    response_model=CommandPage,
    response_description="The commands",
    responses={
        200: {"content": _content({"items": [EXAMPLE], "next": None})},
        **problems(VehicleUnknown, InvalidRequest),
    },
    openapi_extra={**SIGNED_IN, "parameters": PAGE_QUERY},
    operation_id="v1_commands",
)
async def list_all(request: Request, reach: Controllable, pool: PoolDep) -> Response:
    """Return what the vehicle was and is to be told over this API, by whomever, the newest first, for some months.

    `curl -u demo:demo 'http://127.0.0.1:6868/api/v1/vehicles/DEMO/commands?limit=10'`
    """
    with telling_which("#/query"):
        before = read_number(request.query_params, "before", NEWEST, 10**18 - 1)
        limit = read_number(request.query_params, "limit", DEFAULT_LIMIT, MOST_LIMIT)
    found = await list_page(pool, reach.vehicle.key, before, limit + 1, _hidden(reach))
    page = found[:limit]
    more = str(page[-1].place) if len(found) > limit else None
    return _answer({"items": [render(command) for command in page], "next": more}, 200)


@router.get(
    "/{command_id}",
    summary="One command",
    response_model=CommandAnswer,
    response_description="The command",
    responses={200: {"content": _content(EXAMPLE)}, **problems(VehicleUnknown, CommandUnknown)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_command_read",
)
async def read_one(command_id: CommandId, reach: Controllable, pool: PoolDep) -> Response:
    """Return a command as it is now; its id comes with the answer to the call that asked for it.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/commands/$COMMAND`
    """
    return _answer(render(await _find(reach, pool, command_id)), 200)


@router.delete(
    "/{command_id}",
    summary="Cancel a command",
    response_model=CommandAnswer,
    response_description="The command, which is cancelled",
    responses={200: {"content": _content(CANCELLED_EXAMPLE)}, **problems(VehicleUnknown, CommandUnknown, CommandNotQueued)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_command_cancel",
)
async def cancel(command_id: CommandId, reach: Controllable, pool: PoolDep, commands: CommandsDep) -> Response:
    """Cancel a command that has not been sent yet. It stays in the list.

    `curl -u demo:demo -X DELETE http://127.0.0.1:6868/api/v1/vehicles/DEMO/commands/$COMMAND`
    """
    command = await _find(reach, pool, command_id)
    return _answer(render(await commands.cancel(reach.caller, command)), 200)
