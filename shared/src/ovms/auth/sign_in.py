"""Finds out whose a credential is."""

import asyncio
import hashlib
from dataclasses import replace
from enum import Enum
from functools import partial

from ovms.auth.credentials import BearerToken, Credential, Password
from ovms.auth.passwords import Overloaded, PasswordChecks
from ovms.auth.remembered import Remembered
from ovms.auth.rights import EVERYTHING
from ovms.bus.sessions import Login
from ovms.db.accounts import Account, credentials_stand, find_account, renew_hash
from ovms.db.engine import Pool
from ovms.db.passwords import is_outdated
from ovms.db.tokens import IDENTIFIER_LENGTH, looks_like_token, use_token
from ovms.gathered import Gathered


class Recalled(Enum):
    """What is remembered of a credential."""

    NOTHING = "nothing"
    """It may be a guess."""
    BEING_CHECKED = "being checked"
    """An equal one: this one gets the same answer."""
    RIGHT = "right"
    """It was right once, however long ago."""


class SignIn:
    """Checks passwords and API tokens.

    Args:
        nobody: the hash of a password that no one has: checking it takes as long for an unknown owner.
    """

    def __init__(self, pool: Pool, passwords: PasswordChecks, remembered: Remembered, nobody: str) -> None:
        self._pool = pool
        self._passwords = passwords
        self._remembered = remembered
        self._nobody = nobody
        # What was revoked or changed may have been so at another replica: what is remembered spares Argon2, not PostgreSQL.
        self._standing = Gathered(partial(credentials_stand, pool))
        self._under_way: dict[bytes, asyncio.Task[Login | None]] = {}

    async def sign_in(self, credential: Credential, *, checks_later: bool = False) -> Login | None:
        """Whose credential this is; None for a wrong one. Equal ones that come at once are checked once.

        Args:
            checks_later: return a login that is remembered also where it may no longer stand, since the caller checks that.

        Raises:
            Overloaded: too many passwords wait to be checked.
        """
        mark = self._mark(credential)
        login = self._remembered.find(mark)
        if login is not None and (checks_later or await self.stands(login)):
            return login
        if (check := self._under_way.get(mark)) is None:
            check = self._under_way[mark] = asyncio.create_task(self._check(credential, mark))
            check.add_done_callback(lambda _: self._under_way.pop(mark))
        return await asyncio.shield(check)

    def recall(self, credential: Credential) -> Recalled:
        """Return what this process remembers of a credential."""
        mark = self._mark(credential)
        if mark in self._under_way:
            return Recalled.BEING_CHECKED
        return Recalled.RIGHT if self._remembered.was_right(mark) else Recalled.NOTHING

    async def stands(self, login: Login) -> bool:
        """Whether what was right once is so still: a password may be changed, a token revoked or expired."""
        return await self._standing.ask((login.owner_id, login.proof))

    def _mark(self, credential: Credential) -> bytes:
        match credential:
            case Password(user, secret):
                return self._remembered.mark(user, secret)
            case BearerToken(token):
                return self._remembered.mark(token)

    async def _check(self, credential: Credential, mark: bytes) -> Login | None:
        match credential:
            case Password(user, secret):
                login = await self._check_token(secret, user) or await self._check_password(user, secret)
            case BearerToken(token):
                login = await self._check_token(token, None)
        if login is not None:
            self._remembered.keep(mark, login)
        return login

    async def _check_token(self, token: str, user: str | None) -> Login | None:
        if not looks_like_token(token) or (owner := await use_token(self._pool, token)) is None:
            return None
        if user is not None and user.lower() != owner.name.lower():
            return None
        vehicles = None if owner.vehicles is None else frozenset(owner.vehicles)
        proof = _proof(token)
        return Login(owner.owner_id, owner.name, owner.permit, proof, vehicles, proof[:IDENTIFIER_LENGTH])

    async def _check_password(self, user: str, password: str) -> Login | None:
        account = await find_account(self._pool, user)
        right = await self._passwords.check(account.password_hash if account else self._nobody, password)
        if account is None or not right:
            return None
        if is_outdated(account.password_hash):
            return await self._renew(account, password)
        return _login_of(account)

    async def _renew(self, account: Account, password: str) -> Login | None:
        """Hash a password anew that was brought along, now that it is known."""
        try:
            password_hash = await self._passwords.hash(password)
        except Overloaded:
            return _login_of(account)  # another time
        if await renew_hash(self._pool, account, password_hash):
            return _login_of(replace(account, password_hash=password_hash))
        # Another replica has, or the password was changed: what is stored now decides.
        return await self._check_password(account.name, password)


def _login_of(account: Account) -> Login:
    return Login(account.owner_id, account.name, EVERYTHING, _proof(account.password_hash))


def prove_password(login: Login, password_hash: str) -> Login:
    """A login that was proven with a password, proven with another one of the same owner's."""
    return replace(login, proof=_proof(password_hash))


def _proof(checked_against: str) -> str:
    return hashlib.sha256(checked_against.encode()).hexdigest()
