"""Signs in, and slows down password guesses by name and source.

No request waits here for longer than a second: one that comes too soon is answered 429, with the time when the next may come. A
password that was right lately, from the same address and client, is not slowed down beside a program that sends an old one.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from api_gateway.errors import TooManyAttempts
from ovms.auth.credentials import BearerToken, Credential, Password
from ovms.auth.delays import LoginDelays, Source
from ovms.auth.published import is_loopback, is_published
from ovms.auth.sign_in import Recalled, SignIn
from ovms.bus.sessions import Login
from ovms.db.tokens import looks_like_token

FREE: Final = 10
"""Failures without a delay: programs try again by themselves."""
LONGEST_WAIT: Final = 1.0
LONGEST_NAME: Final = 255
LONGEST_DEVICE: Final = 200


class Door:
    """Finds out whose a credential is.

    Args:
        clock: a monotonic one.
    """

    def __init__(self, sign_in: SignIn, delays: LoginDelays, clock: Callable[[], float]) -> None:
        self._sign_in = sign_in
        self._delays = delays
        self._clock = clock

    async def sign_in(
        self,
        credential: Credential,
        address: Callable[[], str],
        device: Callable[[], str] = str,
        *,
        checks_later: bool = False,
    ) -> Login | None:
        """Return whose credential this is; None for a wrong one.

        Args:
            address: where it comes from.
            device: what the client calls itself.
            checks_later: the caller checks whether a login that is remembered still stands.

        Raises:
            TooManyAttempts: too many wrong ones came before, from this source and for this name.
            Overloaded: too many passwords wait to be checked.
        """
        # Nobody guesses a token of 256 bits.
        if isinstance(credential, BearerToken):
            return await self._sign_in.sign_in(credential, checks_later=checks_later)
        name = credential.user.lower()[:LONGEST_NAME]
        if looks_like_token(credential.secret):
            token = BearerToken(credential.secret)
            if (login := await self._sign_in.sign_in(token, checks_later=checks_later)) is not None:
                return login if login.owner.lower() == credential.user.lower() else None
        if is_published(credential.user, credential.secret) and not is_loopback(address()):
            return None
        source = Source(address(), device()[:LONGEST_DEVICE])
        if self._is_guess(credential, name, source):
            return await self._throttled(credential, name, source)
        is_known = self._delays.is_known(name, source)
        login = await self._sign_in.sign_in(credential, checks_later=checks_later and is_known)
        if login is not None and not is_known:
            self._delays.succeeded(name, source)
        return login

    def _is_guess(self, credential: Password, name: str, source: Source) -> bool:
        """Return whether this may be a guess.

        A password that was right is one too where others are guessed: the answer would tell it from them without a delay.
        """
        recalled = self._sign_in.recall(credential)
        if recalled is not Recalled.RIGHT:
            return recalled is Recalled.NOTHING
        return self._delays.has_failures(name) and (
            not self._delays.is_known(name, source) or self._delays.is_guessed(name, source, self._clock())
        )

    async def _throttled(self, credential: Password, name: str, source: Source) -> Login | None:
        await self._wait(name, source)
        # Counted before it is checked: a hundred guesses at once are a hundred.
        self._delays.failed(name, source, self._clock())
        try:
            login = await self._sign_in.sign_in(credential)
        except Exception:
            self._delays.take_back(name, source)
            raise
        if login is not None:
            self._delays.succeeded(name, source)
        return login

    async def _wait(self, name: str, source: Source) -> None:
        left = self._delays.left(name, source, self._clock())
        if 0 < left <= LONGEST_WAIT:
            await asyncio.sleep(left)
            left = self._delays.left(name, source, self._clock())
        if left:
            self._delays.denied(name, source)
            raise TooManyAttempts(left)
