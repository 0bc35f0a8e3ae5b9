"""Who calls: by session cookie, else by user name and password in the query, else by the Authorization header."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from api_gateway.auth.credentials import device_of, from_authorization, from_query, headers_of
from api_gateway.auth.door import Door
from api_gateway.errors import AuthenticationFailed
from ovms.auth.rights import allows, grants_anything
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


class Authenticator:
    """Finds the caller of a request, or of a connection."""

    def __init__(self, sessions: Sessions, door: Door) -> None:
        self._sessions = sessions
        self._door = door

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]], query: bytes, address: Callable[[], str]) -> Caller:
        """The caller of a request with these headers and this query, from this address.

        Raises:
            AuthenticationFailed: there is no credential, or none that is right.
            TooManyAttempts: too many wrong ones came from there.
            Overloaded: too many passwords wait to be checked.
        """
        session, authorization = headers_of(headers)
        if session is not None and (login := await self._sessions.read(session)) is not None:
            return Caller(login, session)
        credential = from_query(query) or (authorization and from_authorization(authorization)) or None
        found = await self._door.sign_in(credential, address, partial(device_of, headers)) if credential else None
        if found is None or not grants_anything(found.permit):
            raise AuthenticationFailed
        return Caller(found, None)

    async def check_standing(self, caller: Caller) -> None:
        """Look whether a caller who has been found is one still.

        Raises:
            AuthenticationFailed: his session has ended, or his password or token is one no more.
        """
        if caller.session is not None and await self._sessions.read(caller.session) is None:
            raise AuthenticationFailed
        if not await self._door.stands(caller.login):
            raise AuthenticationFailed
