"""The calls that a car answers: they become commands of the protocol, and its words the answer."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_gateway.answers import json_answer
from api_gateway.auth.authenticator import Caller
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.commands import kinds
from api_gateway.commands.arguments import Argument, Fields
from api_gateway.commands.errors import CommandQueueFull, VehicleBusy
from api_gateway.commands.kinds import Kind
from api_gateway.commands.replies import Result, is_sealed, list_items, read_reply
from api_gateway.dependencies import CommandsDep, PoolDep, holding
from api_gateway.edge.deadlines import allow_longer
from api_gateway.errors import (
    AuthenticationFailed,
    CrossSite,
    Forbidden,
    InsufficientRights,
    InvalidArgument,
    ParanoidVehicle,
    ServiceUnavailable,
    VehicleNotConnected,
    VehicleSilent,
    answers,
)
from api_gateway.legacy.declared import INTEGER, JSON, STRING, answer, list_of, record
from api_gateway.legacy.forms import read_fields
from api_gateway.legacy.vehicle_ids import TO_THE_END, VehicleId, check_possible
from ovms.db.accounts import OwnedVehicle, find_vehicle
from ovms.db.engine import Pool
from ovms.protocol.commands import NOT_CONNECTED

CONTROL: Final = ("control", "admin")
ADMIN: Final = ("admin",)
STATUSES: Final = {Result.DONE: 200, Result.UNSUPPORTED: 501, Result.UNIMPLEMENTED: 501}
FAILED: Final = 409


@dataclass(frozen=True, slots=True)
class ControlCall:
    """A call, and the command that it becomes."""

    method: str
    name: str
    summary: str
    arguments: tuple[Argument, ...]
    choose: Callable[[Fields], Kind]
    example: str
    """A query that the demo car answers with 200."""
    rights: tuple[str, ...] = CONTROL


def _call(
    method: str, name: str, summary: str, kind: Kind, example: str = "", rights: tuple[str, ...] = CONTROL
) -> ControlCall:
    return ControlCall(method, name, summary, kind.arguments, lambda _: kind, example, rights)


# The manual has `feature` and `parameter` where the reference listens to `features` and `parameters`: both answer here.
CALLS: Final = (
    ControlCall("PUT", "charge", "Control the charge", kinds.CHARGE_FIELDS, kinds.choose_charge, "action=start"),
    _call("DELETE", "charge", "Abort a charge", kinds.STOP_CHARGE),
    _call("PUT", "lock", "Lock", kinds.LOCK, "pin=1234"),
    _call("DELETE", "lock", "Unlock", kinds.UNLOCK, "pin=1234"),
    _call("PUT", "valet", "Enable valet mode", kinds.VALET, "pin=1234"),
    _call("DELETE", "valet", "Disable valet mode", kinds.NO_VALET, "pin=1234"),
    _call("GET", "features", "Read the features", kinds.LIST_FEATURES),
    _call("PUT", "features", "Set a feature", kinds.SET_FEATURE, "feature=9&value=30"),
    _call("PUT", "feature", "Set a feature", kinds.SET_FEATURE, "feature=9&value=30"),
    _call("GET", "parameters", "Read the parameters", kinds.LIST_PARAMETERS),
    _call("PUT", "parameters", "Set a parameter", kinds.SET_PARAMETER, "parameter=2&value=K"),
    _call("PUT", "parameter", "Set a parameter", kinds.SET_PARAMETER, "parameter=2&value=K"),
    _call("PUT", "reset", "Restart the module", kinds.RESET),
    _call("PUT", "homelink", "Press a home link button", kinds.HOME_LINK, "button=0"),
    _call("PUT", "wakeup", "Wake the vehicle up", kinds.WAKE_UP),
    _call("PUT", "cooldown", "Cool the battery down", kinds.COOL_DOWN),
    _call("PUT", "climate", "Switch the climate control on", kinds.CLIMATE_ON),
    _call("DELETE", "climate", "Switch the climate control off", kinds.CLIMATE_OFF),
    _call("PUT", "command", "Run a text command in the module", kinds.TEXT, "command=stat", ADMIN),
    _call("PUT", "sms", "Send an SMS from the module", kinds.SMS, "number=%2B41000000&message=Hello", ADMIN),
    _call("PUT", "ussd", "Send a USSD code from the module", kinds.USSD, "code=*100%23", ADMIN),
    _call("PUT", "at", "Send an AT command to the modem", kinds.AT, "command=AT%2BCSQ", ADMIN),
)


def make_router() -> APIRouter:
    """One route a call."""
    router = APIRouter(prefix="/api", tags=["control"])
    for call in CALLS:
        router.add_api_route(
            f"/{call.name}/{TO_THE_END}",
            _route(call),
            methods=[call.method],
            summary=call.summary,
            description=_description(call),
            response_class=Response,
            responses=_answers(call),
            openapi_extra={**SIGNED_IN, **_form(call)},
            operation_id=f"{call.method.lower()}_{call.name}",
        )
    return router


def _route(call: ControlCall) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def control(
        request: Request,
        vehicle_id: VehicleId,
        caller: Annotated[Caller, Depends(holding(*call.rights))],
        pool: PoolDep,
        commands: CommandsDep,
    ) -> Response:
        fields = await _read(call, request)
        vehicle = await _find(pool, caller, vehicle_id)
        kind = call.choose(fields)
        allow_longer(request.scope, commands.answer_within)
        said = await commands.execute(caller, vehicle.name, kind, fields)
        return _render(vehicle.vehicle_id, kind, said)

    return control


async def _read(call: ControlCall, request: Request) -> Fields:
    names = [argument.name for argument in call.arguments]
    content_type = request.headers.get("content-type", "")
    return read_fields(names, content_type, await request.body(), request.scope["query_string"])


async def _find(pool: Pool, caller: Caller, vehicle_id: str) -> OwnedVehicle:
    """The vehicle, which is the caller's."""
    check_possible(caller, vehicle_id)
    vehicle = await find_vehicle(pool, caller.owner_id, vehicle_id)
    if vehicle is None:
        raise Forbidden
    return vehicle


def _render(vehicle_id: str, kind: Kind, said: list[bytes]) -> Response:
    last = said[-1]
    if is_sealed(last):
        raise ParanoidVehicle
    reply = read_reply(last)
    if reply.result == Result.FAILED and reply.words == NOT_CONNECTED:
        raise VehicleNotConnected
    body: dict[str, Any] = {"vehicleid": vehicle_id, "command": kind.number, "result": reply.result}
    if kind.is_list and reply.result == Result.DONE:
        body["items"] = list_items(said)
    else:
        body["text"] = reply.words
    return json_answer(body, STATUSES.get(reply.result, FAILED))  # type: ignore[call-overload]


# ---- what the document says of them


def _description(call: ControlCall) -> str:
    query = f"?{call.example}" if call.example else ""
    verb = "" if call.method == "GET" else f" -X {call.method}"
    return (
        "Sent to the vehicle, and answered with its words. Arguments come in the query, a form or JSON. "
        f"An API token needs the right {' or '.join(f'`{right}`' for right in call.rights)}.\n\n"
        f"    curl{verb} -u demo:demo 'http://127.0.0.1:6868/api/{call.name}/DEMO{query}'"
    )


_ANSWER: Final = {"vehicleid": STRING, "command": INTEGER, "result": INTEGER}
_TEXT: Final = record({**_ANSWER, "text": STRING})
_ITEM: Final = record(
    {"number": INTEGER, "value": {"type": ["string", "null"]}, "available": {"type": "boolean"}},
)
_LIST: Final = record({**_ANSWER, "items": list_of(_ITEM)})
_ITEMS_EXAMPLE: Final = [
    {"number": 0, "value": "0", "available": True},
    {"number": 1, "value": None, "available": False},
]


def _answers(call: ControlCall) -> dict[int | str, dict[str, Any]]:
    is_list = call.method == "GET"
    number = call.choose({"action": "start"}).number
    done: dict[str, Any] = {"vehicleid": "DEMO", "command": number, "result": 0}
    good = {**done, "items": _ITEMS_EXAMPLE} if is_list else {**done, "text": "Done"}
    declared = answer("Done", good, _LIST if is_list else _TEXT)
    failed = {**done, "result": 1, "text": "Not possible now"}
    unknown = {**done, "result": 2, "text": ""}
    declared |= answer("The vehicle says that it failed, in its words", failed, _TEXT, JSON, FAILED)
    declared |= answer("The vehicle does not know the command", unknown, _TEXT, JSON, 501)
    errors = (AuthenticationFailed, Forbidden, InsufficientRights, CrossSite, ParanoidVehicle)
    away = (ServiceUnavailable, VehicleNotConnected, VehicleBusy, CommandQueueFull, VehicleSilent)
    return declared | answers(*errors, *((InvalidArgument,) if call.arguments else ()), *away)


def _form(call: ControlCall) -> dict[str, Any]:
    if not call.arguments:
        return {}
    properties = {argument.name: {"type": "string", "description": argument.wanted} for argument in call.arguments}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    # Which of the fields of a charge call belong together no schema says shortly; each call has one of them at least.
    if needed := [argument.name for argument in call.arguments if argument.default is None and call.name != "charge"]:
        schema["required"] = needed
    schema["example"] = {name: values[0] for name, values in parse_qs(call.example).items()}
    content = ("application/x-www-form-urlencoded", "multipart/form-data", "application/json")
    return {"requestBody": {"content": {kind: {"schema": schema} for kind in content}}}
