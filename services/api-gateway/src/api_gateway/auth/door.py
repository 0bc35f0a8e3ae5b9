"""Signs in, and slows down who guesses: by name and network, so that nobody is kept out of his account from elsewhere.

Nobody waits here for longer than a moment: an attempt that comes too soon is told when to come again. What was right before is
never slowed down, be it beside a program of the same house that goes on trying an old password.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from api_gateway.errors import TooManyAttempts
from ovms.auth.credentials import BearerToken, Credential, Password
from ovms.auth.delays import LoginDelays
from ovms.auth.published import is_loopback, is_published
from ovms.auth.sign_in import SignIn
from ovms.bus.sessions import Login

FREE: Final = 10
"""Failures without a delay: programs try again by themselves."""
LONGEST_WAIT: Final = 1.0
LONGEST_NAME: Final = 255


class Door:
    """Finds out whose a credential is.

    Args:
        clock: a monotonic one.
    """

    def __init__(self, sign_in: SignIn, delays: LoginDelays, clock: Callable[[], float]) -> None:
        self._sign_in = sign_in
        self._delays = delays
        self._clock = clock

    async def sign_in(self, credential: Credential, address: Callable[[], str]) -> Login | None:
        """Whose credential this is; None for a wrong one.

        Args:
            address: where it comes from; asked for only where that matters.

        Raises:
            TooManyAttempts: too many wrong ones came before, from this network and for this name.
            Overloaded: too many passwords wait to be checked.
        """
        if isinstance(credential, Password) and is_published(credential.user, credential.secret) and not is_loopback(address()):
            return None
        # Nobody guesses a token of 256 bits, and the other credentials name whom they are for.
        if isinstance(credential, BearerToken) or not self._sign_in.is_guess(credential):
            return await self._sign_in.sign_in(credential)
        name, network = credential.user.lower()[:LONGEST_NAME], address()
        await self._wait(name, network)
        # Counted before it is looked at: a hundred guesses at once are a hundred.
        self._delays.failed(name, network, self._clock())
        try:
            login = await self._sign_in.sign_in(credential)
        except Exception:
            self._delays.take_back(name, network)
            raise
        if login is not None:
            self._delays.succeeded(name, network)
        return login

    async def stands(self, login: Login) -> bool:
        """Whether what was right once is so still."""
        return await self._sign_in.stands(login)

    async def _wait(self, name: str, network: str) -> None:
        left = self._delays.left(name, network, self._clock())
        if 0 < left <= LONGEST_WAIT:
            await asyncio.sleep(left)
            left = self._delays.left(name, network, self._clock())
        if left:
            raise TooManyAttempts(left)
