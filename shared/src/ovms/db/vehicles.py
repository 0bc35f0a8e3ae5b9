"""Vehicles, for administration. Every function works inside the transaction of the connection it is given."""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ovms.db.owners import Owner
from ovms.db.sealing import Sealer
from ovms.db.tables import history, owners, samples, vehicles
from ovms.identity import fold_vehicle_id

_SELECT: Final = select(
    vehicles.c.id, vehicles.c.vehicle_id, owners.c.name, vehicles.c.password, vehicles.c.password_key_id
).select_from(vehicles.join(owners))


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A car, whose it is, and its sealed password."""

    key: int
    """`vehicles.id`"""
    vehicle_id: str
    owner_name: str
    password: bytes = field(repr=False)
    password_key_id: str

    def open_password(self, sealer: Sealer) -> bytes:
        """The password in clear.

        Raises:
            SealingError: it was sealed under a key that is not known.
        """
        return sealer.open(self.password_key_id, self.password, context=fold_vehicle_id(self.vehicle_id))


async def find_vehicle(connection: AsyncConnection, vehicle_id: str) -> Vehicle | None:
    """The vehicle of this id, without regard to case."""
    found = _SELECT.where(func.upper(vehicles.c.vehicle_id) == func.upper(vehicle_id))
    row = (await connection.execute(found)).one_or_none()
    return None if row is None else Vehicle(*row)


async def list_vehicles(connection: AsyncConnection, owner: Owner | None = None) -> list[Vehicle]:
    """The vehicles of an owner, or all, by id."""
    found = _SELECT.order_by(func.upper(vehicles.c.vehicle_id))
    if owner is not None:
        found = found.where(vehicles.c.owner_id == owner.key)
    return [Vehicle(*row) for row in await connection.execute(found)]


async def add_vehicle(connection: AsyncConnection, owner: Owner, vehicle_id: str, *, password: bytes, sealer: Sealer) -> None:
    """Add a vehicle; the id must be checked and free."""
    values = {"owner_id": owner.key, "vehicle_id": vehicle_id} | _sealed(vehicle_id, password, sealer)
    await connection.execute(insert(vehicles).values(values))


async def change_vehicle_password(connection: AsyncConnection, vehicle: Vehicle, *, password: bytes, sealer: Sealer) -> None:
    """Give a vehicle this password; its car needs it at its next login."""
    values = _sealed(vehicle.vehicle_id, password, sealer)
    await connection.execute(update(vehicles).where(vehicles.c.id == vehicle.key).values(values))


async def remove_vehicle(connection: AsyncConnection, vehicle: Vehicle) -> None:
    """Remove a vehicle and all that it sent."""
    for table in (history, samples):
        await connection.execute(delete(table).where(table.c.vehicle == vehicle.key))
    await connection.execute(delete(vehicles).where(vehicles.c.id == vehicle.key))


def _sealed(vehicle_id: str, password: bytes, sealer: Sealer) -> dict[str, object]:
    key_id, sealed = sealer.seal(password, context=fold_vehicle_id(vehicle_id))
    return {"password": sealed, "password_key_id": key_id}
