"""Owners as they sign in, and the vehicles that are theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ovms.db.engine import Connection, Pool

_ACCOUNT: Final = "SELECT id, name, password_hash FROM owners WHERE lower(name) = lower($1)"

_VEHICLE: Final = "SELECT id, vehicle_id FROM vehicles WHERE owner_id = $1 AND upper(vehicle_id) = upper($2)"

_LOCK: Final = "SELECT FROM owners WHERE id = $1 FOR NO KEY UPDATE"

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

# Only in the place of the hash that was checked: the password may have been changed meanwhile.
_RENEW: Final = "UPDATE owners SET password_hash = $3 WHERE id = $1 AND password_hash = $2 RETURNING id"


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


async def find_account(db: Pool, name: str) -> Account | None:
    """The owner of this name, without regard to case."""
    if "\0" in name:  # PostgreSQL's text has no NUL, so nobody is called that
        return None
    row = await db.fetchrow(_ACCOUNT, name)
    return None if row is None else Account(*row)


async def lock_account(connection: Connection, owner_id: int) -> None:
    """Let nobody else add to an owner's account until the end of the transaction, so that what is counted stays bounded."""
    await connection.execute(_LOCK, owner_id)


async def renew_hash(db: Pool, account: Account, password_hash: str) -> bool:
    """Keep another hash of the same password; whether the account still has the one it was found with."""
    return await db.fetchval(_RENEW, account.owner_id, account.password_hash, password_hash) is not None


async def find_vehicle(db: Pool, owner_id: int, vehicle_id: str) -> OwnedVehicle | None:
    """An owner's vehicle by its id, without regard to case; None where it is not his."""
    row = await db.fetchrow(_VEHICLE, owner_id, vehicle_id)
    return None if row is None else OwnedVehicle(*row)


async def credentials_stand(db: Pool, credentials: Sequence[tuple[int, str]]) -> list[bool]:
    """Whether passwords or tokens that once proved right are still their owner's: they may be changed or revoked since.

    Args:
        credentials: owners and proofs (`ovms.bus.sessions.Login.proof`).
    """
    owners, proofs = zip(*credentials, strict=True)
    return [row[0] for row in await db.fetch(_STAND, owners, proofs)]
