"""`ovms token add|list|remove`."""

from __future__ import annotations

from typing import Any

import asyncpg

from ovms.admin.errors import AdminError
from ovms.admin.revoked import Revoked
from ovms.db.accounts import Account, find_account
from ovms.db.tokens import create_token, delete_token, list_tokens


async def add(db: asyncpg.Pool[Any], owner_name: str, *, application: str, purpose: str, permit: str) -> None:
    """Make a token and print it, this once."""
    owner = await _the_account(db, owner_name)
    print(await create_token(db, owner.owner_id, application=application, purpose=purpose, permit=permit))


async def show(db: asyncpg.Pool[Any], owner_name: str) -> None:
    """Print a line a token: identifier, application, purpose, rights, time of creation, time of last use."""
    owner = await _the_account(db, owner_name)
    for token in await list_tokens(db, owner.owner_id):
        times = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (token.created_at, token.last_used_at))
        print("\t".join((token.identifier, token.application, token.purpose, token.permit, *times)))


async def remove(db: asyncpg.Pool[Any], owner_name: str, token: str) -> Revoked:
    """Remove a token by its text or its identifier."""
    owner = await _the_account(db, owner_name)
    if not await delete_token(db, owner.owner_id, token):
        raise AdminError(f"owner {owner.name} has no such token")
    print("token removed")
    return Revoked([owner.owner_id])


async def _the_account(db: asyncpg.Pool[Any], owner_name: str) -> Account:
    account = await find_account(db, owner_name)
    if account is None:
        raise AdminError(f"no owner is called {owner_name!r}")
    return account
