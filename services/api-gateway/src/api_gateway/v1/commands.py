"""Commands to a vehicle as resources: asked for, waited for, listed, cancelled."""

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.answers import Plain
from api_gateway.commands.desk import Order, Target
from api_gateway.commands.errors import CommandNotQueued, CommandQueueFull, CommandUnknown, IdempotencyKeyReused, NotJson
from api_gateway.commands.kinds import KINDS, OF_ADMINS, Kind
from api_gateway.commands.resource import render
from api_gateway.commands.states import OPEN, CommandState
from api_gateway.dependencies import ResourcesDep
from api_gateway.edge.deadlines import allow_longer
from api_gateway.errors import InsufficientRights, InvalidArgument, ParanoidVehicle, VehicleNotConnected
from api_gateway.legacy.declared import SIGNED_IN
from api_gateway.refusals import ROOT
from api_gateway.resources import Resources
from api_gateway.v1.answers import json_body
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, VehicleUnknown
from api_gateway.v1.reach import Controllable, Reach
from ovms.auth.rights import ADMIN
from ovms.db.commands import NEWEST, Command, find_of, list_page

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}/commands", tags=["typed commands"])

DEFAULT_TTL: Final = 60
MOST_TTL: Final = 7 * 24 * 3600
MOST_WAIT: Final = 60
DEFAULT_LIMIT: Final = 50
MOST_LIMIT: Final = 200
ARGUMENTS: Final = frozenset(argument.name for kind in KINDS.values() for argument in kind.arguments)

_JSON: Final = (b"content-type", b"application/json")
_HEADERS: Final = (
    (b"cache-control", b"private, no-store"),
    (b"vary", b"Authorization, Cookie"),
    (b"access-control-expose-headers", b"Location, Preference-Applied"),
)
_KEY: Final = re.compile(r"[!-~]{1,255}")
# RFC 7240, 2: preferences with commas between, their parameters behind semicolons. Of several the first one holds.
_WAIT: Final = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?=[,;]|$)', re.IGNORECASE)

CommandId = Annotated[str, Path(description="The command's id", examples=["0b7f6d0e-4c9b-4c55-9f0b-6a5d2f0f3b1a"])]

_EXAMPLE: Final = {
    "id": "0b7f6d0e-4c9b-4c55-9f0b-6a5d2f0f3b1a",
    "vehicle": "DEMO",
    "kind": "set_charge_mode",
    "arguments": {"mode": "range"},
    "scope": "control",
    "actor": "demo",
    "state": "succeeded",
    "revision": 3,
    "created_at": "2026-08-03T09:05:07.120Z",
    "expires_at": "2026-08-03T09:06:07.120Z",
    "sent_at": "2026-08-03T09:05:07.123Z",
    "finished_at": "2026-08-03T09:05:08.500Z",
    "result": 0,
    "text": "Charge mode set",
}
_QUEUED_EXAMPLE: Final = _EXAMPLE | {
    "state": "queued",
    "revision": 1,
    "sent_at": None,
    "finished_at": None,
    "result": None,
    "text": None,
}
_CANCELLED_EXAMPLE: Final = _QUEUED_EXAMPLE | {
    "state": "cancelled",
    "revision": 2,
    "finished_at": "2026-08-03T09:05:09.000Z",
}


class CommandAnswer(BaseModel):
    """A command, and what has become of it."""

    id: Annotated[str, Field(description="Its id")]
    vehicle: Annotated[str, Field(description="The vehicle's id, as its owner spells it")]
    kind: Annotated[str, Field(description="What the vehicle is to do; some calls under `/api` have others than these")]
    arguments: Annotated[
        dict[str, str | int], Field(description="By name; those that may be secret, such as a PIN, are not shown")
    ]
    scope: Annotated[Literal["control", "admin"], Field(description="The scope without which it is not shown")]
    actor: Annotated[str, Field(description="The name of who asked for it")]
    state: Annotated[
        CommandState,
        Field(
            description="`queued` and `sent` are on the way. `unknown`: the vehicle was perhaps told, and nothing is known of "
            "it; it is never told again. `failed` without a `result`: it was not told."
        ),
    ]
    revision: Annotated[int, Field(ge=1, description="Grows with every change")]
    created_at: Annotated[str, Field(description="When it was asked for, RFC 3339", json_schema_extra={"format": "date-time"})]
    expires_at: Annotated[str, Field(description="Until when it may be sent", json_schema_extra={"format": "date-time"})]
    sent_at: Annotated[str | None, Field(description="When it was sent, null where it is not")]
    finished_at: Annotated[str | None, Field(description="When it was known what became of it")]
    result: Annotated[int | None, Field(description="The vehicle's result: 0 done, 1 failed, 2 unsupported, 3 unimplemented")]
    text: Annotated[str | None, Field(description="The vehicle's words")]


class CommandPage(BaseModel):
    """Some commands, the newest first."""

    items: Annotated[list[CommandAnswer], Field(description="The commands")]
    next: Annotated[str | None, Field(description="`before` of the next page; null: this is the last")]


# ---- what is read of a request


def read_order(body: bytes) -> Order:
    """What the body of a request asks for.

    Raises:
        InvalidArgument: something is missing or impossible; says what, and never its value.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict) or not given.keys() <= {"kind", "arguments", "ttl", "queue"}:
        raise InvalidArgument("", "a JSON object of kind, arguments, ttl and queue")
    name, arguments = given.get("kind"), given.get("arguments", {})
    if not isinstance(name, str) or (kind := KINDS.get(name)) is None:
        raise InvalidArgument("kind", "one of " + ", ".join(KINDS))
    if not isinstance(arguments, dict):
        raise InvalidArgument("arguments", "an object")
    waits = given.get("queue", False)
    if not isinstance(waits, bool):
        raise InvalidArgument("queue", "true or false")
    return Order(kind, kind.read_json(arguments), _ttl(given.get("ttl", DEFAULT_TTL)), waits)


def _ttl(given: Any) -> int:
    is_whole = type(given) is int or (isinstance(given, float) and given.is_integer())
    if not is_whole or not 1 <= given <= MOST_TTL:
        raise InvalidArgument("ttl", f"whole seconds from 1 to {MOST_TTL}")
    return int(given)


def read_key(headers: Mapping[str, str]) -> str | None:
    """The idempotency key.

    Raises:
        InvalidArgument: it is impossible.
    """
    key = headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidArgument("Idempotency-Key", "1 to 255 visible characters of ASCII")
    return key


def read_wait(headers: Mapping[str, str]) -> int | None:
    """The seconds that the caller prefers to wait, as far as they are granted; a preference that is none is ignored."""
    found = _WAIT.search(headers.get("prefer", ""))
    return None if found is None else min(int(found[1]), MOST_WAIT)


def _read_number(request: Request, name: str, default: int, most: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not re.fullmatch("[0-9]{1,18}", given) or not 1 <= int(given) <= most:
        raise InvalidArgument(name, f"a whole number from 1 to {most}")
    return int(given)


@contextmanager
def telling_which(place: str) -> Iterator[None]:
    """Refuse as the typed API does, where something below a place of the request is missing or impossible."""
    try:
        yield
    except InvalidArgument as error:
        within = "/arguments" if error.name in ARGUMENTS else ""
        raise InvalidRequest(
            {"pointer": f"{place}{within}/{error.name}".removesuffix("/"), "detail": f"It must be {error.wanted}"}
        ) from None


# ---- what is answered


def _answer(value: Any, status: int, *headers: tuple[bytes, bytes]) -> Response:
    return Plain(json_body(value), status, _JSON, *_HEADERS, *headers)


def _hidden(reach: Reach) -> tuple[str, ...]:
    return () if reach.may(ADMIN) else OF_ADMINS


async def _find(reach: Reach, resources: Resources, command_id: str) -> Command:
    try:
        wanted = uuid.UUID(command_id)
    except ValueError:
        raise CommandUnknown from None
    if (found := await find_of(resources.pool, reach.vehicle.key, wanted, _hidden(reach))) is None:
        raise CommandUnknown
    return found


def _of_kind(kind: Kind) -> dict[str, Any]:
    arguments = {one.name: {**one.schema, "description": one.wanted} for one in kind.arguments}
    required = [one.name for one in kind.arguments if one.default is None]
    properties: dict[str, Any] = {
        "kind": {"const": kind.name},
        "arguments": {"type": "object", "properties": arguments, "required": required, "additionalProperties": False},
        "ttl": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_TTL,
            "default": DEFAULT_TTL,
            "description": "Seconds that it may wait to be sent",
        },
        "queue": {"type": "boolean", "default": False, "description": "Whether it waits for a vehicle that is not connected"},
    }
    return {
        "type": "object",
        "title": "".join(part.capitalize() for part in kind.name.split("_")) + "Command",
        "description": f"Command {kind.number} of the protocol. Needs the scope `{kind.scope}`.",
        "properties": properties,
        "required": ["kind", *(["arguments"] if required else [])],
        "additionalProperties": False,
    }


BODY: Final = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"oneOf": [_of_kind(kind) for kind in KINDS.values()]},
            "example": {"kind": "set_charge_mode", "arguments": {"mode": "range"}, "ttl": 60},
        }
    },
}
_POST_HEADERS: Final = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A name for this request: sent again within a day it is answered with the same command",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    {
        "name": "Prefer",
        "in": "header",
        "description": f"`wait=n`: answer when the command is finished, or after n seconds, at most {MOST_WAIT} (RFC 7240)",
        "schema": {"type": "string", "examples": ["wait=10"]},
    },
]
_PAGE_QUERY: Final = [
    {
        "name": "before",
        "in": "query",
        "description": "`next` of the page before",
        "schema": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    },
    {
        "name": "limit",
        "in": "query",
        "description": "The most commands of a page",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
    },
]
_LOCATION: Final = {"Location": {"description": "The command", "schema": {"type": "string", "format": "uri-reference"}}}
_APPLIED: Final = {"Preference-Applied": {"description": "`wait=n`, as it is granted", "schema": {"type": "string"}}}


def _content(example: Any) -> dict[str, Any]:
    return {"application/json": {"example": example}}


# ---- the calls


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
            "headers": _LOCATION | _APPLIED,
            "content": _content(_EXAMPLE),
        },
        202: {"headers": _LOCATION | _APPLIED, "content": _content(_QUEUED_EXAMPLE)},
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
    openapi_extra={**SIGNED_IN, "requestBody": BODY, "parameters": _POST_HEADERS},
    operation_id="v1_command",
)
async def give(request: Request, reach: Controllable, resources: ResourcesDep) -> Response:
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
    command = await resources.commands.take(reach.caller, Target(reach.vehicle.key, reach.vehicle.vehicle_id), order, key)
    headers = [(b"location", f"{ROOT}/vehicles/{reach.vehicle.vehicle_id}/commands/{command.id}".encode())]
    if wait is not None:
        allow_longer(request.scope, wait)
        command = await resources.commands.wait(command, wait)
        headers.append((b"preference-applied", b"wait=%d" % wait))
    return _answer(render(command), 202 if command.state in OPEN else 200, *headers)


@router.get(
    "",
    summary="Commands of the vehicle",
    response_model=CommandPage,
    response_description="The commands",
    responses={
        200: {"content": _content({"items": [_EXAMPLE], "next": None})},
        **problems(VehicleUnknown, InvalidRequest),
    },
    openapi_extra={**SIGNED_IN, "parameters": _PAGE_QUERY},
    operation_id="v1_commands",
)
async def list_all(request: Request, reach: Controllable, resources: ResourcesDep) -> Response:
    """Return what the vehicle was and is to be told over this API, by whomever, the newest first, for some months.

    `curl -u demo:demo 'http://127.0.0.1:6868/api/v1/vehicles/DEMO/commands?limit=10'`
    """
    with telling_which("#/query"):
        before = _read_number(request, "before", NEWEST, 10**18 - 1)
        limit = _read_number(request, "limit", DEFAULT_LIMIT, MOST_LIMIT)
    found = await list_page(resources.pool, reach.vehicle.key, before, limit + 1, _hidden(reach))
    page = found[:limit]
    more = str(page[-1].place) if len(found) > limit else None
    return _answer({"items": [render(command) for command in page], "next": more}, 200)


@router.get(
    "/{command_id}",
    summary="One command",
    response_model=CommandAnswer,
    response_description="The command",
    responses={200: {"content": _content(_EXAMPLE)}, **problems(VehicleUnknown, CommandUnknown)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_command_read",
)
async def read_one(command_id: CommandId, reach: Controllable, resources: ResourcesDep) -> Response:
    """Return a command as it is now; its id comes with the answer to the call that asked for it.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/commands/$COMMAND`
    """
    return _answer(render(await _find(reach, resources, command_id)), 200)


@router.delete(
    "/{command_id}",
    summary="Cancel a command",
    response_model=CommandAnswer,
    response_description="The command, which is cancelled",
    responses={200: {"content": _content(_CANCELLED_EXAMPLE)}, **problems(VehicleUnknown, CommandUnknown, CommandNotQueued)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_command_cancel",
)
async def cancel(command_id: CommandId, reach: Controllable, resources: ResourcesDep) -> Response:
    """Cancel a command that has not been sent yet. It stays in the list.

    `curl -u demo:demo -X DELETE http://127.0.0.1:6868/api/v1/vehicles/DEMO/commands/$COMMAND`
    """
    command = await _find(reach, resources, command_id)
    return _answer(render(await resources.commands.cancel(reach.caller, command)), 200)
