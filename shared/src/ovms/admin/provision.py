"""`ovms provision FILE`: make the database hold what a document lists, all of it or, where an entry is wrong, nothing."""

from collections import Counter
from dataclasses import dataclass, field

from ovms.admin.document import ConfigurationEntry, Document, OwnerEntry, VehicleEntry
from ovms.admin.errors import InputError
from ovms.db.autoprovision import Configuration, get_configuration, put_configuration
from ovms.db.engine import Connection
from ovms.db.mail_addresses import confirm_address
from ovms.db.owners import Owner, add_owner, change_owner, find_owner
from ovms.db.passwords import hash_password, verify_password
from ovms.db.sealing import Sealer, SealingError
from ovms.db.vehicles import Vehicle, add_vehicle, change_vehicle_password, find_vehicle
from ovms.errors import IdentityError
from ovms.identity import check_new_vehicle_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many owners, vehicles and configurations were `added`, `changed` or left `unchanged`."""

    owners: Counter[str] = field(default_factory=Counter)
    vehicles: Counter[str] = field(default_factory=Counter)
    configurations: Counter[str] = field(default_factory=Counter)
    new_passwords: list[int] = field(default_factory=list)
    """The owners whose password has changed, as `owners.id`."""

    def __str__(self) -> str:
        counted = {"owners": self.owners, "vehicles": self.vehicles, "autoprovision": self.configurations}
        return "; ".join(f"{name}: {_counted(counter)}" for name, counter in counted.items())


async def provision(connection: Connection, document: Document, sealer: Sealer) -> Outcome:
    """Add what is missing and change what differs, inside the caller's transaction; done again it changes nothing.

    What the document does not list stays as it is.

    Raises:
        InputError: an entry contradicts what the database holds; the transaction must be rolled back.
    """
    outcome = Outcome()
    for entry in document.owners:
        owner, what = await _provision_owner(connection, entry, outcome)
        outcome.owners[what] += 1
        for vehicle in entry.vehicles:
            outcome.vehicles[await _provision_vehicle(connection, owner, vehicle, sealer)] += 1
    for configuration in document.configurations:
        outcome.configurations[await _provision_configuration(connection, configuration, sealer)] += 1
    return outcome


async def _provision_owner(connection: Connection, entry: OwnerEntry, outcome: Outcome) -> tuple[Owner, str]:
    owner = await find_owner(connection, entry.name)
    if owner is None:
        hashed = hash_password(entry.password)
        owner = await add_owner(connection, entry.name, email=entry.email, password_hash=hashed)
        await confirm_address(connection, owner.key, entry.email)
        return owner, "added"
    await confirm_address(connection, owner.key, entry.email)
    # A fresh hash of the same password differs from the stored one, so it is made for another password only.
    same_password = verify_password(owner.password_hash, entry.password)
    if same_password and owner.email == entry.email:
        return owner, "unchanged"
    hashed = owner.password_hash if same_password else hash_password(entry.password)
    await change_owner(connection, owner, email=entry.email, password_hash=hashed)
    if not same_password:
        outcome.new_passwords.append(owner.key)
    return owner, "changed"


async def _provision_vehicle(connection: Connection, owner: Owner, entry: VehicleEntry, sealer: Sealer) -> str:
    password = entry.password.encode()
    vehicle = await find_vehicle(connection, entry.vehicle_id)
    if vehicle is None:
        _check_new(entry)
        await add_vehicle(connection, owner.key, entry.vehicle_id, password=password, sealer=sealer, by_operator=True)
        return "added"
    if vehicle.owner_name != owner.name:
        raise InputError(f"{entry.where}: vehicle id {entry.vehicle_id!r}: the vehicle belongs to owner {vehicle.owner_name!r}")
    if _has_password(vehicle, password, sealer):
        return "unchanged"
    await change_vehicle_password(connection, vehicle.key, vehicle.vehicle_id, password=password, sealer=sealer)
    return "changed"


def _check_new(entry: VehicleEntry) -> None:
    try:
        check_new_vehicle_id(entry.vehicle_id)
    except IdentityError as error:
        raise InputError(f"{entry.where}: {error}") from None


async def _provision_configuration(connection: Connection, entry: ConfigurationEntry, sealer: Sealer) -> str:
    owner = await find_owner(connection, entry.owner_name)
    if owner is None:
        raise InputError(f"{entry.where}: no owner is called {entry.owner_name!r}")
    secret, record = entry.secret.encode(), entry.record.encode()
    found = await get_configuration(connection, entry.key)
    if found is not None:
        stored, owner_name = found
        if owner_name != owner.name:
            raise InputError(f"{entry.where}: key {entry.key!r}: the configuration belongs to owner {owner_name!r}")
        if _holds(stored, secret, record, sealer):
            return "unchanged"
    await put_configuration(connection, owner, entry.key, secret=secret, record=record, sealer=sealer)
    return "added" if found is None else "changed"


def _has_password(vehicle: Vehicle, password: bytes, sealer: Sealer) -> bool:
    try:
        return vehicle.open_password(sealer) == password
    except SealingError:
        return False


def _holds(configuration: Configuration, secret: bytes, record: bytes, sealer: Sealer) -> bool:
    try:
        return configuration.open(sealer) == (secret, record)
    except SealingError:
        return False


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{counter[what]} {what}" for what in ("added", "changed", "unchanged"))
