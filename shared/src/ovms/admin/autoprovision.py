"""`ovms autoprovision add|list|remove`."""

from ovms.admin.errors import AdminError
from ovms.admin.owner import the_owner
from ovms.db.autoprovision import get_configuration, list_configurations, put_configuration, remove_configuration
from ovms.db.engine import Connection
from ovms.db.sealing import Sealer


async def add(connection: Connection, key: str, owner_name: str, *, secret: str, record: str, sealer: Sealer) -> None:
    """Add a configuration that a module may ask for with a key; all must have been checked."""
    owner = await the_owner(connection, owner_name)
    if await get_configuration(connection, key):
        raise AdminError(f"a configuration already has the key {key!r}")
    await put_configuration(connection, owner, key, secret=secret.encode(), record=record.encode(), sealer=sealer)
    print(f"configuration {key} of owner {owner.name} added")


async def show(connection: Connection) -> None:
    """Print a line a configuration: key, owner."""
    for key, owner_name in await list_configurations(connection):
        print(f"{key}\t{owner_name}")


async def remove(connection: Connection, key: str) -> None:
    """Remove a configuration."""
    if not await remove_configuration(connection, key):
        raise AdminError(f"no configuration has the key {key!r}")
    print(f"configuration {key} removed")
