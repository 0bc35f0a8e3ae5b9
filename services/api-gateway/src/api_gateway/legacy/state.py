"""The newest state of a car: status, charge, location, tyre pressures, and the messages as they came."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api_gateway import examples, rendered
from api_gateway.answers import json_answer
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import parts_of
from api_gateway.errors import (
    AuthenticationFailed,
    Forbidden,
    InsufficientRights,
    ParanoidVehicle,
    ServiceUnavailable,
    answers,
)
from api_gateway.legacy.declared import INTEGER, STRING, TIME, answer, list_of, record
from api_gateway.legacy.owned import read_owned
from api_gateway.legacy.polled import PolledRoute
from api_gateway.legacy.state_schema import view_schema
from api_gateway.legacy.vehicle_ids import TO_THE_END, VehicleId
from api_gateway.rendered import LegacyJson
from ovms.auth import rights
from ovms.auth.rights import READ
from ovms.db.state import ALL, Message, in_order
from ovms.records.views import CHARGE, LOCATION, LOCK, STATUS, TPMS, VALET, View
from ovms.times import write_seconds


@dataclass(frozen=True, slots=True)
class StateCall:
    """A call that answers with the members of some records, and when each of them came."""

    name: str
    summary: str
    description: str
    view: View
    scope: str
    needed: frozenset[str]
    """Records that may not be paranoid; another that is paranoid is left out, as in the reference."""
    times: Mapping[str, tuple[str, ...]]
    """Under which letters the time and age of each record are given."""
    first_only: bool = False
    """Only the first record of the view that is there counts."""


CALLS: Final = (
    StateCall(
        "status",
        "Status",
        "Return the vehicle's status from its newest S and D messages; a message that it never sent contributes nothing.",
        STATUS,
        READ,
        frozenset("S"),
        {"S": ("s",), "D": ("d",)},
    ),
    StateCall(
        "charge",
        "Charge status",
        "Return how the vehicle charges, from its newest S and D messages.",
        CHARGE,
        READ,
        frozenset("S"),
        {"S": ("s",), "D": ("d",)},
    ),
    StateCall(
        "location",
        "Location",
        "Return where the vehicle is, from its newest L message.",
        LOCATION,
        rights.LOCATION,
        frozenset("L"),
        {"L": ("l",)},
    ),
    # The reference gives the time of Y under the name of W too, for clients that know only that.
    StateCall(
        "tpms",
        "Tyre pressures",
        "Return the state of the tyres: from the newest Y message with one group of members a wheel, else from W.",
        TPMS,
        READ,
        frozenset("YW"),
        {"Y": ("y", "w"), "W": ("w",)},
        first_only=True,
    ),
    StateCall(
        "lock",
        "Lock status",
        "Return whether the vehicle is locked (8) or not (0), from its newest D message.",
        LOCK,
        READ,
        frozenset("D"),
        {"D": ("d",)},
    ),
    StateCall(
        "valet",
        "Valet status",
        "Return whether valet mode is on (16) or off (0), from the vehicle's newest D message.",
        VALET,
        READ,
        frozenset("D"),
        {"D": ("d",)},
    ),
)


def make_router() -> APIRouter:
    """One route a call, and the raw messages."""
    router = APIRouter(prefix="/api", tags=["state"])
    for call in CALLS:
        router.add_api_route(
            f"/{call.name}/{TO_THE_END}",
            _reader(call),
            methods=["GET"],
            summary=call.summary,
            description=call.description,
            response_class=Response,
            responses=_answers(call),
            openapi_extra=dict(SIGNED_IN),
            operation_id=f"read_{call.name}",
            route_class_override=PolledRoute,
        )
    router.add_api_route(
        f"/protocol/{TO_THE_END}",
        read_protocol,
        methods=["GET"],
        operation_id="state_read_protocol",
        summary="Messages as they came",
        response_class=Response,
        responses=answer("The newest message of each code", [_PROTOCOL], list_of(_PROTOCOL_SCHEMA))
        | answers(AuthenticationFailed, Forbidden, InsufficientRights, ServiceUnavailable),
        openapi_extra=dict(SIGNED_IN),
        route_class_override=PolledRoute,
    )
    return router


def _reader(call: StateCall) -> Callable[..., Coroutine[Any, Any, Response]]:
    codes = "".join(call.view.codes)

    async def read(request: Request, vehicle_id: VehicleId) -> Response:
        _, _, messages = await read_owned(request, vehicle_id, codes, call.scope)
        return json_answer(render(call, messages, int(parts_of(request.scope).clock())))

    return read


def render(call: StateCall, messages: Mapping[str, Message], now: int) -> LegacyJson:
    """The answer of a call from these messages.

    Raises:
        ParanoidVehicle: a message that the call needs is encrypted.
    """
    chosen = [messages[code] for code in call.view.codes if code in messages]
    if call.first_only:
        chosen = chosen[:1]
    if any(message.paranoid and message.code in call.needed for message in chosen):
        raise ParanoidVehicle
    readable = [message for message in chosen if not message.paranoid]
    members = rendered.members(call.view, tuple((message.code, message.data) for message in readable))
    return {**members, **_times(call, readable, now)}


def _times(call: StateCall, messages: Iterable[Message], now: int) -> LegacyJson:
    times: LegacyJson = {}
    for message in messages:
        for letter in call.times[message.code]:
            times[f"m_msgtime_{letter}"] = write_seconds(message.received_at)
            times[f"m_msgage_{letter}"] = max(0, now - message.received_at)
    return times


def _answers(call: StateCall) -> dict[int | str, dict[str, Any]]:
    messages = {message.code: message for message in examples.messages(call.view.codes)}
    good = answer(
        "What the vehicle sent last; an empty object where it never sent such a message",
        render(call, messages, examples.READ_AT),
        view_schema(call.view, {letter for letters in call.times.values() for letter in letters}),
    )
    return good | answers(AuthenticationFailed, Forbidden, InsufficientRights, ParanoidVehicle, ServiceUnavailable)


_PROTOCOL: Final = {
    "m_code": "F",
    "m_msg": examples.TEXTS["F"],
    "m_msgtime": write_seconds(examples.SENT_AT),
    "m_paranoid": 0,
    "m_ptoken": "",
}
_PROTOCOL_SCHEMA: Final = record(
    {
        "m_code": {**STRING, "description": "The message's code, one character"},
        "m_msg": {**STRING, "description": "The message without its code; base64 where it is encrypted"},
        "m_msgtime": TIME,
        "m_paranoid": {**INTEGER, "enum": [0, 1], "description": "1: encrypted"},
        "m_ptoken": {**STRING, "description": "The token that it is encrypted under"},
    }
)


async def read_protocol(request: Request, vehicle_id: VehicleId) -> Response:
    """Return the newest message of each code as the vehicle sent it: the firmware, the status, then by code."""
    # It has everything in it, also what another program has put into a message of a code of its own.
    _, _, messages = await read_owned(request, vehicle_id, ALL, READ, rights.LOCATION)
    return json_answer(
        [
            {
                "m_code": message.code,
                "m_msg": message.data.decode("utf-8", "replace"),
                "m_msgtime": write_seconds(message.received_at),
                "m_paranoid": int(message.paranoid),
                "m_ptoken": message.paranoid_token,
            }
            for message in in_order(messages)
        ]
    )
