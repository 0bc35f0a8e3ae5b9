"""The listening sockets. Past the most connections they are closed, so that a car is refused by TCP and comes back in a minute.

Accepting and then closing is what must never happen to a car: newer firmware takes that for wrong credentials. (A handshake of
TLS that does not end is none of it: until it has, a module knows that it has not reached us yet.)
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum, auto
from typing import Any, Final

import structlog

from ovms.listening import Listening, let_in_who_waits
from ovms.tls import HANDSHAKE_TIMEOUT, SHUTDOWN_TIMEOUT

REOPEN_AT: Final = 0.95
BACKLOG: Final = 4096
LOOK_AGAIN: Final = 1.0
"""Seconds after which closed ports are thought about again: handshakes that fail tell nobody."""


class Door:
    """One port.

    Args:
        protocol: makes the protocol of a connection.
        context: what TLS is spoken with; None: none is.
        is_shared: whether other workers listen on it as well.
    """

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        context: ssl.SSLContext | None = None,
        *,
        is_shared: bool = False,
    ) -> None:
        self.port = port
        """Also where 0 was asked for, once it has been open."""
        self.is_tls = context is not None
        self._protocol = protocol
        self._host = host
        self._options: dict[str, Any] = {"backlog": BACKLOG, "reuse_port": is_shared}
        if context is not None:
            self._options |= {
                "ssl": context,
                "ssl_handshake_timeout": HANDSHAKE_TIMEOUT,
                "ssl_shutdown_timeout": SHUTDOWN_TIMEOUT,
            }
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._protocol, self._host, self.port, **self._options)
            self.port = int(self._server.sockets[0].getsockname()[1])

    def sockets(self) -> Sequence[Listening]:
        """What it listens with at the moment."""
        return () if self._server is None else self._server.sockets

    def close(self) -> None:
        """Listen no more; connections stay."""
        if self._server is not None:
            self._server.close()
            self._server = None


class ListenerState(StrEnum):
    """Whether somebody new can connect."""

    SERVING = auto()
    CLOSED = auto()
    """Not yet, or there are too many connections."""
    DRAINING = auto()


class Listener:
    """Accepts connections at all doors while there are fewer than `limit` together.

    Args:
        connections: how many are open.
    """

    def __init__(self, doors: Sequence[Door], connections: Callable[[], int], limit: int) -> None:
        self._doors = doors
        self._connections = connections
        self._limit = limit
        self._is_open = False
        self._opening = asyncio.Lock()
        self._changing = asyncio.Event()
        self._is_ending = False
        self._log = structlog.get_logger("listener")

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: an address cannot be had.
        """
        # Who comes through the first door while the second is opened makes `run` think that all are to be opened.
        async with self._opening:
            for door in self._doors:
                await door.open()
            self._is_open = True
            if self._is_ending:
                self._close()

    @property
    def is_open(self) -> bool:
        """Whether somebody new can connect."""
        return self._is_open and not self._is_ending

    @property
    def state(self) -> ListenerState:
        """Whether somebody new can connect, or why nobody can."""
        if self._is_ending:
            return ListenerState.DRAINING
        return ListenerState.SERVING if self._is_open else ListenerState.CLOSED

    @property
    def port(self) -> int:
        """The port without TLS."""
        return next(door.port for door in self._doors if not door.is_tls)

    @property
    def tls_port(self) -> int | None:
        """The port with TLS, where there is one."""
        return next((door.port for door in self._doors if door.is_tls), None)

    async def end(self) -> None:
        """Be open no more, let in who has connected already, then listen no more; connections stay."""
        self._is_ending = True
        await let_in_who_waits([one for door in self._doors for one in door.sockets()])
        self._close()

    def connections_changed(self) -> None:
        """A connection has come or gone."""
        if not self._is_open or self._connections() >= self._limit:
            self._changing.set()

    async def run(self) -> None:
        """Close and open the ports as connections come and go, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self._is_open else LOOK_AGAIN):
                    await self._changing.wait()
            self._changing.clear()
            if self._is_ending:
                continue
            if self._is_open and self._connections() >= self._limit:
                self._log.warning("too many connections; the ports are closed", connections=self._connections())
                self._close()
            elif not self._is_open and self._connections() < self._limit * REOPEN_AT:
                await self.open()

    def _close(self) -> None:
        for door in self._doors:
            door.close()
        self._is_open = False
