"""Connections to the present primary, which sentinels name.

redis-py has this for sentinels: a pool whose connections ask, each time that they are opened, where to. Here all connections of
a pool are closed as soon as one learns that the primary is another, those that are waited on too: of the former primary, which
may hang or be a replica now, they would never hear of it.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError

from ovms.bus.address import Node


class PrimaryPool(SentinelConnectionPool):
    """Connections to the primary."""

    async def get_master_address(self) -> Node:
        """Ask where the primary is; where it is another than before, close what there is.

        Raises:
            redis.exceptions.ConnectionError: nobody knows.
        """
        try:
            address: Node = await self.sentinel_manager.discover_master(self.service_name)
        except RedisError:
            # Not in redis-py's words, which tell all about those who were asked.
            raise LostConnection("nobody says where the primary is") from None
        if address != self.master_address:
            self.master_address = address
            with suppress(RedisError):
                await self.disconnect()
        return address

    async def aclose(self) -> None:
        """Close the connections, those to the ones who know too."""
        await super().aclose()
        await self.sentinel_manager.aclose()


class _Reopening:
    """A connection that asks where the primary is also when it is opened again while it is in use."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self.is_connected:  # type: ignore[attr-defined]
            await self.connect()  # type: ignore[attr-defined]
        await super().send_packed_command(command, check_health)  # type: ignore[misc]


class PrimaryConnection(_Reopening, SentinelManagedConnection):
    """To the primary."""


class PrimaryTlsConnection(_Reopening, SentinelManagedSSLConnection):
    """To the primary, over TLS."""


def ask_sentinels(nodes: Sequence[Node], **options: Any) -> Sentinel:
    """The sentinels at these addresses."""
    return Sentinel(nodes, sentinel_kwargs={**_asked(), **options})  # type: ignore[no-untyped-call]


def _asked() -> dict[str, Any]:
    # Of one sentinel or node, before the next is asked: a machine that has gone says nothing.
    return {"socket_connect_timeout": 0.5, "socket_timeout": 1.0, "retry": Retry(NoBackoff(), 0)}
