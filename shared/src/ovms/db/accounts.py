"""Owners as they sign in, and the vehicles that are theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select, update

from ovms.db.engine import Connection, Pool
from ovms.db.statement import Query, Statement, param, same_id, same_name
from ovms.db.tables import owners, vehicles
from ovms.identity import VehicleName

STANDS: Final = """(
  EXISTS (
    SELECT FROM owners o
    WHERE o.id = asked.owner_id AND encode(sha256(convert_to(o.password_hash, 'UTF8')), 'hex') = asked.proof)
  OR EXISTS (
    SELECT FROM api_tokens t
    WHERE t.owner_id = asked.owner_id AND encode(t.sha256, 'hex') = asked.proof
      AND (t.expires_at IS NULL OR t.expires_at > now()))
)"""
"""Whether the credential of a row `asked (owner_id, proof)` still stands: a password that was changed does not, and neither
does a token that was revoked or has expired."""

_ASKED: Final = """
SELECT {stands} FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS asked(owner_id, proof, place) ORDER BY place
"""
_STAND: Final = _ASKED.format(stands=STANDS)


@dataclass(frozen=True, slots=True)
class Account:
    """An owner, and what his password is checked against."""

    owner_id: int
    name: str
    """As it is stored."""
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnedVehicle:
    """A vehicle of a known owner."""

    key: int
    """`vehicles.id`"""
    vehicle_id: str
    """As its owner spells it."""

    @property
    def name(self) -> VehicleName:
        """Return its name on Redis."""
        return VehicleName(self.vehicle_id, self.key)


_ACCOUNT: Final = Query(
    Account,
    select(owners.c.id.label("owner_id"), owners.c.name, owners.c.password_hash).where(same_name(owners.c.name, param("name"))),
)

_VEHICLE: Final = Query(
    OwnedVehicle,
    select(vehicles.c.id.label("key"), vehicles.c.vehicle_id).where(
        vehicles.c.owner_id == param("owner_id"), same_id(vehicles.c.vehicle_id, param("vehicle_id"))
    ),
)

_LOCK: Final = Statement(select(owners.c.id).where(owners.c.id == param("owner_id")).with_for_update(key_share=True))

# Only in the place of the hash that was checked: the password may have been changed meanwhile.
_RENEW: Final = Statement(
    update(owners)
    .values(password_hash=param("renewed"))
    .where(owners.c.id == param("owner_id"), owners.c.password_hash == param("checked"))
)


async def find_account(db: Pool, name: str) -> Account | None:
    """The owner of this name, without regard to case."""
    if "\0" in name:  # PostgreSQL's text has no NUL, so nobody is called that
        return None
    return await _ACCOUNT.find(db, name=name)


async def lock_account(connection: Connection, owner_id: int) -> None:
    """Let nobody else add to an owner's account until the end of the transaction, so that what is counted stays bounded."""
    await _LOCK.execute(connection, owner_id=owner_id)


async def renew_hash(db: Pool, account: Account, password_hash: str) -> bool:
    """Keep another hash of the same password; whether the account still has the one it was found with."""
    renewed = await _RENEW.execute(db, owner_id=account.owner_id, checked=account.password_hash, renewed=password_hash)
    return renewed == 1


async def find_vehicle(db: Pool, owner_id: int, vehicle_id: str) -> OwnedVehicle | None:
    """An owner's vehicle by its id, without regard to case; None where it is not his."""
    return await _VEHICLE.find(db, owner_id=owner_id, vehicle_id=vehicle_id)


async def credentials_stand(db: Pool, credentials: Sequence[tuple[int, str]]) -> list[bool]:
    """Whether passwords or tokens that once proved right are still their owner's: they may be changed or revoked since.

    Args:
        credentials: owners and proofs (`ovms.bus.sessions.Login.proof`).
    """
    owners, proofs = zip(*credentials, strict=True)
    return [row[0] for row in await db.fetch(_STAND, owners, proofs)]
