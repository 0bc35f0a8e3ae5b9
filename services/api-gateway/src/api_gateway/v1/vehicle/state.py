"""All that a vehicle sent last: as records, and under the firmware's names of its metrics."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.dependencies import parts_of
from api_gateway.refusals import ROOT
from api_gateway.v1.reach import Reach, Readable
from api_gateway.v1.records import LOCATED, NAMES, UNITS, Readings, Sealed, decoded, encoded, times_of, unit_in, unit_of
from api_gateway.v1.vehicle.newest import Render, add_call, answer
from api_gateway.v1.vehicle.place import with_known_place
from ovms.auth.rights import LOCATION
from ovms.db.engine import Pool
from ovms.db.state import Message, read_newest
from ovms.records import RECORDS
from ovms.records.metrics import METRICS

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}/state", tags=["typed state"])


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
    chosen = unit_of(messages)
    return {
        "records": {
            NAMES[message.code]: {
                **times_of(message, now),
                "code": message.code,
                "values": encoded(message),
                "units": UNITS[message.code, chosen],
            }
            for message in _readable(messages)
        },
        "sealed": _sealed(messages, now),
    }


def render_metrics(messages: Sequence[Message], now: int) -> dict[str, Any]:
    """The answer as metrics."""
    chosen = unit_of(messages)
    metrics: dict[str, Any] = {}
    for message in _readable(messages):
        record, times = decoded(message), times_of(message, now)
        for metric in METRICS.get(message.code, ()):
            unit = metric.unit and unit_in(metric.unit, chosen)
            metrics[metric.name] = {"value": metric.value(record), "unit": unit, **times}
    return {"metrics": metrics, "sealed": _sealed(messages, now)}


async def _read_allowed(db: Pool, reach: Reach) -> list[Message]:
    """The newest messages of a vehicle that the caller may read: where it is only with the scope for that."""
    messages = await read_newest(db, reach.vehicle.key)
    if reach.may(LOCATION):
        return await with_known_place(db, reach.vehicle.key, messages)
    return [message for message in messages if message.code not in LOCATED]


def _readable(messages: Iterable[Message]) -> list[Message]:
    return [message for message in messages if message.code in RECORDS and not message.paranoid]


def _sealed(messages: Iterable[Message], now: int) -> list[dict[str, Any]]:
    return [{**times_of(message, now), "code": message.code} for message in messages if message.paranoid]


def _reader(render: Render) -> Callable[..., Any]:
    async def read(request: Request, reach: Readable) -> Response:
        parts = parts_of(request.scope)
        messages = await _read_allowed(parts.pool, reach)
        return answer(request, messages, lambda: render(messages, int(parts.clock())))

    return read


add_call(
    router,
    "",
    _reader(render_state),
    render_state,
    StateAnswer,
    examples_of="SDL",
    summary="All records",
    description="Return the newest record of each kind, with types, units and ages. A caller that gives the `ETag` of its last "
    "answer in `If-None-Match` is told 304 while nothing came. What the vehicle encrypts is listed under `sealed`.\n\n"
    "`curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/state`",
    operation_id="v1_state",
)
add_call(
    router,
    "/metrics",
    _reader(render_metrics),
    render_metrics,
    MetricsAnswer,
    examples_of="SDL",
    summary="All metrics",
    description="Return the same under the firmware's names of its metrics, such as `v.b.soc`.\n\n"
    "`curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/state/metrics`",
    operation_id="v1_metrics",
)
