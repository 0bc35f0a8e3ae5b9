"""One line in the log and one count in the metrics for each request, and an end to those that take too long.

A line holds the method, the route's template, the status and the milliseconds: no query, cookie, credential, vehicle or
position can be in it.
"""

import time
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_gateway.edge.deadlines import Deadlines
from api_gateway.errors import InternalError, ServiceUnavailable
from api_gateway.metrics import Metrics
from api_gateway.refusals import refusal

DEADLINE: Final = 25.0
UNKNOWN_ROUTE: Final = "-"
CLOSED_BY_A_FAULT: Final = 1011

# What the first answer to a WebSocket's handshake means as a status.
_STATUSES: Final = {"websocket.accept": 101, "websocket.close": 403}


class Requests:
    """Middleware around everything else."""

    def __init__(self, app: ASGIApp, log: Any, metrics: Metrics | None, *, deadline: float = DEADLINE) -> None:
        self._app = app
        self._log = log
        self._metrics = metrics
        self._deadlines = Deadlines(deadline)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            async with self._deadlines.limit(scope):
                await self._app(scope, receive, watch)
        except TimeoutError:
            if not status:
                await refusal(scope, ServiceUnavailable)(scope, receive, watch)
        except Exception as error:  # noqa: BLE001  the edge: nothing that fails behind it may reach the server
            self._log.error("request failed", route=_route(scope), exc_info=error)
            if not status:
                await refusal(scope, InternalError)(scope, receive, watch)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if not status:
                status = _STATUSES.get(message["type"]) or message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001  the edge, as above
            self._log.error("request failed", route=_route(scope), exc_info=error)
            await send({"type": "websocket.close", "code": CLOSED_BY_A_FAULT})
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = scope.get("method", "GET"), _route(scope)
        self._log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 2))
        if self._metrics is not None:
            self._metrics.count(method, route, status, seconds)


def _route(scope: Scope) -> str:
    route = scope.get("route")
    return getattr(route, "path_format", None) or getattr(route, "path", None) or UNKNOWN_ROUTE
