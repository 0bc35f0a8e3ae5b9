"""Whether Redis serves: a server that is full, or read-only, still answers a PING."""

from typing import Final

from ovms.bus.channels import READY
from ovms.bus.client import Client

KEPT: Final = 60
"""Seconds."""


async def check_writes(client: Client) -> None:
    """Write a small key.

    Raises:
        One of `ovms.bus.errors.UNAVAILABLE`: Redis does not take it.
    """
    await client.set(READY, b"1", ex=KEPT)
