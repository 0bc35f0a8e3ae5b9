"""What routes ask for, by name."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.types import Scope

from api_gateway.auth.authenticator import Caller
from api_gateway.edge.server import KNOWN
from api_gateway.errors import AuthenticationFailed, CrossSite, InsufficientRights
from api_gateway.refusals import is_typed
from api_gateway.resources import Resources
from ovms.auth.delays import network
from ovms.auth.rights import ADMIN, CONTROL, HISTORY, READ, permits

_ACTING: Final = ("/api/cookie", "/api/vehicle/", "/api/features/", "/api/parameters/")
"""Calls with GET that change something all the same: they start a session, or make the car do something."""


def resources_of(request: Request) -> Resources:
    """The parts, for calls that are polled so often that a dependency more is felt."""
    return cast("Resources", request.scope["state"]["resources"])


async def _resources(request: Request) -> Resources:
    return resources_of(request)


async def caller_of(request: Request) -> Caller:
    """Return the caller of a request; the credential stands."""
    scope = request.scope
    return await find_caller(scope, resources_of(request), scope["headers"], scope["query_string"])


async def claimant_of(request: Request) -> Caller:
    """Return the caller of a polled read, whose own statement says whether the credential still stands."""
    scope, resources = request.scope, resources_of(request)
    address = partial(resources.proxies.address_of, scope)
    authenticate = resources.authenticator.authenticate
    caller = await authenticate(scope["headers"], scope["query_string"], address, checks_later=True)
    resources.limits.take(scope, (caller.owner_id, caller.login.proof))
    return caller


async def find_caller(scope: Scope, resources: Resources, headers: Iterable[tuple[bytes, bytes]], query: bytes) -> Caller:
    """Return the caller with these headers and this query, and count the call.

    Raises:
        CrossSite: a page of another site sends a session cookie along with a call that changes something.
    """
    address = partial(resources.proxies.address_of, scope)
    try:
        caller = await resources.authenticator.authenticate(headers, query, address)
    except AuthenticationFailed:
        if is_typed(scope["path"]):
            resources.limits.take(scope, network(address()))
        raise
    resources.limits.take(scope, (caller.owner_id, caller.login.proof))
    if (known := scope["state"].get(KNOWN)) is not None:
        known(scope["client"])
    if scope.get("method", "GET") not in ("GET", "HEAD") or scope["path"].startswith(_ACTING):
        check_site(scope, resources, caller)
    return caller


def check_site(scope: Scope, resources: Resources, caller: Caller) -> None:
    """Raise `CrossSite` where only the session cookie signs a caller in, and a page of another site sends it.

    Browsers attach cookies to requests of any page, so a cookie alone does not say that the caller wants the call.
    """
    if caller.session is None:
        return
    headers = Headers(scope=scope)
    if not resources.origins.allow_cookie(headers.get("origin"), headers.get("host"), headers.get("sec-fetch-site")):
        raise CrossSite


ResourcesDep = Annotated[Resources, Depends(_resources)]
CallerDep = Annotated[Caller, Depends(caller_of)]


def allowed(*scopes: str) -> Callable[[Caller], Awaitable[Caller]]:
    """The caller, whose credential must allow what each of these scopes stands for."""

    async def check(caller: CallerDep) -> Caller:
        if not all(caller.may(scope) for scope in scopes):
            raise InsufficientRights
        return caller

    return check


Reader = Annotated[Caller, Depends(allowed(READ))]
HistoryReader = Annotated[Caller, Depends(allowed(HISTORY))]
Controller = Annotated[Caller, Depends(allowed(CONTROL))]


def with_all(check: Callable[..., Awaitable[Caller]]) -> Callable[[Caller], Awaitable[Caller]]:
    """The caller whom a check lets in, whose credential must be for all that is his."""

    async def check_all(caller: Annotated[Caller, Depends(check)]) -> Caller:
        # What is for some vehicles may do all with those, and nothing with the account that they belong to.
        if caller.login.vehicles is not None:
            raise InsufficientRights
        return caller

    return check_all


AccountAdmin = Annotated[Caller, Depends(with_all(allowed(ADMIN)))]
"""The caller, with his password or a token that may do all that it may: not one that is for some vehicles."""


def holding(*rights: str) -> Callable[[Caller], Awaitable[Caller]]:
    """The caller, who must hold one of these rights."""

    async def check(caller: CallerDep) -> Caller:
        if not permits(caller.login.permit, *rights):
            raise InsufficientRights
        return caller

    return check
