"""Asks mail addresses whether they want notifications: the only mail that one gets before it is confirmed.

Its text holds nothing that the owner who named the address has written.
"""

import asyncio
import secrets
from typing import Final, Protocol

import structlog

from car_protocol.push.channel import DeliveryError, Refused
from car_protocol.storage.lane import PUT_OFF
from ovms.db.engine import Pool
from ovms.db.mail_addresses import ask_later, take_unconfirmed

EVERY: Final = 5.0
"""Seconds between two looks at the addresses."""
RETRY_AFTER: Final = 60.0
"""Seconds after which a mail server that took none is tried again."""
_CODE_BYTES: Final = 18


class Asks(Protocol):
    """Sends the mail."""

    async def ask(self, address: str, code: str) -> None:
        """Ask an address.

        Raises:
            DeliveryError: it is not sent.
        """


class Confirmations:
    """Sends due mails to confirm addresses by, any number of replicas at once."""

    def __init__(self, pool: Pool, channel: Asks) -> None:
        self._pool = pool
        self._channel = channel
        self._log = structlog.get_logger("push")

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                wait = EVERY if await self.send_due() else RETRY_AFTER
            except PUT_OFF as error:
                self._log.warning("confirmations postponed", reason=type(error).__name__)
                wait = EVERY
            await asyncio.sleep(wait)

    async def send_due(self) -> bool:
        """Send all that are due; return whether the mail server took them."""
        while asked := await take_unconfirmed(self._pool, code := secrets.token_urlsafe(_CODE_BYTES)):
            try:
                await self._channel.ask(asked.address, code)
            except Refused as error:
                self._log.info("mail address not asked", reason=str(error))
            except DeliveryError as error:
                self._log.info("confirmation postponed", reason=str(error))
                await ask_later(self._pool, asked)
                return False
        return True
