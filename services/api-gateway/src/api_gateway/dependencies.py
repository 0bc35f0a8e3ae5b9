"""What routes ask for, by name."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.types import Scope

from api_gateway.auth.authenticator import Caller
from api_gateway.errors import AuthenticationFailed, InsufficientRights
from api_gateway.refusals import is_typed
from api_gateway.resources import Resources
from ovms.auth.delays import network
from ovms.auth.rights import ADMIN, CONTROL, HISTORY, READ, permits


def resources_of(request: Request) -> Resources:
    """The parts, for calls that are polled so often that a dependency more is felt."""
    return cast("Resources", request.scope["state"]["resources"])


async def _resources(request: Request) -> Resources:
    return resources_of(request)


async def caller_of(request: Request) -> Caller:
    """Who calls, for the same calls."""
    scope = request.scope
    return await find_caller(scope, resources_of(request), scope["headers"], scope["query_string"])


async def find_caller(scope: Scope, resources: Resources, headers: Iterable[tuple[bytes, bytes]], query: bytes) -> Caller:
    """Who calls, by these headers and this query; it is one of the calls that he may make."""
    address = partial(resources.proxies.address_of, scope)
    try:
        caller = await resources.authenticator.authenticate(headers, query, address)
    except AuthenticationFailed:
        if is_typed(scope["path"]):
            resources.limits.take(scope, network(address()))
        raise
    resources.limits.take(scope, (caller.owner_id, caller.login.proof))
    return caller


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
