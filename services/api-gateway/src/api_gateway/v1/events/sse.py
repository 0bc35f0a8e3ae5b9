"""What vehicles send, as it comes: Server-Sent Events. `sockets` tells the same over WebSockets."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api_gateway import examples
from api_gateway.auth.authenticator import Caller
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import AttendancesDep, CallersDep, ClockDep, PoolDep, Reader, StreamsDep
from api_gateway.edge.deadlines import allow_any_time
from api_gateway.edge.websocket import ABORT
from api_gateway.live.attendance import Attendances, Audience, Find
from api_gateway.live.events import HEARTBEAT, as_sse, comment, notification, presence, read_id
from api_gateway.live.inbox import GONE, Ending, Inbox
from api_gateway.live.newest import Newest
from api_gateway.live.streams import Streams
from api_gateway.live.telling import ToldUntil, tell
from api_gateway.refusals import ROOT
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import TooManyStreams, VehicleUnknown
from api_gateway.v1.events.audience import every, one, rights_of
from api_gateway.v1.reach import Readable
from ovms.bus.presence import Peers
from ovms.records import DistanceUnit

router = APIRouter(prefix=ROOT, tags=["live"])

_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # nginx would keep events back until it has a page full of them.
    (b"x-accel-buffering", b"no"),
]

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The last id that the caller has seen: what has changed since is told"),
]
LastEventIdInQuery = Annotated[
    str | None, Query(alias="last_event_id", description="The same, for callers that cannot set a header")
]
Watch = Annotated[
    str | None,
    Query(description="`1`: count as an app of the vehicles while the stream lasts, so that cars report more often"),
]


class _Wishes(NamedTuple):
    known_until: float | None
    """Unix time."""
    watches: bool


class EventStream(Response):
    """An answer that goes on."""

    def __init__(
        self, streams: Streams, attendances: Attendances, caller: Caller, find: Find, wishes: _Wishes, first: Audience | None
    ) -> None:
        self._streams = streams
        self._attendances = attendances
        self._caller = caller
        self._find = find
        self._wishes = wishes
        self._first = first
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until the caller goes, or may know no more, or the service ends."""
        attendances = self._attendances
        with self._streams.opened(self._caller, self._wishes.known_until) as inbox:
            async with attendances.attending(self._caller, inbox, self._find, watches=self._wishes.watches, first=self._first):
                allow_any_time(scope)
                await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
                leaving = asyncio.create_task(_await_leave(receive, inbox))
                try:
                    await tell(inbox, _Sse(send), attendances.every)
                except TimeoutError:
                    scope[ABORT]()
                finally:
                    leaving.cancel()


class _Sse:
    """The reader's end of it."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def tell(self, told: Sequence[ToldUntil]) -> None:
        await self._write(b"".join([as_sse(event, until) for event, until in told]))

    async def beat(self) -> None:
        await self._write(HEARTBEAT)

    async def end(self, ending: Ending) -> None:
        await self._write(comment(ending.reason), more=False)

    async def _write(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


async def _await_leave(receive: Receive, inbox: Inbox) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    inbox.end(GONE)


Make = Callable[[Caller, Find, Audience | None], EventStream]


async def _make(
    request: Request,
    clock: ClockDep,
    callers: CallersDep,
    streams: StreamsDep,
    attendances: AttendancesDep,
    last: LastEventId = None,
    last_in_query: LastEventIdInQuery = None,
    watch: Watch = None,
) -> Make:
    wishes = _Wishes(read_id(last or last_in_query, clock()), watch == "1")

    def make(caller: Caller, find: Find, first: Audience | None) -> EventStream:
        if wishes.watches:  # it makes cars report more often: it counts as any call that changes something
            callers.check_site(request.scope, caller)
        return EventStream(streams, attendances, caller, find, wishes, first)

    return make


MakeDep = Annotated[Make, Depends(_make)]


async def _events_of_one(reach: Readable, pool: PoolDep, make: MakeDep) -> Response:
    caller, vehicle = reach.caller, reach.vehicle
    return make(caller, one(pool, caller, vehicle.vehicle_id), {vehicle: rights_of(caller, vehicle)})


async def _events_of_all(caller: Reader, pool: PoolDep, make: MakeDep) -> Response:
    return make(caller, every(pool, caller), None)


def _example() -> str:
    time = examples.SENT_AT
    state = Newest("DEMO", "S", examples.TEXTS["S"].encode(), time, DistanceUnit.KILOMETRES, is_sealed=False)
    told: Sequence[ToldUntil] = (
        (presence("DEMO", Peers(car=1, apps=1, batch=0, http=0)), None),
        (state, float(time)),
        (notification("DEMO", "A", "Charging has been interrupted", time + 2), time + 2.0),
    )
    return b"".join(as_sse(event, until) for event, until in told).decode()


_DESCRIPTION: Final = """\
{what} as Server-Sent Events: first the newest of everything, then every change. The `data` of an event is JSON; `vehicle` in it
is the vehicle's id.

- `state` (needs `read`, `location` for where the vehicle is): the newest record of a kind, with `code`, `name`, `received_at`,
  `values` and `units` as the call `state` gives them. Where `sealed` is true the vehicle encrypts it, and there are neither
  values nor units.
- `presence` (`read`): who is connected now, `connected` (the car), `apps` and `batch_clients`.
- `notification` (`history`): `type` (`alert`, `error` or `info`), `text` and `received_at`. Without `location`
  coordinates in the text are left out.
- `command` (the command's own `scope`): a command, at every change of its state.
- `missed`: notifications and changes of commands after the time `since` may not have been told; their own calls have them.

An `id` is a time until which everything has been told. A caller that gives the last one in `Last-Event-ID`, as browsers do by
themselves, is told the newest of what has changed since, at any replica of the server, some of it again, and `missed`. For a
caller that reads slowly only the newest of a state waits.

A comment comes after 15 seconds (a setting) in which nothing else does. The stream ends, with a comment that says why, when the
server stops, or when the credential or the share ends; with a session cookie when the session does, which `watch=1` prolongs.
Without `watch=1` cars report no more often for it.

**WebSocket.** The same path, upgraded, gives the same in text frames, `{{"event":…,"id":…,"data":{{…}}}}`; `id` is null where
there is none. A client that cannot send a header with the handshake sends `{{"authorization":"Bearer <token>"}}`, or `Basic …`,
as its first frame, where `last_event_id` may stand as well. A cookie counts only from pages of this server and of the origins
that a setting lists. A refusal after the handshake closes with code 4000 and the status added, such as 4401, the end of the
server with 1001.

`curl -N -u demo:demo http://127.0.0.1:6868/api/v1/{path}`
"""


# Of one event of the stream: the fields of its lines (HTML, 9.2.6), as tools for streams of events read the schema.
_EVENT: Final = {
    "type": "object",
    "description": "One event",
    "properties": {
        "event": {"type": "string", "description": "Its kind"},
        "data": {"type": "string", "description": "JSON"},
        "id": {"type": "string", "description": "For Last-Event-ID"},
    },
    "required": ["data"],
}


def _add(path: str, call: Callable[..., Awaitable[Response]], summary: str, what: str, refusals: dict[int | str, Any]) -> None:
    stream = {"schema": _EVENT, "example": _example()}
    router.add_api_route(
        path,
        call,
        methods=["GET"],
        summary=summary,
        description=_DESCRIPTION.format(what=what, path=path.removeprefix("/").format(vehicle_id="DEMO")),
        response_class=Response,
        responses={200: {"description": "The events", "content": {"text/event-stream": stream}}, **refusals},
        openapi_extra=dict(SIGNED_IN),
        operation_id=f"v1_{call.__name__.removeprefix('_')}",
    )


_add(
    "/events",
    _events_of_all,
    "Events of all your vehicles",
    "Tell what happens to your vehicles and those that others share with you, also those that are added meanwhile,",
    problems(TooManyStreams),
)
_add(
    "/vehicles/{vehicle_id}/events",
    _events_of_one,
    "Events of one vehicle",
    "Tell what happens to a vehicle,",
    problems(VehicleUnknown, TooManyStreams),
)
