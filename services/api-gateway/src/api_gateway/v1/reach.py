"""The vehicle that a call is about: the caller's own, or one that its owner shares with him."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path

from api_gateway.auth.authenticator import Caller
from api_gateway.dependencies import CallerDep, PoolDep
from api_gateway.errors import InsufficientRights
from api_gateway.v1.errors import VehicleUnknown
from ovms.auth.rights import ADMIN, CONTROL, HISTORY, LOCATION, READ, allows
from ovms.db.engine import Pool
from ovms.db.reach import Reached, find_reached
from ovms.identity import VEHICLE_ID

VehicleId = Annotated[str, Path(description="The vehicle's id; case does not matter", examples=["DEMO"])]


@dataclass(frozen=True, slots=True)
class Reach:
    """A caller, a vehicle that he reaches, and through both what he may do."""

    caller: Caller
    vehicle: Reached

    def may(self, scope: str) -> bool:
        """Whether both his credential and the vehicle's owner allow what a scope stands for."""
        return self.caller.may(scope) and allows(self.vehicle.permit, scope)


def reaching(*scopes: str) -> Callable[..., Awaitable[Reach]]:
    """The vehicle of a call that needs what these scopes stand for.

    Raises:
        InsufficientRights: the caller's credential or the vehicle's owner does not allow it.
        VehicleUnknown: there is no such vehicle, or he does not reach it: that is not told apart.
    """

    async def reach(vehicle_id: VehicleId, caller: CallerDep, pool: PoolDep) -> Reach:
        return await find_reach(pool, caller, vehicle_id, *scopes)

    return reach


async def find_reach(db: Pool, caller: Caller, vehicle_id: str, *scopes: str) -> Reach:
    """What a caller reaches under this id, where he may all that these scopes stand for; raises as `reaching` says."""
    if not all(caller.may(scope) for scope in scopes):
        raise InsufficientRights
    if not VEHICLE_ID.match(vehicle_id) or not caller.login.reaches(vehicle_id):
        raise VehicleUnknown
    if (vehicle := await find_reached(db, caller.owner_id, vehicle_id)) is None:
        raise VehicleUnknown
    found = Reach(caller, vehicle)
    if not all(found.may(scope) for scope in scopes):
        raise InsufficientRights
    return found


Readable = Annotated[Reach, Depends(reaching(READ))]
Locatable = Annotated[Reach, Depends(reaching(LOCATION))]
Recorded = Annotated[Reach, Depends(reaching(HISTORY))]
Controllable = Annotated[Reach, Depends(reaching(CONTROL))]


async def own(reach: Annotated[Reach, Depends(reaching(ADMIN))]) -> Reach:
    """A vehicle that is the caller's own, to do with as he likes."""
    if reach.vehicle.owner_id != reach.caller.owner_id:
        raise InsufficientRights
    return reach


Own = Annotated[Reach, Depends(own)]
