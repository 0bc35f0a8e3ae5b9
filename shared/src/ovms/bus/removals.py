"""Tells all replicas of both services of removed vehicles, so that nothing of them is delivered any longer."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol

import redis.asyncio

from ovms.bus.channels import REMOVALS
from ovms.bus.errors import FAILURES
from ovms.bus.subscriptions import Listener

_WORD: Final = b"removed "


class Channels(Protocol):
    """Where channels are subscribed to."""

    def hear(self, channel: bytes, listener: Listener) -> None:
        """Call a listener for a channel."""


def removed(vehicle: int) -> bytes:
    """Return the message that a vehicle, given as `vehicles.id`, was removed."""
    return b"%b%d" % (_WORD, vehicle)


def read_removed(body: bytes) -> int:
    """Return the vehicle that a message says was removed.

    Raises:
        ValueError: it is malformed.
    """
    number = body.removeprefix(_WORD)
    if len(number) == len(body) or not number.isdigit() or len(number) > 19:
        raise ValueError("no message of the removals channel")
    return int(number)


def subscribe(channels: Channels, call: Callable[[int], Any]) -> None:
    """Call a function with each vehicle that is removed from now on."""
    channels.hear(REMOVALS.encode(), Listener(lambda body: call(read_removed(body))))


class Removals:
    """Publishes removals, at most once: what misses one finds it in PostgreSQL soon."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client

    async def publish(self, vehicles: Iterable[int]) -> None:
        """Publish that vehicles were removed, once that is committed."""
        with suppress(*FAILURES):
            await publish_removals(self._client, vehicles)


async def publish_removals(client: redis.asyncio.Redis, vehicles: Iterable[int]) -> None:
    """Publish that vehicles were removed.

    Raises:
        redis.exceptions.RedisError, OSError: Redis did not take all of it.
    """
    for vehicle in vehicles:
        await client.publish(REMOVALS, removed(vehicle))
