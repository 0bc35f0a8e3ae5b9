"""All that a vehicle sent last: as records, and under the firmware's names of its metrics."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.dependencies import resources_of
from api_gateway.legacy.declared import SIGNED_IN
from api_gateway.legacy.state_schema import EXAMPLES
from api_gateway.refusals import ROOT
from api_gateway.v1.answers import is_known, json_answer, not_modified, tag_of
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import VehicleUnknown
from api_gateway.v1.reach import Reach, Readable
from api_gateway.v1.records import LOCATED, NAMES, UNITS, Readings, Sealed, decoded, times_of, unit_in
from ovms.auth.rights import LOCATION
from ovms.db.engine import Pool
from ovms.db.state import Message, read_newest
from ovms.records import RECORDS, DistanceUnit, Record, State
from ovms.records.metrics import METRICS

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}/state", tags=["typed state"])

Render = Callable[[Sequence[Message], int], dict[str, Any]]

_EXAMPLE_TIME: Final = 1_795_374_743


class StateAnswer(BaseModel):
    """What a vehicle sent last."""

    records: Annotated[Readings, Field(description="What can be read")]
    sealed: Annotated[list[Sealed], Field(description="What the vehicle encrypts; the server cannot read it")]


class MetricValue(BaseModel):
    """One metric."""

    value: Annotated[
        float | int | bool | str | list[float | int | None] | None, Field(description="null where the vehicle does not say")
    ]
    unit: Annotated[str | None, Field(description="The value's unit, null where it has none")]
    received_at: Annotated[datetime, Field(description="When it came, RFC 3339")]
    age: Annotated[int, Field(ge=0, description="Seconds since then")]


class MetricsAnswer(BaseModel):
    """What a vehicle sent last, under the firmware's names."""

    metrics: Annotated[dict[str, MetricValue], Field(description="By name")]
    sealed: Annotated[list[Sealed], Field(description="What the vehicle encrypts; the server cannot read it")]


def render_state(messages: Sequence[Message], now: int) -> dict[str, Any]:
    """The answer as records."""
    found = _readable(messages)
    chosen = _chosen(record for _, record in found)
    return {
        "records": {
            NAMES[message.code]: {
                **times_of(message, now),
                "code": message.code,
                "values": record,
                "units": UNITS[message.code, chosen],
            }
            for message, record in found
        },
        "sealed": _sealed(messages, now),
    }


def render_metrics(messages: Sequence[Message], now: int) -> dict[str, Any]:
    """The answer as metrics."""
    found = _readable(messages)
    chosen = _chosen(record for _, record in found)
    metrics: dict[str, Any] = {}
    for message, record in found:
        times = times_of(message, now)
        for metric in METRICS.get(message.code, ()):
            unit = metric.unit and unit_in(metric.unit, chosen)
            metrics[metric.name] = {"value": metric.value(record), "unit": unit, **times}
    return {"metrics": metrics, "sealed": _sealed(messages, now)}


async def read_allowed(db: Pool, reach: Reach) -> list[Message]:
    """The newest messages of a vehicle that the caller may read: where it is only with the scope for that."""
    messages = await read_newest(db, reach.vehicle.key)
    return messages if reach.may(LOCATION) else [message for message in messages if message.code not in LOCATED]


def _readable(messages: Iterable[Message]) -> list[tuple[Message, Record]]:
    return [(message, decoded(message)) for message in messages if message.code in RECORDS and not message.paranoid]


def _sealed(messages: Iterable[Message], now: int) -> list[dict[str, Any]]:
    return [{**times_of(message, now), "code": message.code} for message in messages if message.paranoid]


def _chosen(records: Iterable[Record]) -> DistanceUnit | None:
    return next((record.units for record in records if isinstance(record, State)), None)


def _reader(render: Render) -> Callable[..., Any]:
    async def read(request: Request, reach: Readable) -> Response:
        resources = resources_of(request)
        messages = await read_allowed(resources.pool, reach)
        tag = tag_of(messages)
        if is_known(tag, request.headers.get("if-none-match")):
            return not_modified(tag)
        return json_answer(render(messages, int(resources.clock())), (b"etag", tag))

    return read


def _example(render: Render) -> Any:
    messages = [
        Message(code, EXAMPLES[code].encode(), _EXAMPLE_TIME, paranoid=False, paranoid_token="") for code in ("S", "D", "L")
    ]
    return orjson.loads(orjson.dumps(render(messages, _EXAMPLE_TIME + 4), option=orjson.OPT_UTC_Z))


def _add(path: str, render: Render, model: type[BaseModel], summary: str, description: str) -> None:
    headers = {"ETag": {"description": "What this answer is made from", "schema": {"type": "string"}}}
    router.add_api_route(
        path,
        _reader(render),
        methods=["GET"],
        summary=summary,
        description=description,
        response_model=model,
        response_description="What the vehicle sent last",
        responses={
            200: {"headers": headers, "content": {"application/json": {"example": _example(render)}}},
            304: {"description": "Nothing came since what If-None-Match names", "headers": headers},
            **problems(VehicleUnknown),
        },
        openapi_extra=dict(SIGNED_IN),
        operation_id=f"v1_{render.__name__.removeprefix('render_')}",
    )


_add(
    "",
    render_state,
    StateAnswer,
    "All records",
    "Return the newest record of each kind, with types, units and ages. A caller that gives the `ETag` of its last answer in "
    "`If-None-Match` is told 304 while nothing came. What the vehicle encrypts is listed under `sealed`.\n\n"
    "`curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/state`",
)
_add(
    "/metrics",
    render_metrics,
    MetricsAnswer,
    "All metrics",
    "Return the same under the firmware's names of its metrics, such as `v.b.soc`.\n\n"
    "`curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/state/metrics`",
)
