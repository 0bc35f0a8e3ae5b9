"""What routes ask for, by name: each names the parts that it needs, and gets no others."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias, TypeVar, cast

from fastapi import Depends, Request
from starlette.types import Scope

from api_gateway.auth.authenticator import Caller
from api_gateway.auth.callers import Callers
from api_gateway.auth.door import Door
from api_gateway.commands.service import CommandService
from api_gateway.connections import Connections
from api_gateway.edge.addresses import Proxies
from api_gateway.edge.limits import Buckets
from api_gateway.errors import InsufficientRights
from api_gateway.live.attendance import Attendances
from api_gateway.live.streams import Streams
from api_gateway.resources import Resources
from ovms.auth.passwords import PasswordChecks
from ovms.auth.rights import ADMIN, CONTROL, HISTORY, READ, permits
from ovms.bus.client import Client
from ovms.bus.presence import Presence
from ovms.bus.removals import Removals
from ovms.bus.revocations import Revocations
from ovms.bus.sessions import Sessions
from ovms.db.engine import Pool
from ovms.db.sealing import Sealer

T = TypeVar("T")
Clock: TypeAlias = Callable[[], float]
"""Returns the Unix time."""


def parts_of(scope: Scope) -> Resources:
    """Return all parts, from which calls that are polled often pick their few: a dependency of FastAPI costs more."""
    return cast("Resources", scope["state"]["resources"])


def _part(choose: Callable[[Resources], T]) -> Callable[[Request], Awaitable[T]]:
    async def part(request: Request) -> T:
        return choose(parts_of(request.scope))

    return part


AttendancesDep = Annotated[Attendances, Depends(_part(lambda parts: parts.attendances))]
CallersDep = Annotated[Callers, Depends(_part(lambda parts: parts.callers))]
ClientDep = Annotated[Client, Depends(_part(lambda parts: parts.client))]
ClockDep = Annotated[Clock, Depends(_part(lambda parts: parts.clock))]
CommandsDep = Annotated[CommandService, Depends(_part(lambda parts: parts.commands))]
ConnectionsDep = Annotated[Connections, Depends(_part(lambda parts: parts.connections))]
DoorDep = Annotated[Door, Depends(_part(lambda parts: parts.door))]
PasswordsDep = Annotated[PasswordChecks, Depends(_part(lambda parts: parts.passwords))]
PoolDep = Annotated[Pool, Depends(_part(lambda parts: parts.pool))]
PresenceDep = Annotated[Presence, Depends(_part(lambda parts: parts.presence))]
ProxiesDep = Annotated[Proxies, Depends(_part(lambda parts: parts.proxies))]
RemovalsDep = Annotated[Removals, Depends(_part(lambda parts: parts.removals))]
RevocationsDep = Annotated[Revocations, Depends(_part(lambda parts: parts.revocations))]
SealerDep = Annotated[Sealer, Depends(_part(lambda parts: parts.sealer))]
SessionsDep = Annotated[Sessions, Depends(_part(lambda parts: parts.sessions))]
SignUpsDep = Annotated[Buckets | None, Depends(_part(lambda parts: parts.sign_ups))]
StreamsDep = Annotated[Streams, Depends(_part(lambda parts: parts.streams))]


async def caller_of(request: Request) -> Caller:
    """Return the caller of a request; the credential stands."""
    scope = request.scope
    return await parts_of(scope).callers.find(scope, scope["headers"], scope["query_string"])


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
