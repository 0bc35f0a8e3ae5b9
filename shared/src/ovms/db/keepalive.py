"""A connection that ends within seconds where the machine of its server is gone.

Such a machine says nothing, and a statement may take half a minute: without this a batch would wait as long before it
is written elsewhere. A server that is only slow is not taken for one that is gone: its machine acknowledges what it gets.
"""

import socket
from asyncio import BaseTransport
from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

IDLE: Final = 4
"""Seconds without a byte after which the machine is asked whether it is there."""
EVERY: Final = 2
GONE_AFTER: Final = 10
"""Seconds without a word of it after which it is gone."""

# What a system does not have is left out: there its own times hold.
_OPTIONS: Final = tuple(
    (getattr(socket, name), value)
    for name, value in (
        ("TCP_KEEPIDLE", IDLE),
        ("TCP_KEEPINTVL", EVERY),
        ("TCP_KEEPCNT", (GONE_AFTER - IDLE) // EVERY),
        ("TCP_USER_TIMEOUT", GONE_AFTER * 1000),
    )
    if hasattr(socket, name)
)


class KeptAlive(_Connection):
    """One of asyncpg's, over TCP or not."""

    __slots__ = ()

    def __init__(self, protocol: Any, transport: BaseTransport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        if (plug := transport.get_extra_info("socket")) is not None and plug.family in (socket.AF_INET, socket.AF_INET6):
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _OPTIONS:
                plug.setsockopt(socket.IPPROTO_TCP, option, value)
