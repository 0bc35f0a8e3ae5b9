"""An owner and a car to try the server with."""

import asyncio
from typing import Final

from ovms.admin.document import Document, OwnerEntry, VehicleEntry
from ovms.admin.provision import provision
from ovms.admin.target import Target
from ovms.db.engine import open_pool
from ovms.db.owners import list_owners
from ovms.db.sealing import Sealer, SealingError
from ovms.db.vehicles import find_vehicle

OWNER: Final = "demo"
OWNER_PASSWORD: Final = "demo"  # noqa: S105  (told to everyone)
VEHICLE_ID: Final = "DEMO"
VEHICLE_PASSWORD: Final = "DEMO"  # noqa: S105  (told to everyone)

_CAR: Final = VehicleEntry("owners[0].vehicles[0]", VEHICLE_ID, VEHICLE_PASSWORD)
_DOCUMENT: Final = Document((OwnerEntry("owners[0]", OWNER, OWNER_PASSWORD, "", (_CAR,)),))


def car_environment(host: str, port: int) -> dict[str, str]:
    """The variables that tell the simulator where to log in, and as what."""
    return {
        "OVMS_DEMO_HOST": host,
        "OVMS_V2_PORT": str(port),
        "OVMS_DEMO_VEHICLE": VEHICLE_ID,
        "OVMS_DEMO_PASSWORD": VEHICLE_PASSWORD,
    }


def curl_line(http_url: str) -> str:
    """A call that shows the state of the demo car."""
    return f"curl '{http_url}/api/status/{VEHICLE_ID}?username={OWNER}&password={OWNER_PASSWORD}'"


def load_demo(target: Target) -> bool:
    """Add the demo owner and car to a server that has no owners yet; whether the demo car can log in."""
    return asyncio.run(_load(target.database_url, target.sealer()))


async def _load(database_url: str, sealer: Sealer) -> bool:
    try:
        async with await open_pool(database_url, size=1) as pool, pool.acquire() as connection, connection.transaction():
            if not await list_owners(connection):
                await provision(connection, _DOCUMENT, sealer)
            vehicle = await find_vehicle(connection, VEHICLE_ID)
            return vehicle is not None and vehicle.open_password(sealer) == VEHICLE_PASSWORD.encode()
    except SealingError:
        return False
