"""Signing in and out with a session cookie."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from api_gateway.answers import text_answer
from api_gateway.auth.authenticator import Caller
from api_gateway.auth.credentials import COOKIE
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import ResourcesDep, holding
from api_gateway.errors import AuthenticationFailed, InsufficientRights, ServiceUnavailable, answers
from api_gateway.legacy.declared import TEXT, answer

router = APIRouter(prefix="/api/cookie", tags=["session"])

SessionHolder = Annotated[Caller, Depends(holding("session"))]

_ERRORS: Final = answers(AuthenticationFailed, InsufficientRights, ServiceUnavailable)
_COOKIE: Final = {
    "description": "The session cookie, exactly `name=value`",
    "schema": {"type": "string", "example": f"{COOKIE}=Zk3vXo7mYl0"},
}


def _login_answers() -> dict[int | str, dict[str, Any]]:
    declared = answer("Signed in", "Login ok\n", kind=TEXT)
    declared[200]["headers"] = {"Set-Cookie": _COOKIE}
    return declared


@router.get(
    "",
    summary="Sign in",
    response_class=Response,
    responses=_login_answers() | _ERRORS,
    openapi_extra=dict(SIGNED_IN),
)
async def login(caller: SessionHolder, resources: ResourcesDep) -> Response:
    """Begin a session and return its cookie.

    The session lives for six minutes (a setting) from here or from the last `GET /api/vehicle/{vehicle_id}`, then calls with
    its cookie answer 401. A session that the call came with ends. An API token needs the right `session`.
    """
    await resources.connections.end(caller)
    session = await resources.sessions.create(caller.login)
    return text_answer("Login ok", headers={"Set-Cookie": f"{COOKIE}={session}"})


@router.delete(
    "",
    summary="Sign out",
    response_class=Response,
    responses=answer("Signed out", "Logout ok\n", kind=TEXT) | _ERRORS,
    openapi_extra=dict(SIGNED_IN),
)
async def logout(caller: SessionHolder, resources: ResourcesDep) -> Response:
    """End the session; its vehicles are disconnected at once. An API token needs the right `session`."""
    await resources.connections.end(caller)
    return text_answer("Logout ok")
