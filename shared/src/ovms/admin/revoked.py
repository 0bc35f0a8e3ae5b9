"""Publication of what a command has revoked, so that open streams and connections that rest on it end at once."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ovms.admin.target import Target
from ovms.bus.client import open_redis
from ovms.bus.errors import FAILURES
from ovms.bus.removals import publish_removals
from ovms.bus.revocations import publish_revocations

CONNECT_WITHIN: Final = 2.0
PUBLISH_WITHIN: Final = 5.0
"""Seconds for all of it: the command has done its work, and waits no longer for a Redis that hangs."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """The owners whose credentials and the vehicles that a command has revoked or removed."""

    owners: Sequence[int] = ()
    """`owners.id`"""
    vehicles: Sequence[int] = ()
    """`vehicles.id`"""


async def publish(target: Target, revoked: Revoked) -> None:
    """Publish a revocation, once it is committed. Where Redis is unavailable, print when it takes effect."""
    if target.redis_url is None or not (revoked.owners or revoked.vehicles):
        return
    client = open_redis(target.redis_url, socket_connect_timeout=CONNECT_WITHIN, socket_timeout=CONNECT_WITHIN)
    try:
        async with asyncio.timeout(PUBLISH_WITHIN), client:
            await publish_removals(client, revoked.vehicles)
            await publish_revocations(client, revoked.owners)
    except FAILURES as error:
        print(
            f"ovms: Redis (OVMS_REDIS_URL) is unavailable ({type(error).__name__}): open event streams and app connections end "
            "at their next re-check, within 15 s",
            file=sys.stderr,
        )
