"""The composition root: routes, what they work with, and what stands around them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Scope

from api_gateway import health
from api_gateway.answers import Plain
from api_gateway.confirmation import routes as confirmation
from api_gateway.documentation.pages import add_pages
from api_gateway.edge.cors import Origins, Preflights
from api_gateway.edge.fields import AnswerFields
from api_gateway.edge.head_requests import HeadRequests
from api_gateway.edge.limits import rate_fields
from api_gateway.edge.paths import LegacyPaths
from api_gateway.edge.requests import Requests
from api_gateway.edge.security import SecurityFields
from api_gateway.errors import (
    ApiError,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
    UnknownCall,
)
from api_gateway.legacy import control, cookie, history, state, token, vehicles
from api_gateway.metrics import Metrics
from api_gateway.mqapi import routes as mqapi
from api_gateway.refusals import is_typed, refusal
from api_gateway.resources import UNAVAILABLE, Resources, open_resources
from api_gateway.settings import Settings
from api_gateway.shared import page
from api_gateway.tracing import TracedRequests
from api_gateway.v1.account import (
    audit,
    incoming_shares,
    leaving,
    links,
    profile,
    registration,
    shares,
    sign_up,
    silence,
    subscriptions,
)
from api_gateway.v1.account import tokens as account_tokens
from api_gateway.v1.commands import routes as typed_commands
from api_gateway.v1.errors import InvalidRequest
from api_gateway.v1.events import sockets, sse
from api_gateway.v1.history import routes as typed_history
from api_gateway.v1.history.track import routes as track
from api_gateway.v1.vehicle import presence, subjects
from api_gateway.v1.vehicle import state as typed_state
from ovms.auth.passwords import Overloaded
from ovms.bus.cars import TooManyQuestions
from ovms.db.sealing import Sealer
from ovms.outages import report_outage, store_of

if TYPE_CHECKING:
    from ovms.tracing import Traces

DISTRIBUTION: Final = "ovms-api-gateway"
UNREAD: Final = {"pointer": "#", "detail": "The body cannot be read"}
NO_TELEMETRY: Final[TelemetryConfig] = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}
"""Traces and metrics are ours, which tell no vehicle; FastAPI would look at each call whether it is to make its own."""
METHODS: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")


class State(TypedDict):
    """What the lifespan hands to every request."""

    resources: Resources
    drain: Callable[[], None]


Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[State]]


def create_app(
    settings: Settings, sealer: Sealer, log: Any, metrics: Metrics | None = None, traces: "Traces | None" = None
) -> ASGIApp:
    """The whole service as one ASGI application."""
    app = make_api(_lifespan(settings, sealer, log, metrics, traces))
    _add_error_handlers(app, log)
    origins = Origins(settings.cors_origins)
    requests = Requests(Preflights(LegacyPaths(HeadRequests(app)), origins), log, metrics)
    served = AnswerFields(requests, rate_fields, origins.fields, SecurityFields(settings.hsts))
    return served if traces is None else TracedRequests(served, traces)


def make_api(lifespan: Lifespan | None = None) -> FastAPI:
    """All routes; without a lifespan they can be described, and not called."""
    app = FastAPI(
        version=version(DISTRIBUTION),
        lifespan=lifespan,
        telemetry=NO_TELEMETRY,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    _add_routes(app)
    return app


def _operation_id(route: APIRoute) -> str:
    """What a client that is generated from the document calls the call: `tokens_create`, where the route says nothing else."""
    subject = str(route.tags[0]).replace(" ", "_") if route.tags else "other"
    return f"{subject}_{route.name}"


def _lifespan(settings: Settings, sealer: Sealer, log: Any, metrics: Metrics | None, traces: "Traces | None") -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with open_resources(settings, sealer, log, traces) as resources:
            if metrics is not None:
                metrics.watch(resources)
            yield State(resources=resources, drain=resources.streams.drain)

    return lifespan


def _add_routes(app: FastAPI) -> None:
    # What is polled most comes first: routes are tried in order. And not as a router of its own, which is a tenth of a call.
    app.router.routes.extend(state.make_router().routes)
    app.include_router(vehicles.router)
    app.include_router(cookie.router)
    app.include_router(history.router)
    app.include_router(token.router)
    app.include_router(mqapi.router)
    app.include_router(typed_state.router)
    app.include_router(subjects.router)
    app.include_router(typed_history.router)
    app.include_router(track.router)
    app.include_router(presence.router)
    app.include_router(profile.router)
    app.include_router(leaving.router)
    app.include_router(audit.router)
    app.include_router(sign_up.router)
    app.include_router(account_tokens.router)
    app.include_router(registration.router)
    app.include_router(shares.router)
    app.include_router(incoming_shares.router)
    app.include_router(silence.router)
    app.include_router(links.router)
    app.include_router(subscriptions.router)
    app.include_router(page.make_router())
    app.include_router(confirmation.router)
    app.include_router(typed_commands.router)
    app.include_router(sse.router)
    app.router.routes.extend(sockets.routes())
    app.include_router(control.make_router())
    app.include_router(health.router)
    add_pages(app)


def _add_error_handlers(app: FastAPI, log: Any) -> None:
    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return refusal(request.scope, error)

    async def unavailable(request: Request, error: Exception) -> Response:
        report_outage(log, store_of(error), "requests are answered 503", error)
        return refusal(request.scope, ServiceUnavailable)

    async def not_now(request: Request, _: Exception) -> Response:
        return refusal(request.scope, ServiceUnavailable)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        # What cannot be read at all, such as JSON that is no UTF-8, is this to FastAPI.
        if error.status_code == 400:
            return refusal(request.scope, InvalidRequest(UNREAD))
        allowed = _methods_of(app, request.scope)
        if allowed and request.method == "OPTIONS":
            return Plain(b"", 200, (b"allow", ", ".join(allowed).encode()))
        return refusal(request.scope, _unknown(request.scope["path"], allowed))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return refusal(request.scope, InvalidRequest.from_faults(error.errors()))

    app.add_exception_handler(ApiError, refuse)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, unknown)
    for error in UNAVAILABLE:
        app.add_exception_handler(error, unavailable)
    app.add_exception_handler(TooManyQuestions, not_now)
    app.add_exception_handler(Overloaded, not_now)
    app.add_exception_handler(ClientDisconnect, not_now)


def _methods_of(app: FastAPI, scope: Scope) -> list[str]:
    """The methods that a path has; of an unknown path there are none."""
    found = [method for method in METHODS if _has_route(app, {**scope, "method": method})]
    return sorted({*found, "OPTIONS", *(["HEAD"] if "GET" in found else [])}) if found else []


def _unknown(path: str, allowed: Sequence[str]) -> ApiError | type[ApiError]:
    """What is wrong with a request that no route takes."""
    is_legacy = path == "/api" or path.startswith(("/api/", "/mqapi/"))
    # The reference tells no unknown path from a method that a call does not have.
    if allowed and (is_typed(path) or not is_legacy):
        return MethodNotAllowed(allowed)
    return UnknownCall if is_legacy else NotFound


def _has_route(app: FastAPI, scope: Scope) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)
