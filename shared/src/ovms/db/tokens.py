"""API tokens: 64 hexadecimal digits, shown once to their owner and stored as their SHA-256."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, DateTime, cast, delete, func, insert, null, or_, select, union_all, update

from ovms.db.engine import Database, Pool
from ovms.db.statement import Query, Statement, param, unexpired
from ovms.db.tables import api_tokens, owners

IDENTIFIER_LENGTH: Final = 16
MOST_TOKENS: Final = 500
"""Of one owner, links among them."""

_TOKEN: Final = re.compile(r"[0-9a-f]{64}\Z")
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{16}\Z")


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


_CREATE: Final = Statement(
    insert(api_tokens).values(
        owner_id=param("owner_id"),
        sha256=param("sha256"),
        application=param("application"),
        purpose=param("purpose"),
        permit=param("permit"),
        vehicles=param("vehicles"),
        expires_at=param("expires_at"),
        link=param("link"),
    )
)

_USE: Final = Query(
    TokenOwner,
    update(api_tokens)
    .values(last_used_at=func.now())
    .where(api_tokens.c.sha256 == param("sha256"), owners.c.id == api_tokens.c.owner_id, unexpired(api_tokens))
    .returning(owners.c.id.label("owner_id"), owners.c.name, api_tokens.c.permit, api_tokens.c.vehicles),
)

_IS_OWNED: Final = api_tokens.c.owner_id == param("owner_id")
_IDENTIFIER_OF: Final = func.encode(func.substr(api_tokens.c.sha256, 1, 8), "hex")


def _list(*conditions: ColumnElement[bool]) -> Query[ApiToken]:
    return Query(
        ApiToken,
        select(
            _IDENTIFIER_OF.label("identifier"),
            *(column for column in api_tokens.c if column.name in ApiToken.__dataclass_fields__),
        )
        .where(_IS_OWNED, *conditions)
        .order_by(api_tokens.c.created_at, api_tokens.c.id),
    )


_LIST_ALL: Final = _list()
_LIST_OWN: Final = _list(api_tokens.c.link.is_(None))
_LIST_LINKS: Final = _list(api_tokens.c.link == param("vehicle"))

_COUNT: Final = Statement(select(func.count()).where(_IS_OWNED))

_STANDING: Final = Query(
    Standing,
    union_all(
        select(cast(null(), DateTime(timezone=True)).label("expires_at")).where(
            owners.c.id == param("owner_id"),
            func.encode(func.sha256(func.convert_to(owners.c.password_hash, "UTF8")), "hex") == param("proof"),
        ),
        select(api_tokens.c.expires_at).where(
            _IS_OWNED, func.encode(api_tokens.c.sha256, "hex") == param("proof"), unexpired(api_tokens)
        ),
    ),
)

_DELETE: Final = Statement(
    delete(api_tokens)
    .where(_IS_OWNED, or_(api_tokens.c.sha256 == param("sha256"), param("identifier") == _IDENTIFIER_OF))
    .returning(_IDENTIFIER_OF)
)

_DELETE_LINK: Final = Statement(
    delete(api_tokens).where(_IS_OWNED, api_tokens.c.link == param("vehicle"), param("identifier") == _IDENTIFIER_OF)
)

_DELETE_OWN: Final = Statement(
    delete(api_tokens).where(_IS_OWNED, api_tokens.c.link.is_(None), param("identifier") == _IDENTIFIER_OF)
)

_DELETE_ALL: Final = Statement(delete(api_tokens).where(_IS_OWNED))


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
    await _CREATE.execute(
        db,
        owner_id=owner_id,
        sha256=hash_token(token),
        application=application,
        purpose=purpose,
        permit=permit,
        vehicles=vehicles,
        expires_at=expires_at,
        link=link,
    )
    return token


def identify(token: str) -> str:
    """The identifier under which a token is listed."""
    return hash_token(token).hex()[:IDENTIFIER_LENGTH]


async def use_token(db: Pool, token: str) -> TokenOwner | None:
    """Whose token this is, noting that it was used; None for one that does not exist."""
    return await _USE.find(db, sha256=hash_token(token))


async def list_tokens(db: Database, owner_id: int) -> list[ApiToken]:
    """An owner's tokens, oldest first, his links among them."""
    return await _LIST_ALL.find_all(db, owner_id=owner_id)


async def list_own_tokens(db: Database, owner_id: int) -> list[ApiToken]:
    """The same without the links."""
    return await _LIST_OWN.find_all(db, owner_id=owner_id)


async def list_links(db: Database, owner_id: int, vehicle: int) -> list[ApiToken]:
    """The links to an owner's vehicle, oldest first."""
    return await _LIST_LINKS.find_all(db, owner_id=owner_id, vehicle=vehicle)


async def count_tokens(db: Database, owner_id: int) -> int:
    """How many tokens an owner has, links among them."""
    return int(await _COUNT.fetchval(db, owner_id=owner_id))


async def find_standing(db: Database, owner_id: int, proof: str) -> Standing | None:
    """Return the credential of this proof; None if the password was changed, or the token was revoked or has expired."""
    return await _STANDING.find(db, owner_id=owner_id, proof=proof)


async def delete_own_token(db: Database, owner_id: int, identifier: str) -> bool:
    """Delete an owner's token that is no link; whether there was one."""
    return await _DELETE_OWN.execute(db, owner_id=owner_id, identifier=identifier) > 0


async def delete_tokens(db: Database, owner_id: int) -> None:
    """Delete all of an owner's tokens and links."""
    await _DELETE_ALL.execute(db, owner_id=owner_id)


async def delete_link(db: Database, owner_id: int, vehicle: int, identifier: str) -> bool:
    """Delete a link to an owner's vehicle; whether there was one."""
    return await _DELETE_LINK.execute(db, owner_id=owner_id, vehicle=vehicle, identifier=identifier) > 0


async def delete_token(db: Database, owner_id: int, token: str) -> list[str]:
    """Delete an owner's token by its text or its identifier; returns the identifiers of what was there."""
    folded = token.lower()
    identifier = folded if _IDENTIFIER.match(folded) else None
    deleted = await _DELETE.fetch(db, owner_id=owner_id, sha256=hash_token(folded), identifier=identifier)
    return [row[0] for row in deleted]
