"""`ovms provision FILE`: make the database hold what a document lists, all of it or, where an entry is wrong, nothing."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from ovms.admin.document import Document, OwnerEntry, VehicleEntry
from ovms.admin.errors import InputError
from ovms.db.owners import Owner, add_owner, change_owner, find_owner
from ovms.db.passwords import hash_password, verify_password
from ovms.db.sealing import Sealer, SealingError
from ovms.db.vehicles import Vehicle, add_vehicle, change_vehicle_password, find_vehicle


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many owners and vehicles were `added`, `changed` or left `unchanged`."""

    owners: Counter[str] = field(default_factory=Counter)
    vehicles: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return f"owners: {_counted(self.owners)}; vehicles: {_counted(self.vehicles)}"


async def provision(connection: AsyncConnection, document: Document, sealer: Sealer) -> Outcome:
    """Add what is missing and change what differs, inside the caller's transaction; done again it changes nothing.

    What the document does not list stays as it is.

    Raises:
        InputError: an entry contradicts what the database holds; the transaction must be rolled back.
    """
    outcome = Outcome()
    for entry in document.owners:
        owner, what = await _provision_owner(connection, entry)
        outcome.owners[what] += 1
        for vehicle in entry.vehicles:
            outcome.vehicles[await _provision_vehicle(connection, owner, vehicle, sealer)] += 1
    return outcome


async def _provision_owner(connection: AsyncConnection, entry: OwnerEntry) -> tuple[Owner, str]:
    owner = await find_owner(connection, entry.name)
    if owner is None:
        hashed = hash_password(entry.password)
        return await add_owner(connection, entry.name, email=entry.email, password_hash=hashed), "added"
    # A fresh hash of the same password differs from the stored one, so it is made for another password only.
    same_password = verify_password(owner.password_hash, entry.password)
    if same_password and owner.email == entry.email:
        return owner, "unchanged"
    hashed = owner.password_hash if same_password else hash_password(entry.password)
    await change_owner(connection, owner, email=entry.email, password_hash=hashed)
    return owner, "changed"


async def _provision_vehicle(connection: AsyncConnection, owner: Owner, entry: VehicleEntry, sealer: Sealer) -> str:
    password = entry.password.encode()
    vehicle = await find_vehicle(connection, entry.vehicle_id)
    if vehicle is None:
        await add_vehicle(connection, owner, entry.vehicle_id, password=password, sealer=sealer)
        return "added"
    if vehicle.owner_name != owner.name:
        raise InputError(f"{entry.where}: vehicle id {entry.vehicle_id!r}: the vehicle belongs to owner {vehicle.owner_name!r}")
    if _has_password(vehicle, password, sealer):
        return "unchanged"
    await change_vehicle_password(connection, vehicle, password=password, sealer=sealer)
    return "changed"


def _has_password(vehicle: Vehicle, password: bytes, sealer: Sealer) -> bool:
    try:
        return vehicle.open_password(sealer) == password
    except SealingError:
        return False


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{counter[what]} {what}" for what in ("added", "changed", "unchanged"))
