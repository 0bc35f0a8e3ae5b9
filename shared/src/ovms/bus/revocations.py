"""Re-checks of open connections when a credential or a share of an owner is revoked.

PostgreSQL decides what stands. The channel of the owner only says when to ask it, so a publication that is lost costs time and
nothing else: services re-check at intervals too.
"""

from collections.abc import Callable, Iterable
from typing import Any

import redis.asyncio
import structlog

from ovms.bus.channels import revocations_channel
from ovms.bus.errors import FAILURES
from ovms.bus.subscriptions import Listener, Party

Recheck = Callable[[], None]


class Revocations:
    """The owners whose credentials and shares open connections of this process rest on.

    Args:
        channels: where the channels of owners are subscribed to.
        log: a structlog logger; None: the one that the service has configured.
    """

    def __init__(self, client: redis.asyncio.Redis, channels: Party, log: Any = None) -> None:
        self._client = client
        self._channels = channels
        self._watching: dict[int, list[Recheck]] = {}
        self._log = log or structlog.get_logger("revocations")

    def watch(self, owner_id: int, recheck: Recheck) -> None:
        """Call `recheck` at every revocation of an owner.

        It is also called once from here on, since a revocation may have come between the login and the subscription, and after
        every time that Redis was unavailable.
        """
        watching = self._watching.setdefault(owner_id, [])
        watching.append(recheck)
        if len(watching) > 1:
            recheck()
            return
        self._channels.hear(_channel(owner_id), Listener(lambda _: self._recheck(owner_id), lambda: self._recheck(owner_id)))

    def unwatch(self, owner_id: int, recheck: Recheck) -> None:
        """Stop calling `recheck`."""
        watching = self._watching[owner_id]
        watching.remove(recheck)
        if not watching:
            del self._watching[owner_id]
            self._channels.leave(_channel(owner_id))

    def _recheck(self, owner_id: int) -> None:
        for recheck in tuple(self._watching.get(owner_id, ())):
            recheck()

    async def publish(self, *owner_ids: int) -> None:
        """Have the open connections of owners re-checked by all services. Call it after the commit of the revocation."""
        try:
            await publish_revocations(self._client, owner_ids)
        except FAILURES as error:
            # The revocation is in force; connections end at their next re-check.
            self._log.warning("revocation not published", reason=type(error).__name__)


async def publish_revocations(client: redis.asyncio.Redis, owner_ids: Iterable[int]) -> None:
    """Have the open connections of owners re-checked by all services.

    Raises:
        redis.exceptions.RedisError, OSError: Redis did not take all of it.
    """
    for owner_id in owner_ids:
        await client.publish(_channel(owner_id), b"")


def _channel(owner_id: int) -> bytes:
    return revocations_channel(owner_id).encode()
