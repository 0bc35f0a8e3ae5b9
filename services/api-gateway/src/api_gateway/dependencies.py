"""What routes ask for, by name."""

from collections.abc import Awaitable, Callable
from typing import Annotated, cast

from fastapi import Depends, Request

from api_gateway.auth.authenticator import Caller
from api_gateway.auth.rights import permits
from api_gateway.errors import InsufficientRights
from api_gateway.resources import Resources


async def _resources(request: Request) -> Resources:
    return cast("Resources", request.scope["state"]["resources"])


async def _caller(request: Request) -> Caller:
    scope = request.scope
    resources: Resources = scope["state"]["resources"]
    return await resources.authenticator.authenticate(scope["headers"], scope["query_string"])


ResourcesDep = Annotated[Resources, Depends(_resources)]
CallerDep = Annotated[Caller, Depends(_caller)]


def holding(*rights: str) -> Callable[[Caller], Awaitable[Caller]]:
    """The caller, who must hold one of these rights."""

    async def check(caller: CallerDep) -> Caller:
        if not permits(caller.login.permit, *rights):
            raise InsufficientRights
        return caller

    return check
