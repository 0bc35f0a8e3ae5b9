"""Owners, for administration. Every function works inside the transaction of the connection it is given."""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ovms.db.tables import history, owners, samples, vehicles
from ovms.errors import IdentityError

_LONGEST_NAME: Final = 255

_SELECT: Final = select(owners.c.id, owners.c.name, owners.c.email, owners.c.password_hash)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who signs in, and whose the vehicles are."""

    key: int
    """`owners.id`"""
    name: str
    email: str
    password_hash: str = field(repr=False)


def check_owner_name(name: str) -> str:
    """Return an owner's name as it is spelled.

    Raises:
        IdentityError: it is empty, too long, begins or ends with a space, or holds what cannot be printed.
    """
    if not name or len(name) > _LONGEST_NAME or name != name.strip() or not name.isprintable():
        raise IdentityError(f"owner name {name!r}: 1 to {_LONGEST_NAME} printable characters, no space at the ends")
    return name


async def find_owner(connection: AsyncConnection, name: str) -> Owner | None:
    """The owner of this name, without regard to case."""
    row = (await connection.execute(_SELECT.where(func.lower(owners.c.name) == func.lower(name)))).one_or_none()
    return None if row is None else Owner(*row)


async def list_owners(connection: AsyncConnection) -> list[tuple[Owner, int]]:
    """Every owner and how many vehicles he has, by name."""
    counted = (
        _SELECT.add_columns(func.count(vehicles.c.id))
        .select_from(owners.outerjoin(vehicles))
        .group_by(owners.c.id)
        .order_by(func.lower(owners.c.name))
    )
    return [(Owner(*row[:-1]), row[-1]) for row in await connection.execute(counted)]


async def add_owner(connection: AsyncConnection, name: str, *, email: str, password_hash: str) -> Owner:
    """Add an owner; the name must be checked and free."""
    values = {"name": name, "email": email, "password_hash": password_hash}
    key: int = (await connection.execute(insert(owners).values(values).returning(owners.c.id))).scalar_one()
    return Owner(key, name, email, password_hash)


async def change_owner(connection: AsyncConnection, owner: Owner, *, email: str, password_hash: str) -> None:
    """Give an owner this address and this password."""
    values = {"email": email, "password_hash": password_hash}
    await connection.execute(update(owners).where(owners.c.id == owner.key).values(values))


async def remove_owner(connection: AsyncConnection, owner: Owner) -> None:
    """Remove an owner, his tokens, his vehicles and all that they sent."""
    his = select(vehicles.c.id).where(vehicles.c.owner_id == owner.key)
    for table in (history, samples):
        await connection.execute(delete(table).where(table.c.vehicle.in_(his)))
    await connection.execute(delete(owners).where(owners.c.id == owner.key))
