"""Who calls: by session cookie, else by user name and password in the query, else by the Authorization header."""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from api_gateway.auth.credentials import (
    BearerToken,
    Credential,
    Password,
    from_authorization,
    from_query,
    headers_of,
)
from api_gateway.auth.passwords import PasswordChecks
from api_gateway.auth.remembered import Remembered
from api_gateway.auth.rights import EVERYTHING, grants_anything
from api_gateway.errors import AuthenticationFailed
from ovms.bus.sessions import Login, Sessions, session_key
from ovms.db.accounts import find_account
from ovms.db.engine import Pool
from ovms.db.tokens import looks_like_token, use_token


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and under which session if under one."""

    login: Login
    session: str | None

    @property
    def owner_id(self) -> int:
        """`owners.id`"""
        return self.login.owner_id

    @property
    def member(self) -> str:
        """The name under which the caller counts as an app of a vehicle: one for all calls with one credential."""
        seed = session_key(self.session) if self.session else f"{self.login.owner_id}:{self.login.proof}"
        return "http:" + hashlib.sha256(seed.encode()).hexdigest()[:32]


class Authenticator:
    """Finds the caller of a request."""

    def __init__(
        self,
        pool: Pool,
        sessions: Sessions,
        passwords: PasswordChecks,
        remembered: Remembered,
        nobody: str,
    ) -> None:
        """`nobody` is the hash of a password that no one has: checking it takes as long for an unknown owner."""
        self._pool = pool
        self._sessions = sessions
        self._passwords = passwords
        self._remembered = remembered
        self._nobody = nobody
        self._under_way: dict[bytes, asyncio.Task[Login | None]] = {}

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]], query: bytes) -> Caller:
        """The caller of a request with these headers and this query.

        Raises:
            AuthenticationFailed: there is no credential, or none that is right.
            Overloaded: too many passwords wait to be checked.
        """
        session, authorization = headers_of(headers)
        if session is not None and (login := await self._sessions.read(session)) is not None:
            return Caller(login, session)
        credential = from_query(query) or (authorization and from_authorization(authorization)) or None
        found = await self.sign_in(credential) if credential else None
        if found is None or not grants_anything(found.permit):
            raise AuthenticationFailed
        return Caller(found, None)

    async def sign_in(self, credential: Credential) -> Login | None:
        """Whose credential this is; None for a wrong one. Equal ones that come at once are checked once."""
        mark = self._mark(credential)
        if (login := self._remembered.find(mark)) is not None:
            return login
        if (check := self._under_way.get(mark)) is None:
            check = self._under_way[mark] = asyncio.create_task(self._check(credential, mark))
            check.add_done_callback(lambda _: self._under_way.pop(mark))
        return await asyncio.shield(check)

    def forget(self, owner_id: int) -> None:
        """Ask again for every credential of an owner: one was revoked."""
        self._remembered.forget(owner_id)

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
        return Login(owner.owner_id, owner.name, owner.permit, _proof(token))

    async def _check_password(self, user: str, password: str) -> Login | None:
        account = await find_account(self._pool, user)
        right = await self._passwords.check(account.password_hash if account else self._nobody, password)
        if account is None or not right:
            return None
        return Login(account.owner_id, account.name, EVERYTHING, _proof(account.password_hash))


def _proof(checked_against: str) -> str:
    return hashlib.sha256(checked_against.encode()).hexdigest()
