"""Who calls: by session cookie, else by user name and password in the query, else by the Authorization header."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from api_gateway.auth.credentials import device_of, presented
from api_gateway.auth.door import Door
from api_gateway.errors import AuthenticationFailed
from ovms.auth.rights import allows, grants_anything
from ovms.auth.sign_in import SignIn
from ovms.bus.sessions import Login, Sessions, session_key


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
    def means(self) -> str:
        """What the caller signed in with, as trails tell it."""
        return "password" if self.login.token is None else f"token {self.login.token}"

    def may(self, scope: str) -> bool:
        """Whether his credential allows what a scope stands for."""
        return allows(self.login.permit, scope)

    @property
    def member(self) -> str:
        """The name under which the caller counts as an app of a vehicle: one for all calls with one credential."""
        seed = session_key(self.session) if self.session else f"{self.login.owner_id}:{self.login.proof}"
        return "http:" + hashlib.sha256(seed.encode()).hexdigest()[:32]


Headers = Iterable[tuple[bytes, bytes]]


class Authenticator:
    """Finds the caller of a request, or of a connection."""

    def __init__(self, sessions: Sessions, door: Door, sign_in: SignIn) -> None:
        self._sessions = sessions
        self._door = door
        self._sign_in = sign_in

    async def authenticate(
        self, headers: Headers, query: bytes, address: Callable[[], str], *, checks_later: bool = False
    ) -> Caller:
        """Return the caller of a request with these headers and this query, from this address.

        A session counts only while the password or token that began it still stands.

        Args:
            checks_later: return also the caller of a session or of a remembered credential that may no longer stand, since the
                statement of the call says whether it does (`Login.proof`).

        Raises:
            AuthenticationFailed: there is no credential, or none that is right.
            TooManyAttempts: too many wrong ones came from there.
            Overloaded: too many passwords wait to be checked.
        """
        session, credential = presented(headers, query)
        if session is not None:
            login = await self._sessions.read(session)
            if login is not None and (checks_later or await self._sign_in.stands(login)):
                return Caller(login, session)
        if credential is None:
            raise AuthenticationFailed
        login = await self._door.sign_in(credential, address, partial(device_of, headers), checks_later=checks_later)
        if login is None or not grants_anything(login.permit):
            raise AuthenticationFailed
        return Caller(login, None)

    async def check_standing(self, caller: Caller) -> None:
        """Check that a caller who has signed in still is.

        Raises:
            AuthenticationFailed: the session has ended, the password was changed, or the token was revoked or has expired.
        """
        login: Login | None = caller.login
        if caller.session is not None:
            # As it is now: it goes on under another proof where it has changed the password itself.
            login = await self._sessions.read(caller.session)
        if login is None or not await self._sign_in.stands(login):
            raise AuthenticationFailed
