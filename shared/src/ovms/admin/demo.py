"""The demo: an owner and a vehicle to try the server with.

On loopback they have the published passwords. On any other address they get one generated password, which both share: the
owner's is only stored as a hash, the vehicle's can be opened, so that a later start can print it again.
"""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Final

from ovms.admin.document import Document, OwnerEntry, VehicleEntry
from ovms.admin.provision import provision
from ovms.admin.target import Target
from ovms.auth.published import OWNER, OWNER_PASSWORD, VEHICLE_ID, VEHICLE_PASSWORD
from ovms.db.engine import Connection, open_pool
from ovms.db.owners import Owner, change_password, find_owner, list_owners, remove_owner
from ovms.db.passwords import hash_password, verify_password
from ovms.db.sealing import Sealer, SealingError
from ovms.db.tokens import delete_tokens
from ovms.db.vehicles import Vehicle, change_vehicle_password, find_vehicle, list_vehicles

PASSWORD_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that can run: its vehicle's password and, where it is known, its owner's."""

    vehicle_password: str
    owner_password: str | None

    def car_environment(self, host: str, port: int) -> dict[str, str]:
        """Return the variables that tell the simulator where to log in, and as what."""
        return {
            "OVMS_DEMO_HOST": host,
            "OVMS_V2_PORT": str(port),
            "OVMS_DEMO_VEHICLE": VEHICLE_ID,
            "OVMS_DEMO_PASSWORD": self.vehicle_password,
        }

    def curl_line(self, http_url: str) -> str | None:
        """Return a call that shows the state of the demo vehicle."""
        if self.owner_password is None:
            return None
        return f"curl '{http_url}/api/status/{VEHICLE_ID}?username={OWNER}&password={self.owner_password}'"


def load_demo(target: Target, *, is_public: bool) -> Demo | None:
    """Add the demo to a server without owners; return it where it can run.

    Args:
        is_public: whether the server listens on another address than loopback. Published passwords that are there are then
            replaced by a generated one.
    """
    return asyncio.run(_in_transaction(target, is_public=is_public))


def close_demo(target: Target) -> str | None:
    """Remove the demo where it has the published passwords; return what was done, in one line.

    An owner `demo` that has other vehicles too is kept with them. It loses the published password and its tokens.
    """
    return asyncio.run(_close_in_transaction(target))


async def _in_transaction(target: Target, *, is_public: bool) -> Demo | None:
    async with await open_pool(target.database_url, size=1) as pool, pool.acquire() as connection, connection.transaction():
        return await _load(connection, target.sealer(), is_public=is_public)


async def _load(connection: Connection, sealer: Sealer, *, is_public: bool) -> Demo | None:
    if not await list_owners(connection):
        generated = _generate() if is_public else None
        await provision(connection, _document(generated or OWNER_PASSWORD, generated or VEHICLE_PASSWORD), sealer)
    elif is_public:
        await _replace_published(connection, sealer)
    owner, vehicle = await find_owner(connection, OWNER), await find_vehicle(connection, VEHICLE_ID)
    password = None if vehicle is None else _open(vehicle, sealer)
    if owner is None or vehicle is None or password is None or vehicle.owner_id != owner.key:
        return None
    if password == VEHICLE_PASSWORD:
        return Demo(password, OWNER_PASSWORD if verify_password(owner.password_hash, OWNER_PASSWORD) else None)
    return Demo(password, password) if verify_password(owner.password_hash, password) else None


async def _close_in_transaction(target: Target) -> str | None:
    async with await open_pool(target.database_url, size=1) as pool, pool.acquire() as connection, connection.transaction():
        return await _close(connection, target.sealer())


async def _close(connection: Connection, sealer: Sealer) -> str | None:
    owner = await find_owner(connection, OWNER)
    if owner is not None and verify_password(owner.password_hash, OWNER_PASSWORD):
        vehicles = await list_vehicles(connection, owner.key)
        if all(_is_published(vehicle, sealer) for vehicle in vehicles):
            await remove_owner(connection, owner.key, owner.name)
            return f"demo removed: owner {owner.name} had the published password"
    return await _replace_published(connection, sealer)


async def _replace_published(connection: Connection, sealer: Sealer) -> str | None:
    """Give the demo owner and vehicle a generated password wherever they have the published one, and delete the tokens."""
    owner, vehicle = await find_owner(connection, OWNER), await find_vehicle(connection, VEHICLE_ID)
    generated, replaced = _generate(), []
    if vehicle is not None and _is_published(vehicle, sealer):
        await change_vehicle_password(
            connection, vehicle.key, vehicle.vehicle_id, password=generated.encode(), sealer=sealer
        )  # fmt: skip
        replaced.append(f"vehicle {vehicle.vehicle_id} (`ovms vehicle password {vehicle.vehicle_id}` sets another)")
    if owner is not None and verify_password(owner.password_hash, OWNER_PASSWORD):
        await _disable(connection, owner, generated)
        replaced.append(f"owner {owner.name} (`ovms owner password {owner.name}` sets another)")
    return f"published passwords replaced: {', '.join(replaced)}" if replaced else None


async def _disable(connection: Connection, owner: Owner, generated: str) -> None:
    await change_password(connection, owner.key, hash_password(generated))
    await delete_tokens(connection, owner.key)


def _is_published(vehicle: Vehicle, sealer: Sealer) -> bool:
    return vehicle.vehicle_id.upper() == VEHICLE_ID and _open(vehicle, sealer) == VEHICLE_PASSWORD


def _open(vehicle: Vehicle, sealer: Sealer) -> str | None:
    """Return the password of a vehicle; None where the keys do not open it."""
    try:
        return vehicle.open_password(sealer).decode(errors="replace")
    except SealingError:
        return None


def _generate() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def _document(owner_password: str, vehicle_password: str) -> Document:
    vehicle = VehicleEntry("owners[0].vehicles[0]", VEHICLE_ID, vehicle_password)
    return Document((OwnerEntry("owners[0]", OWNER, owner_password, "", (vehicle,)),))
