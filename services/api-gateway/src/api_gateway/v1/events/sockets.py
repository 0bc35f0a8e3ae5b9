"""What vehicles send, as it comes, over WebSockets: what `events` tells, in text frames."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api_gateway.auth.authenticator import Caller
from api_gateway.auth.callers import Callers
from api_gateway.auth.credentials import from_query, headers_of
from api_gateway.dependencies import parts_of
from api_gateway.edge.websocket import ABORT, LOGGED_IN
from api_gateway.errors import ApiError, AuthenticationFailed, InsufficientRights, ServiceUnavailable
from api_gateway.live.attendance import REFUSED, Find
from api_gateway.live.events import as_frame, read_id
from api_gateway.live.inbox import GONE, Ending, Inbox
from api_gateway.live.telling import ToldUntil, tell
from api_gateway.refusals import ROOT, refusal
from api_gateway.resources import UNAVAILABLE
from api_gateway.v1.events.audience import every, one
from ovms.auth.delays import network
from ovms.auth.passwords import Overloaded
from ovms.auth.rights import READ
from ovms.db.engine import Pool

INTRODUCTION_WITHIN: Final = 10.0
"""Seconds for a client to say who it is."""

Finder = Callable[[Pool, Caller, WebSocket], Find]


def routes() -> list[WebSocketRoute]:
    """The paths that can be upgraded."""
    return [
        WebSocketRoute(f"{ROOT}/events", _endpoint(lambda pool, caller, _: every(pool, caller))),
        WebSocketRoute(
            f"{ROOT}/vehicles/{{vehicle_id}}/events",
            _endpoint(lambda pool, caller, socket: one(pool, caller, socket.path_params["vehicle_id"])),
        ),
    ]


def _endpoint(finder: Finder) -> Callable[[WebSocket], Any]:
    async def serve(socket: WebSocket) -> None:
        with suppress(WebSocketDisconnect):  # also of who leaves before he is told that he is refused
            try:
                await _serve(socket, finder)
            except ApiError as error:
                await _refuse(socket, error)
            except (*UNAVAILABLE, Overloaded):
                await _refuse(socket, ServiceUnavailable())

    return serve


async def _serve(socket: WebSocket, finder: Finder) -> None:
    parts = parts_of(socket.scope)
    callers, streams, attendances = parts.callers, parts.streams, parts.attendances
    last = socket.headers.get("last-event-id") or socket.query_params.get("last_event_id")
    caller = await _caller_of_handshake(callers, socket)
    if caller is None:
        with streams.unknown(network(callers.proxies.address_of(socket.scope))):
            await socket.accept()
            authorization, told_last = await _introduction(socket)
            headers = [(b"authorization", authorization.encode("latin-1", "replace"))]
            caller, last = await callers.find(socket.scope, headers, b""), told_last or last
    socket.scope[LOGGED_IN]()
    if not caller.may(READ):
        raise InsufficientRights
    watches = socket.query_params.get("watch") == "1"
    with streams.opened(caller, read_id(last, parts.clock())) as inbox:
        find = finder(parts.pool, caller, socket)
        async with attendances.attending(caller, inbox, find, watches=watches):
            if socket.application_state == WebSocketState.CONNECTING:
                await socket.accept()
            await _tell(socket, inbox, attendances.every)


async def _tell(socket: WebSocket, inbox: Inbox, heartbeat: float) -> None:
    leaving = asyncio.create_task(_await_leave(socket, inbox))
    try:
        await tell(inbox, _Frames(socket), heartbeat)
    except TimeoutError:
        socket.scope[ABORT]()
    finally:
        leaving.cancel()


async def _caller_of_handshake(callers: Callers, socket: WebSocket) -> Caller | None:
    """Who the handshake says that it is; None where it does not say it."""
    headers, query = socket.scope["headers"], socket.scope["query_string"]
    said = socket.headers
    if not callers.origins.allow_cookie(said.get("origin"), said.get("host"), said.get("sec-fetch-site")):
        # Browsers send it from pages of any origin, and keep what a WebSocket tells from none of them.
        headers = [(name, value) for name, value in headers if name != b"cookie"]
    _, authorization = headers_of(headers)
    try:
        return await callers.find(socket.scope, headers, query)
    except AuthenticationFailed:
        if authorization is not None or from_query(query) is not None:
            raise
        return None


async def _introduction(socket: WebSocket) -> tuple[str, str | None]:
    """What the first frame says: who it is, and the last id that it has seen."""
    try:
        async with asyncio.timeout(INTRODUCTION_WITHIN):
            said = orjson.loads(await socket.receive_text())
    except (TimeoutError, KeyError, ValueError):
        raise AuthenticationFailed from None
    authorization = said.get("authorization") if isinstance(said, dict) else None
    if not isinstance(authorization, str):
        raise AuthenticationFailed
    last = said.get("last_event_id")
    return authorization, last if isinstance(last, str) else None


async def _refuse(socket: WebSocket, error: ApiError) -> None:
    if socket.application_state == WebSocketState.CONNECTING:
        await socket.send_denial_response(refusal(socket.scope, error))
    elif socket.application_state == WebSocketState.CONNECTED:
        await socket.close(REFUSED + error.status, error.detail)


async def _await_leave(socket: WebSocket, inbox: Inbox) -> None:
    """Hear the client out: what it says has no meaning any more."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    inbox.end(GONE)


class _Frames:
    """The reader's end of it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def tell(self, told: Sequence[ToldUntil]) -> None:
        for event, until in told:
            await self._socket.send_text(as_frame(event, until))

    async def beat(self) -> None:
        """The protocol's own pings do that."""

    async def end(self, ending: Ending) -> None:
        await self._socket.close(ending.code, ending.reason)
