"""One line in the log and one count in the metrics for each request, an id for it, and an end to those that take too long.

A line holds the id, the method, the route's template, the status and the milliseconds: no query, cookie, credential, vehicle
or position can be in it.
"""

import time
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_gateway.edge.deadlines import deadline as deadline_of
from api_gateway.edge.request_ids import HEADER, request_id
from api_gateway.errors import InternalError, ServiceUnavailable
from api_gateway.refusals import refusal
from ovms.logs import REQUEST_ID

DEADLINE: Final = 25.0
UNKNOWN_ROUTE: Final = "-"
CLOSED_BY_A_FAULT: Final = 1011

# What the first answer to a WebSocket's handshake means as a status.
_STATUSES: Final = {"websocket.accept": 101, "websocket.close": 403}


class Counts(Protocol):
    """Where requests are counted."""

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""


class Requests:
    """Middleware around everything else."""

    def __init__(self, app: ASGIApp, log: Any, metrics: Counts | None, *, deadline: float = DEADLINE) -> None:
        self._app = app
        self._log = log
        self._metrics = metrics
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = request_id(scope["headers"])
        serve = self._serve if scope["type"] == "http" else self._serve_websocket
        outer = REQUEST_ID.set(given)
        try:
            await serve(scope, receive, send, (HEADER, given.encode()))
        finally:
            REQUEST_ID.reset(outer)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, told: tuple[bytes, bytes]) -> None:
        status, answered = 0, None
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                message["headers"] = [*message["headers"], told]
            await send(message)

        try:
            async with deadline_of(scope, self._deadline):
                await self._app(scope, receive, watch)
        except TimeoutError:
            if not status:
                await refusal(scope, ServiceUnavailable)(scope, receive, watch)
        except Exception as error:  # noqa: BLE001  the edge: nothing that fails behind it may reach the server
            self._log.error("request failed", route=route_of(scope), exc_info=error)
            if not status:
                await refusal(scope, InternalError)(scope, receive, watch)
        finally:
            self._note(scope, status, began, answered)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send, told: tuple[bytes, bytes]) -> None:
        status, answered = 0, None
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status, answered
            if not status:
                answered = time.perf_counter()
                status = _STATUSES.get(message["type"]) or message["status"]
                message["headers"] = [*message.get("headers", ()), told]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001  the edge, as above
            self._log.error("request failed", route=route_of(scope), exc_info=error)
            await send({"type": "websocket.close", "code": CLOSED_BY_A_FAULT})
        finally:
            self._note(scope, status, began, answered)

    def _note(self, scope: Scope, status: int, began: float, answered: float | None) -> None:
        method, route, now = scope.get("method", "GET"), route_of(scope), time.perf_counter()
        self._log.info("request", method=method, route=route, status=status, ms=round((now - began) * 1000, 2))
        if self._metrics is not None:
            # A stream of events ends when its reader goes: that says nothing of how fast it was answered.
            self._metrics.count(method, route, status, (answered or now) - began)


def route_of(scope: Scope) -> str:
    """The template of the path of a request that has been routed."""
    route = scope.get("route")
    return getattr(route, "path_format", None) or getattr(route, "path", None) or UNKNOWN_ROUTE
