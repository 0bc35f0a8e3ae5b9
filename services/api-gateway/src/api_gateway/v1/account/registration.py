"""Adding vehicles to one's account, changing their passwords, and removing them."""

from typing import Annotated, Final

import asyncpg
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import AccountAdmin, PoolDep, RemovalsDep, SealerDep
from api_gateway.edge.deadlines import allow_longer
from api_gateway.errors import TooMany
from api_gateway.refusals import ROOT
from api_gateway.trail import note
from api_gateway.v1.answers import created, done
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, VehicleIdTaken, VehicleUnknown
from api_gateway.v1.fields import Wanted
from api_gateway.v1.reach import Own
from ovms.account_rules import VEHICLE_PASSWORD
from ovms.db.accounts import lock_account
from ovms.db.vehicles import (
    MOST_VEHICLES,
    REMOVED_WITHIN,
    VehicleIdReserved,
    add_vehicle,
    change_vehicle_password,
    count_vehicles,
    remove_vehicles,
)
from ovms.identity import LONGEST_VEHICLE_ID, NEW_VEHICLE_ID

router = APIRouter(prefix=f"{ROOT}/vehicles", tags=["account"])

VehiclePassword = Annotated[
    str,
    Field(
        min_length=VEHICLE_PASSWORD.shortest,
        max_length=VEHICLE_PASSWORD.longest,
        pattern=VEHICLE_PASSWORD.pattern,
        description="What the module logs in with",
    ),
]

_EXAMPLE: Final = {"id": "MYCAR"}


class VehicleWanted(Wanted):
    """A vehicle to be added."""

    id: Annotated[
        str,
        Field(
            max_length=LONGEST_VEHICLE_ID,
            pattern=NEW_VEHICLE_ID,
            description="ASCII letters, digits and dashes, as a module accepts them; not dashes only",
        ),
    ]
    password: VehiclePassword


class PasswordWanted(Wanted):
    """A vehicle's new password."""

    password: VehiclePassword


class Added(BaseModel):
    """A vehicle that was added."""

    id: Annotated[str, Field(description="As you spell it; case does not matter")]


@router.post(
    "",
    status_code=201,
    summary="Add a vehicle",
    response_model=Added,
    response_description="It may log in",
    responses={
        201: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problems(VehicleIdTaken, TooMany, InvalidRequest),
    },
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_add_vehicle",
)
async def add(wanted: VehicleWanted, caller: AccountAdmin, pool: PoolDep, sealer: SealerDep) -> Response:
    """Add a vehicle to your account. Its module logs in with the id and the password.

    `curl -u demo:demo -H 'Content-Type: application/json' -d '{"id": "MYCAR", "password": "of the module"}'
    http://127.0.0.1:6868/api/v1/vehicles`
    """
    try:
        async with pool.acquire() as connection, connection.transaction():
            await lock_account(connection, caller.owner_id)
            if await count_vehicles(connection, caller.owner_id, but=wanted.id) >= MOST_VEHICLES:
                raise TooMany
            password = wanted.password.encode()
            await add_vehicle(connection, caller.owner_id, wanted.id, password=password, sealer=sealer)
            await note(connection, caller, "vehicle.create", vehicle_id=wanted.id)
    except (asyncpg.UniqueViolationError, VehicleIdReserved):
        raise VehicleIdTaken from None
    return created({"id": wanted.id}, f"{router.prefix}/{wanted.id}")


@router.put(
    "/{vehicle_id}/password",
    status_code=204,
    summary="Change a vehicle's password",
    response_class=Response,
    response_description="It is changed",
    responses=problems(VehicleUnknown, InvalidRequest),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_change_vehicle_password",
)
async def change_password(wanted: PasswordWanted, reach: Own, pool: PoolDep, sealer: SealerDep) -> Response:
    """Give your vehicle a new password. The module and apps need it at their next login; who is connected stays so.

    `curl -u demo:demo -X PUT -H 'Content-Type: application/json' -d '{"password": "of the module"}'
    http://127.0.0.1:6868/api/v1/vehicles/MYCAR/password`
    """
    vehicle = reach.vehicle
    async with pool.acquire() as connection, connection.transaction():
        password = wanted.password.encode()
        await change_vehicle_password(connection, vehicle.key, vehicle.vehicle_id, password=password, sealer=sealer)
        await note(connection, reach.caller, "vehicle.password", vehicle_id=vehicle.vehicle_id)
    return done()


@router.delete(
    "/{vehicle_id}",
    status_code=204,
    summary="Remove a vehicle",
    response_class=Response,
    response_description="It is gone, with all that it sent",
    responses=problems(VehicleUnknown),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_remove_vehicle",
)
async def remove(request: Request, reach: Own, pool: PoolDep, removals: RemovalsDep) -> Response:
    """Remove your vehicle with its messages, history, shares, links and subscriptions. The sessions of its module and of
    its apps are closed at once. For a day you alone can add a vehicle of the same id.

    `curl -u demo:demo -X DELETE http://127.0.0.1:6868/api/v1/vehicles/MYCAR`
    """
    vehicle = reach.vehicle
    allow_longer(request.scope, REMOVED_WITHIN)
    async with pool.acquire() as connection, connection.transaction():
        await remove_vehicles(connection, [(vehicle.key, vehicle.vehicle_id)])
        await note(connection, reach.caller, "vehicle.delete", vehicle_id=vehicle.vehicle_id)
    await removals.publish([vehicle.key])
    return done()
