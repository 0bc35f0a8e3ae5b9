"""The composition root: routes, what they work with, and what stands around them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any, Final, TypedDict

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp

from api_gateway import health
from api_gateway.documentation.pages import add_pages
from api_gateway.edge.cors import CrossOrigin, Origins
from api_gateway.edge.paths import LegacyPaths
from api_gateway.edge.requests import Requests
from api_gateway.errors import ApiError, NotFound, ServiceUnavailable, UnknownCall
from api_gateway.legacy import control, cookie, history, state, token, vehicles
from api_gateway.metrics import Metrics
from api_gateway.mqapi import routes as mqapi
from api_gateway.refusals import refusal
from api_gateway.resources import UNAVAILABLE, Resources, open_resources
from api_gateway.settings import Settings
from api_gateway.v1 import state as typed_state
from api_gateway.v1 import vehicles as typed_vehicles
from ovms.auth.passwords import Overloaded
from ovms.db.sealing import Sealer

DISTRIBUTION: Final = "ovms-api-gateway"


class State(TypedDict):
    """What the lifespan hands to every request."""

    resources: Resources


def create_app(settings: Settings, sealer: Sealer, log: Any, metrics: Metrics | None = None) -> ASGIApp:
    """The whole service as one ASGI application."""
    app = FastAPI(
        version=version(DISTRIBUTION),
        lifespan=_lifespan(settings, sealer, log),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    _add_routes(app)
    _add_error_handlers(app, log)
    return Requests(CrossOrigin(LegacyPaths(app), Origins(settings.cors_origins)), log, metrics)


def _lifespan(settings: Settings, sealer: Sealer, log: Any) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with open_resources(settings, sealer, log) as resources:
            yield State(resources=resources)

    return lifespan


def _add_routes(app: FastAPI) -> None:
    # What is polled most comes first: routes are tried in order.
    app.include_router(state.make_router())
    app.include_router(vehicles.router)
    app.include_router(cookie.router)
    app.include_router(history.router)
    app.include_router(token.router)
    app.include_router(mqapi.router)
    app.include_router(typed_state.router)
    app.include_router(typed_vehicles.router)
    app.include_router(control.make_router())
    app.include_router(health.router)
    add_pages(app)


def _add_error_handlers(app: FastAPI, log: Any) -> None:
    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return refusal(request.scope, error)

    async def away(request: Request, error: Exception) -> Response:
        log.warning("a call cannot be answered now", error=type(error).__name__)
        return refusal(request.scope, ServiceUnavailable)

    async def unknown(request: Request, _: Exception) -> Response:
        # No such path, or no such method at this path: the reference tells neither from the other.
        path = request.scope["path"]
        known = path == "/api" or path.startswith(("/api/", "/mqapi/"))
        return refusal(request.scope, UnknownCall if known else NotFound)

    app.add_exception_handler(ApiError, refuse)
    app.add_exception_handler(HTTPException, unknown)
    for error in UNAVAILABLE:
        app.add_exception_handler(error, away)
    app.add_exception_handler(Overloaded, away)
    app.add_exception_handler(ClientDisconnect, away)
