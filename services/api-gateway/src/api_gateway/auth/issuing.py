"""Issues API tokens: as many as an account may have, and none that outlives the one that asks for it."""

from collections.abc import Sequence
from datetime import datetime

from api_gateway.auth.authenticator import Caller
from api_gateway.errors import TooMany
from ovms.db.accounts import lock_account
from ovms.db.engine import Connection, Database
from ovms.db.tokens import MOST_TOKENS, count_tokens, create_token, find_expiry


async def issue(
    connection: Connection,
    caller: Caller,
    permit: str,
    *,
    application: str,
    purpose: str,
    vehicles: Sequence[str] | None = None,
    expires_at: datetime | None = None,
    link: int | None = None,
) -> str:
    """Make a token of a caller's in the transaction of a connection; `create_token` says what the others are.

    Args:
        expires_at: when it ends; None: with the token that asks.

    Raises:
        TooMany: there may be no other.
    """
    await lock_account(connection, caller.owner_id)
    if await count_tokens(connection, caller.owner_id) >= MOST_TOKENS:
        raise TooMany
    return await create_token(
        connection,
        caller.owner_id,
        application=application,
        purpose=purpose,
        permit=permit,
        vehicles=vehicles,
        expires_at=expires_at or await latest_end(connection, caller),
        link=link,
    )


async def latest_end(db: Database, caller: Caller) -> datetime | None:
    """When the token ends that a caller signs in with; None: not by itself, or it is his password."""
    return await find_expiry(db, caller.owner_id, caller.login.proof)
