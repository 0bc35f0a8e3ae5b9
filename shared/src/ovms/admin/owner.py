"""`ovms owner add|list|remove|password`."""

from ovms.admin.errors import AdminError
from ovms.admin.revoked import Revoked
from ovms.db.engine import Connection
from ovms.db.mail_addresses import confirm_address
from ovms.db.owners import Owner, add_owner, change_owner, find_owner, list_owners, remove_owner
from ovms.db.passwords import hash_password


async def the_owner(connection: Connection, name: str) -> Owner:
    """The owner of this name.

    Raises:
        AdminError: there is none.
    """
    owner = await find_owner(connection, name)
    if owner is None:
        raise AdminError(f"no owner is called {name!r}")
    return owner


async def add(connection: Connection, name: str, *, email: str, password: str) -> None:
    """Add an owner; name, address and password must be checked."""
    if found := await find_owner(connection, name):
        raise AdminError(f"an owner is already called {found.name!r}")
    owner = await add_owner(connection, name, email=email, password_hash=hash_password(password))
    await confirm_address(connection, owner.key, email)
    print(f"owner {name} added")


async def show(connection: Connection) -> None:
    """Print a line an owner: name, e-mail address, number of vehicles."""
    for owner, count in await list_owners(connection):
        print(f"{owner.name}\t{owner.email}\t{count} {'vehicle' if count == 1 else 'vehicles'}")


async def remove(connection: Connection, name: str) -> Revoked:
    """Remove an owner, its tokens and vehicles, and all that they sent."""
    owner = await the_owner(connection, name)
    vehicles = await remove_owner(connection, owner.key, owner.name)
    print(f"owner {owner.name} removed, with tokens, vehicles and all that they sent")
    return Revoked([owner.key], vehicles)


async def change_password(connection: Connection, name: str, password: str) -> Revoked:
    """Give an owner a new password."""
    owner = await the_owner(connection, name)
    await change_owner(connection, owner, email=owner.email, password_hash=hash_password(password))
    print(f"password of owner {owner.name} changed")
    return Revoked([owner.key])
