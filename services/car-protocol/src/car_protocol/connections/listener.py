"""The listening sockets.

Accepting and then closing is what must never happen to a car: newer firmware takes that for wrong credentials, and stays away
(`ovms.accepting`). A handshake of TLS that fails is another matter: until it has ended, a module knows that it has not reached
the server yet.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from enum import StrEnum, auto
from typing import Any

from ovms.accepting import Acceptor
from ovms.listening import listen_on
from ovms.tls import HANDSHAKE_TIMEOUT, SHUTDOWN_TIMEOUT


class ListeningPort:
    """One port.

    Args:
        context: the server's side of TLS; None: the port is without.
        is_shared: whether other workers listen on it as well.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None, *, is_shared: bool = False) -> None:
        self.port = port
        """The port that was chosen where 0 was asked for, once it is open."""
        self.is_tls = context is not None
        self.tls_options: dict[str, Any] = {}
        if context is not None:
            timeouts = {"ssl_handshake_timeout": HANDSHAKE_TIMEOUT, "ssl_shutdown_timeout": SHUTDOWN_TIMEOUT}
            self.tls_options = {"ssl": context, **timeouts}
        self.sockets: Sequence[socket.socket] = ()
        self._host = host
        self._is_shared = is_shared

    async def open(self, backlog: int) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be bound.
        """
        self.sockets = await asyncio.to_thread(listen_on, self._host, self.port, backlog=backlog, is_shared=self._is_shared)
        self.port = int(self.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop listening; connections stay."""
        for listening in self.sockets:
            listening.close()
        self.sockets = ()


class ListenerState(StrEnum):
    """Whether new connections are accepted."""

    SERVING = auto()
    CLOSED = auto()
    """Not yet, or there are too many connections: new ones wait in the kernel's queue."""
    DRAINING = auto()


class Listener:
    """Some ports, and what accepts their connections."""

    def __init__(self, ports: Sequence[ListeningPort], acceptor: Acceptor) -> None:
        self._ports = ports
        self._acceptor = acceptor
        self._is_ending = False

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: an address cannot be bound.
        """
        for port in self._ports:
            await port.open(self._acceptor.backlog)
        for port in self._ports:
            for listening in port.sockets:
                self._acceptor.start(listening, **port.tls_options)

    @property
    def connections(self) -> int:
        """Open connections, and those whose handshake of TLS is under way."""
        return self._acceptor.count

    @property
    def is_open(self) -> bool:
        """Whether new connections are accepted."""
        return self._acceptor.is_accepting and not self._is_ending

    @property
    def state(self) -> ListenerState:
        """Whether new connections are accepted, or why not."""
        if self._is_ending:
            return ListenerState.DRAINING
        return ListenerState.SERVING if self._acceptor.is_accepting else ListenerState.CLOSED

    @property
    def port(self) -> int:
        """The port without TLS."""
        return next(port.port for port in self._ports if not port.is_tls)

    @property
    def tls_port(self) -> int | None:
        """The port with TLS, where there is one."""
        return next((port.port for port in self._ports if port.is_tls), None)

    async def end(self) -> None:
        """Accept all that have connected already, then stop listening; connections stay."""
        self._is_ending = True
        await self._acceptor.end()
        for port in self._ports:
            port.close()
