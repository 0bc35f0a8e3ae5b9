"""Issues API tokens: as many as an account may have, and none that outlives the one that asks for it."""

from collections.abc import Sequence
from datetime import datetime

from api_gateway.auth.authenticator import Caller
from api_gateway.errors import AuthenticationFailed, TooMany
from ovms.db.accounts import lock_account
from ovms.db.engine import Connection, Database
from ovms.db.tokens import MOST_TOKENS, count_tokens, create_token, find_standing


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
        AuthenticationFailed: the caller's credential no longer stands.
        TooMany: there may be no other.
    """
    # Under the lock: a password that is being changed is the old one for all that is issued before, and the new one after.
    await lock_account(connection, caller.owner_id)
    latest = await latest_end(connection, caller)
    if await count_tokens(connection, caller.owner_id) >= MOST_TOKENS:
        raise TooMany
    return await create_token(
        connection,
        caller.owner_id,
        application=application,
        purpose=purpose,
        permit=permit,
        vehicles=vehicles,
        expires_at=expires_at or latest,
        link=link,
    )


async def latest_end(db: Database, caller: Caller) -> datetime | None:
    """Return when the caller's token expires; None: it does not, or the caller signed in with the password.

    Raises:
        AuthenticationFailed: the caller's credential no longer stands.
    """
    if (standing := await find_standing(db, caller.owner_id, caller.login.proof)) is None:
        raise AuthenticationFailed
    return standing.expires_at
