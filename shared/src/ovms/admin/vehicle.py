"""`ovms vehicle add|list|remove|password`."""

from ovms.admin.errors import AdminError
from ovms.admin.owner import the_owner
from ovms.admin.revoked import Revoked
from ovms.db.engine import Connection
from ovms.db.sealing import Sealer
from ovms.db.vehicles import Vehicle, add_vehicle, change_vehicle_password, find_vehicle, list_vehicles, remove_vehicles


async def add(connection: Connection, vehicle_id: str, owner_name: str, password: str, sealer: Sealer) -> None:
    """Add a vehicle to an owner; id and password must be checked."""
    owner = await the_owner(connection, owner_name)
    if found := await find_vehicle(connection, vehicle_id):
        raise AdminError(f"a vehicle already has the id {found.vehicle_id!r}")
    await add_vehicle(connection, owner.key, vehicle_id, password=password.encode(), sealer=sealer, by_operator=True)
    print(f"vehicle {vehicle_id} of owner {owner.name} added")


async def show(connection: Connection, owner_name: str | None) -> None:
    """Print a line a vehicle: id, owner."""
    owner = None if owner_name is None else await the_owner(connection, owner_name)
    for vehicle in await list_vehicles(connection, None if owner is None else owner.key):
        print(f"{vehicle.vehicle_id}\t{vehicle.owner_name}")


async def remove(connection: Connection, vehicle_id: str) -> Revoked:
    """Remove a vehicle and all that it sent."""
    vehicle = await _the_vehicle(connection, vehicle_id)
    await remove_vehicles(connection, [(vehicle.key, vehicle.vehicle_id)])
    print(f"vehicle {vehicle.vehicle_id} removed, with all that it sent")
    return Revoked(vehicles=[vehicle.key])


async def change_password(connection: Connection, vehicle_id: str, password: str, sealer: Sealer) -> None:
    """Give a vehicle a new password."""
    vehicle = await _the_vehicle(connection, vehicle_id)
    await change_vehicle_password(connection, vehicle.key, vehicle.vehicle_id, password=password.encode(), sealer=sealer)
    print(f"password of vehicle {vehicle.vehicle_id} changed")


async def _the_vehicle(connection: Connection, vehicle_id: str) -> Vehicle:
    vehicle = await find_vehicle(connection, vehicle_id)
    if vehicle is None:
        raise AdminError(f"no vehicle has the id {vehicle_id!r}")
    return vehicle
