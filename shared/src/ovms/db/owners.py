"""Owners, to be changed. Every function works inside the transaction of the connection it is given."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Text, any_, case, cast, delete, func, insert, null, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from ovms.db.engine import Connection, Database
from ovms.db.statement import Query, Statement, param, same_name
from ovms.db.tables import audit, commands, owners, share_offers, vehicles
from ovms.db.vehicles import remove_vehicles
from ovms.identity import fold_vehicle_id


@dataclass(frozen=True, slots=True)
class Owner:
    """Who signs in, and whose the vehicles are."""

    key: int
    """`owners.id`"""
    name: str
    email: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """An owner as he sees himself."""

    name: str
    email: str
    created_at: datetime


_OWNER: Final = (owners.c.id.label("key"), owners.c.name, owners.c.email, owners.c.password_hash)
_IS_OWNER: Final = owners.c.id == param("owner_id")

_FIND: Final = Query(Owner, select(*_OWNER).where(same_name(owners.c.name, param("name"))))

_LIST: Final = Query(
    Owner,
    select(*_OWNER, func.count(vehicles.c.id).label("vehicles"))
    .join_from(owners, vehicles, vehicles.c.owner_id == owners.c.id, isouter=True)
    .group_by(owners.c.id)
    .order_by(func.lower(owners.c.name)),
)

_ADD: Final = Statement(
    insert(owners).values(name=param("name"), email=param("email"), password_hash=param("password_hash")).returning(owners.c.id)
)

_CHANGE: Final = Statement(update(owners).values(email=param("email"), password_hash=param("password_hash")).where(_IS_OWNER))

_CHANGE_EMAIL: Final = Statement(update(owners).values(email=param("email")).where(_IS_OWNER))

_CHANGE_HASH: Final = Statement(update(owners).values(password_hash=param("password_hash")).where(_IS_OWNER))

_PROFILE: Final = Query(Profile, select(owners.c.name, owners.c.email, owners.c.created_at).where(_IS_OWNER))

_VEHICLES: Final = Statement(
    select(vehicles.c.id, vehicles.c.vehicle_id).where(vehicles.c.owner_id == param("owner_id")).with_for_update()
)

_REMOVE: Final = Statement(delete(owners).where(_IS_OWNER))


def _clear_audit(
    column: ColumnElement[str], cleared: object, is_it: ColumnElement[bool], key: str, is_in_detail: ColumnElement[bool]
) -> Statement:
    """Clear a column of the audit log, and a key of its detail, where they name what is erased."""
    return Statement(
        update(audit)
        .values(
            {
                column: case((is_it, cleared), else_=column),
                audit.c.detail: case((is_in_detail, audit.c.detail.op("-")(key)), else_=audit.c.detail),
            }
        )
        .where(or_(is_it, is_in_detail))
    )


# What others may read of who did something with their vehicles, once he is no more.
_REMOVE_NAME: Final = _clear_audit(
    audit.c.actor, "", same_name(audit.c.actor, param("name")), "with", same_name(audit.c.detail["with"].astext, param("name"))
)

_IDS: Final = cast(param("vehicle_ids"), ARRAY(Text))
_REMOVE_VEHICLE_IDS: Final = _clear_audit(
    audit.c.vehicle_id,
    null(),
    func.upper(audit.c.vehicle_id) == any_(_IDS),
    "vehicles",
    audit.c.detail.op("->")("vehicles").op("?|", is_comparison=True)(_IDS),
)

_REMOVE_OFFERS: Final = Statement(delete(share_offers).where(share_offers.c.folded == func.lower(param("name"))))

_REMOVE_ACTOR: Final = Statement(update(commands).values(actor="").where(commands.c.actor_id == param("owner_id")))


async def find_owner(connection: Connection, name: str) -> Owner | None:
    """The owner of this name, without regard to case."""
    return await _FIND.find(connection, name=name)


async def list_owners(connection: Connection) -> list[tuple[Owner, int]]:
    """Every owner and how many vehicles he has, by name."""
    return [(_LIST.build(row), row["vehicles"]) for row in await _LIST.fetch(connection)]


async def add_owner(connection: Connection, name: str, *, email: str, password_hash: str) -> Owner:
    """Add an owner; the name must be checked.

    Raises:
        asyncpg.UniqueViolationError: it is taken.
    """
    key = await _ADD.fetchval(connection, name=name, email=email, password_hash=password_hash)
    return Owner(key, name, email, password_hash)


async def change_owner(connection: Connection, owner: Owner, *, email: str, password_hash: str) -> None:
    """Give an owner this address and this password."""
    await _CHANGE.execute(connection, owner_id=owner.key, email=email, password_hash=password_hash)


async def change_email(connection: Connection, owner_id: int, email: str) -> None:
    """Give an owner this address."""
    await _CHANGE_EMAIL.execute(connection, owner_id=owner_id, email=email)


async def change_password(connection: Connection, owner_id: int, password_hash: str) -> None:
    """Give an owner this password."""
    await _CHANGE_HASH.execute(connection, owner_id=owner_id, password_hash=password_hash)


async def read_profile(db: Database, owner_id: int) -> Profile | None:
    """An owner as he sees himself; None for one that was removed this moment."""
    return await _PROFILE.find(db, owner_id=owner_id)


async def remove_owner(connection: Connection, owner_id: int, name: str) -> list[int]:
    """Remove an owner, its tokens, its vehicles, all that they sent, and its name wherever it stands; return the vehicles."""
    owned = [(row["id"], row["vehicle_id"]) for row in await _VEHICLES.fetch(connection, owner_id=owner_id)]
    await remove_vehicles(connection, owned)
    await _REMOVE_ACTOR.execute(connection, owner_id=owner_id)
    await _REMOVE.execute(connection, owner_id=owner_id)
    await _REMOVE_NAME.execute(connection, name=name)
    await _REMOVE_OFFERS.execute(connection, name=name)
    await _REMOVE_VEHICLE_IDS.execute(connection, vehicle_ids=[fold_vehicle_id(vehicle_id) for _, vehicle_id in owned])
    return [key for key, _ in owned]
