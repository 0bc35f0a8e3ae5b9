"""API tokens: 64 hexadecimal digits, shown once to their owner and stored as their SHA-256."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ovms.db.engine import Database, Pool

IDENTIFIER_LENGTH: Final = 16
MOST_TOKENS: Final = 500
"""Of one owner, links among them."""

_TOKEN: Final = re.compile(r"[0-9a-f]{64}\Z")
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{16}\Z")

_CREATE: Final = """
INSERT INTO api_tokens (owner_id, sha256, application, purpose, permit, vehicles, expires_at, link)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

_USE: Final = """
UPDATE api_tokens SET last_used_at = now() FROM owners
WHERE api_tokens.sha256 = $1 AND owners.id = api_tokens.owner_id AND (expires_at IS NULL OR expires_at > now())
RETURNING owners.id, owners.name, api_tokens.permit, api_tokens.vehicles
"""

_COLUMNS: Final = """
SELECT encode(substr(sha256, 1, 8), 'hex'), application, purpose, permit, created_at, refreshed_at, last_used_at,
  vehicles, expires_at
FROM api_tokens WHERE owner_id = $1"""

_LIST_ALL: Final = f"{_COLUMNS} ORDER BY created_at, id"
_LIST_OWN: Final = f"{_COLUMNS} AND link IS NULL ORDER BY created_at, id"
_LIST_LINKS: Final = f"{_COLUMNS} AND link = $2 ORDER BY created_at, id"

_COUNT: Final = "SELECT count(*) FROM api_tokens WHERE owner_id = $1"

_STANDING: Final = """
SELECT NULL::timestamptz FROM owners WHERE id = $1 AND encode(sha256(convert_to(password_hash, 'UTF8')), 'hex') = $2
UNION ALL
SELECT expires_at FROM api_tokens
WHERE owner_id = $1 AND encode(sha256, 'hex') = $2 AND (expires_at IS NULL OR expires_at > now())
"""

_DELETE: Final = """
DELETE FROM api_tokens
WHERE owner_id = $1 AND (sha256 = $2 OR encode(substr(sha256, 1, 8), 'hex') = $3)
RETURNING encode(substr(sha256, 1, 8), 'hex')
"""

_DELETE_LINK: Final = """
DELETE FROM api_tokens WHERE owner_id = $1 AND link = $2 AND encode(substr(sha256, 1, 8), 'hex') = $3 RETURNING id
"""

_DELETE_ALL: Final = "DELETE FROM api_tokens WHERE owner_id = $1"

_DELETE_OWN: Final = """
DELETE FROM api_tokens WHERE owner_id = $1 AND link IS NULL AND encode(substr(sha256, 1, 8), 'hex') = $2 RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A password or token that still stands."""

    expires_at: datetime | None
    """None: it is a password, or a token without an end."""


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Whose token it is and what it permits."""

    owner_id: int
    name: str
    permit: str
    vehicles: list[str] | None
    """The folded ids of those that it is for; None: all."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as its owner may see it again."""

    identifier: str
    """The first 16 hexadecimal digits of its SHA-256."""
    application: str
    purpose: str
    permit: str
    created_at: datetime
    refreshed_at: datetime
    last_used_at: datetime
    vehicles: list[str] | None
    """The folded ids of those that it is for; None: all."""
    expires_at: datetime | None

    @property
    def used_at(self) -> datetime | None:
        """When it was used last; None: never."""
        return None if self.last_used_at == self.created_at else self.last_used_at


def hash_token(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def looks_like_token(text: str) -> bool:
    """Whether a password may be an API token, so that it is worth looking for."""
    return bool(_TOKEN.match(text))


async def create_token(
    db: Database,
    owner_id: int,
    *,
    application: str,
    purpose: str,
    permit: str,
    vehicles: Sequence[str] | None = None,
    expires_at: datetime | None = None,
    link: int | None = None,
) -> str:
    """Make a token for an owner; its text is returned here and never again.

    Args:
        vehicles: the folded ids of those that it is for; None: all that are his and will be.
        expires_at: when it ends; None: not by itself.
        link: `vehicles.id` of the vehicle that it is a link to; it ends with that vehicle.
    """
    token = secrets.token_hex(32)
    await db.execute(_CREATE, owner_id, hash_token(token), application, purpose, permit, vehicles, expires_at, link)
    return token


def identify(token: str) -> str:
    """The identifier under which a token is listed."""
    return hash_token(token).hex()[:IDENTIFIER_LENGTH]


async def use_token(db: Pool, token: str) -> TokenOwner | None:
    """Whose token this is, noting that it was used; None for one that does not exist."""
    row = await db.fetchrow(_USE, hash_token(token))
    return None if row is None else TokenOwner(*row)


async def list_tokens(db: Database, owner_id: int) -> list[ApiToken]:
    """An owner's tokens, oldest first, his links among them."""
    return [ApiToken(*row) for row in await db.fetch(_LIST_ALL, owner_id)]


async def list_own_tokens(db: Database, owner_id: int) -> list[ApiToken]:
    """The same without the links."""
    return [ApiToken(*row) for row in await db.fetch(_LIST_OWN, owner_id)]


async def list_links(db: Database, owner_id: int, vehicle: int) -> list[ApiToken]:
    """The links to an owner's vehicle, oldest first."""
    return [ApiToken(*row) for row in await db.fetch(_LIST_LINKS, owner_id, vehicle)]


async def count_tokens(db: Database, owner_id: int) -> int:
    """How many tokens an owner has, links among them."""
    return int(await db.fetchval(_COUNT, owner_id))


async def find_standing(db: Database, owner_id: int, proof: str) -> Standing | None:
    """Return the credential of this proof; None if the password was changed, or the token was revoked or has expired."""
    row = await db.fetchrow(_STANDING, owner_id, proof)
    return None if row is None else Standing(*row)


async def delete_own_token(db: Database, owner_id: int, identifier: str) -> bool:
    """Delete an owner's token that is no link; whether there was one."""
    return await db.fetchval(_DELETE_OWN, owner_id, identifier) is not None


async def delete_tokens(db: Database, owner_id: int) -> None:
    """Delete all of an owner's tokens and links."""
    await db.execute(_DELETE_ALL, owner_id)


async def delete_link(db: Database, owner_id: int, vehicle: int, identifier: str) -> bool:
    """Delete a link to an owner's vehicle; whether there was one."""
    return await db.fetchval(_DELETE_LINK, owner_id, vehicle, identifier) is not None


async def delete_token(db: Database, owner_id: int, token: str) -> list[str]:
    """Delete an owner's token by its text or its identifier; returns the identifiers of what was there."""
    folded = token.lower()
    identifier = folded if _IDENTIFIER.match(folded) else None
    return [row[0] for row in await db.fetch(_DELETE, owner_id, hash_token(folded), identifier)]
