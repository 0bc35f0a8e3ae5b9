"""The listening sockets.

Accepting and then closing is what must never happen to a car: newer firmware takes that for wrong credentials, and stays away.
So past the most connections none is accepted, and new ones wait in the kernel's queue; attempts to connect from a network that
has its share without logging in are not answered, and TCP repeats them. (A handshake of TLS that fails is another matter: until
it has ended, a module knows that it has not reached the server yet.)
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from enum import StrEnum, auto
from functools import partial
from typing import Any, Final

import structlog

from car_protocol.logins.shares import NetworkShares
from ovms.listening import ignore_new_connections, let_in_who_waits, listen_on
from ovms.tls import HANDSHAKE_TIMEOUT, SHUTDOWN_TIMEOUT

RESUME_AT: Final = 0.95
BACKLOG: Final = 4096
AT_ONCE: Final = 32
"""Connections accepted before others are served again."""
LAST_ARRIVE_WITHIN: Final = 0.1
"""Seconds that accepted connections may take to reach their protocols at the end: a turn of the loop without TLS."""
RETRY_AFTER: Final = 1.0
"""Seconds until connections are accepted again where the process had no file for one."""

_OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


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
    """Not yet, or there are too many connections: newcomers wait in the kernel's queue."""
    DRAINING = auto()


class Listener:
    """Accepts connections at all ports while there are fewer than `limit` together.

    Args:
        arrives: given the address of a new connection, returns its protocol.
        lost: called with a protocol whose handshake of TLS has failed.
        connections: how many are open.
        shares: counts those that have not logged in.
    """

    def __init__(
        self,
        ports: Sequence[ListeningPort],
        arrives: Callable[[str], asyncio.Protocol],
        lost: Callable[[Any], None],
        connections: Callable[[], int],
        limit: int,
        shares: NetworkShares,
    ) -> None:
        self._ports = ports
        self._arrives = arrives
        self._lost = lost
        self._connections = connections
        self._limit = limit
        self._shares = shares
        self._is_accepting = self._is_ending = False
        self._arriving: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("listener")

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: an address cannot be bound.
        """
        # No longer than a network's share: what is in the queue already when a network has its share is accepted all the same.
        backlog = min(BACKLOG, max(1, self._limit // 4))
        for port in self._ports:
            await port.open(backlog)
        self._shares.changed = self._ignore_full_networks
        self._ignore_full_networks()
        self._resume()

    @property
    def is_open(self) -> bool:
        """Whether new connections are accepted."""
        return self._is_accepting and not self._is_ending

    @property
    def state(self) -> ListenerState:
        """Whether new connections are accepted, or why not."""
        if self._is_ending:
            return ListenerState.DRAINING
        return ListenerState.SERVING if self._is_accepting else ListenerState.CLOSED

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
        self._resume()
        await let_in_who_waits(self._sockets())
        if self._arriving:
            await asyncio.wait(self._arriving, timeout=LAST_ARRIVE_WITHIN)
        self._pause()
        for port in self._ports:
            port.close()

    def connections_changed(self) -> None:
        """A connection has come or gone."""
        if not self._is_accepting and self._connections() < self._limit * RESUME_AT:
            self._resume()

    def _sockets(self) -> list[socket.socket]:
        return [listening for port in self._ports for listening in port.sockets]

    def _ignore_full_networks(self) -> None:
        if self._is_ending:
            return  # no attempt to connect is answered then
        if self._shares.full:
            self._log.warning("network at its share of connections", networks=len(self._shares.full))
        for listening in self._sockets():
            ignore_new_connections(listening, self._shares.full)

    # ---- accepting

    def _resume(self) -> None:
        loop = asyncio.get_running_loop()
        for port in self._ports:
            for listening in port.sockets:
                loop.add_reader(listening.fileno(), partial(self._accept, port, listening))
        self._is_accepting = True

    def _pause(self) -> None:
        self._is_accepting = False
        for listening in self._sockets():
            asyncio.get_running_loop().remove_reader(listening.fileno())

    def _accept(self, port: ListeningPort, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if self._connections() >= self._limit and not self._is_ending:
                self._log.warning("connection limit reached, new connections wait", connections=self._connections())
                self._pause()
                return
            try:
                accepted, address = listening.accept()
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self._wait_for_files(error)
                return  # there is none any more
            accepted.setblocking(False)
            task = asyncio.get_running_loop().create_task(self._connect(port, accepted, self._arrives(address[0])))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    def _wait_for_files(self, error: OSError) -> None:
        self._log.error("no file for a new connection, new connections wait", reason=error.strerror)
        self._pause()
        asyncio.get_running_loop().call_later(RETRY_AFTER, self._resume)

    async def _connect(self, port: ListeningPort, accepted: socket.socket, protocol: asyncio.Protocol) -> None:
        has_connected = False
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, accepted, **port.tls_options)
            has_connected = True
        except OSError:
            pass  # the handshake of TLS has failed, or the peer has gone
        finally:
            if not has_connected:
                self._lost(protocol)
                accepted.close()
