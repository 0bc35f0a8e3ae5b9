"""The calls that the API's manual lists as not yet implemented; the reference signs their callers in and says so."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from api_gateway.dependencies import CallerDep
from api_gateway.errors import AuthenticationFailed, NotImplementedYet, ServiceUnavailable, answers
from api_gateway.legacy.declared import SIGNED_IN
from api_gateway.legacy.vehicle_ids import TO_THE_END, VehicleId

# The manual has `feature` and `parameter` where the reference listens to `features` and `parameters`: both answer here.
CALLS: Final = (
    ("PUT", "charge", "Set the charge status"),
    ("DELETE", "charge", "Abort a charge"),
    ("GET", "lock", "Read the lock status"),
    ("PUT", "lock", "Lock"),
    ("DELETE", "lock", "Unlock"),
    ("GET", "valet", "Read the valet status"),
    ("PUT", "valet", "Enable valet mode"),
    ("DELETE", "valet", "Disable valet mode"),
    ("GET", "features", "Read the features"),
    ("PUT", "features", "Set a feature"),
    ("PUT", "feature", "Set a feature"),
    ("GET", "parameters", "Read the parameters"),
    ("PUT", "parameters", "Set a parameter"),
    ("PUT", "parameter", "Set a parameter"),
    ("PUT", "reset", "Reset the module"),
    ("PUT", "homelink", "Activate a home link"),
)


def make_router() -> APIRouter:
    """One route a call."""
    router = APIRouter(prefix="/api", tags=["not yet implemented"])
    for method, call, meaning in CALLS:
        router.add_api_route(
            f"/{call}/{TO_THE_END}",
            _refusal(),
            methods=[method],
            summary=meaning,
            description="Announced in the API's manual and not implemented: always answers 501.",
            response_class=Response,
            status_code=501,
            responses=answers(NotImplementedYet, AuthenticationFailed, ServiceUnavailable),
            openapi_extra=dict(SIGNED_IN),
            operation_id=f"{method.lower()}_{call}",
        )
    return router


def _refusal() -> Callable[..., Coroutine[Any, Any, Response]]:
    async def refuse(vehicle_id: VehicleId, caller: CallerDep) -> Response:  # noqa: ARG001  the caller is signed in first
        raise NotImplementedYet

    return refuse
