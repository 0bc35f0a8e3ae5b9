"""Which vehicles a stream tells of, found anew whenever it is asked."""

from api_gateway.auth.authenticator import Caller
from api_gateway.live.attendance import Audience, Find
from api_gateway.live.feed import Rights
from api_gateway.v1.reach import find_reach
from ovms.auth.rights import READ, SCOPES, allows
from ovms.db.engine import Pool
from ovms.db.reach import Reached, list_reached


def rights_of(caller: Caller, vehicle: Reached) -> Rights:
    """What a caller may know of a vehicle: what both his credential and its owner allow."""
    return frozenset(scope for scope in SCOPES if caller.may(scope) and allows(vehicle.permit, scope))


def one(pool: Pool, caller: Caller, vehicle_id: str) -> Find:
    """Finds one vehicle."""

    async def find() -> Audience:
        reach = await find_reach(pool, caller, vehicle_id, READ)
        return {reach.vehicle: rights_of(caller, reach.vehicle)}

    return find


def every(pool: Pool, caller: Caller) -> Find:
    """Finds all vehicles that a caller reaches."""

    async def find() -> Audience:
        found = await list_reached(pool, caller.owner_id, caller.login.vehicles)
        audience = {vehicle: rights_of(caller, vehicle) for vehicle in found}
        return {vehicle: rights for vehicle, rights in audience.items() if READ in rights}

    return find
