"""Whether Redis serves: a server that is full, or read-only, still answers a PING."""

from typing import Final

from ovms.bus.channels import READY
from ovms.bus.nodes import Nodes

KEPT: Final = 60
"""Seconds."""


async def check_writes(nodes: Nodes) -> None:
    """Write a small key.

    Raises:
        One of `ovms.bus.errors.UNAVAILABLE`: Redis does not take it.
    """
    await nodes.at(READY, lambda node: node.set(READY, b"1", ex=KEPT))
