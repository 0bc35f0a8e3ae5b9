"""Signing in and out with a session cookie."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from api_gateway.answers import text_answer
from api_gateway.auth.authenticator import Caller
from api_gateway.auth.credentials import COOKIE
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import ConnectionsDep, ProxiesDep, SessionsDep, holding
from api_gateway.edge.addresses import Proxies
from api_gateway.errors import AuthenticationFailed, CrossSite, InsufficientRights, ServiceUnavailable, answers
from api_gateway.legacy.declared import TEXT, answer

router = APIRouter(prefix="/api/cookie", tags=["session"])

SessionHolder = Annotated[Caller, Depends(holding("session"))]

_ERRORS: Final = answers(AuthenticationFailed, InsufficientRights, CrossSite, ServiceUnavailable)
_COOKIE: Final = {
    "description": "The session cookie: exactly `name=value`; for browsers with `HttpOnly`, `SameSite` and, over TLS, `Secure`",
    "schema": {"type": "string", "example": f"{COOKIE}=7.Zk3vXo7mYl0"},
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
async def login(
    request: Request, caller: SessionHolder, connections: ConnectionsDep, sessions: SessionsDep, proxies: ProxiesDep
) -> Response:
    """Begin a session and return its cookie.

    The session lives for six minutes (a setting) from here or from the last `GET /api/vehicle/{vehicle_id}`, and only while the
    password or token that began it stands; then calls with its cookie answer 401. A session that the call came with ends. An
    owner has at most 50 sessions: for a further one the session that was not renewed for the longest time ends. An API token
    needs the right `session`.
    """
    await connections.end(caller)
    session = await sessions.create(caller.login)
    return text_answer("Login ok", headers={"Set-Cookie": _cookie(session, request.scope, proxies)})


def _cookie(session: str, scope: Scope, proxies: Proxies) -> str:
    """Return the cookie of a session; programs that are no browser take all that follows the name for the value."""
    cookie = f"{COOKIE}={session}"
    if "sec-fetch-site" not in Headers(scope=scope):
        return cookie
    return f"{cookie}; HttpOnly; SameSite=Lax" + ("; Secure" if proxies.is_over_tls(scope) else "")


@router.delete(
    "",
    summary="Sign out",
    response_class=Response,
    responses=answer("Signed out", "Logout ok\n", kind=TEXT) | _ERRORS,
    openapi_extra=dict(SIGNED_IN),
)
async def logout(caller: SessionHolder, connections: ConnectionsDep) -> Response:
    """End the session; its vehicles are disconnected at once. An API token needs the right `session`."""
    await connections.end(caller)
    return text_answer("Logout ok")
