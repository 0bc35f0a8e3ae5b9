"""Accepts connections, never more than there may be, and never to close them.

Past the most connections, and where the process has no file for another, none is accepted, and new ones wait in the kernel's
queue. Attempts to connect from a network that has its share without logging in are not answered, and TCP repeats them.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ovms.listening import ignore_new_connections, let_in_who_waits
from ovms.shares import NetworkShares, Peer

BACKLOG: Final = 4096
RESUME_AT: Final = 0.95
AT_ONCE: Final = 32
"""Connections accepted before others are served again."""
RETRY_AFTER: Final = 1.0
"""Seconds until connections are accepted again where the process had no file for one."""
LAST_ARRIVE_WITHIN: Final = 0.1
"""Seconds that accepted connections may take to reach their protocols at the end: a turn of the loop without TLS."""

_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Accepted(socket.socket):
    """A socket that reports once that it is closed: a place is taken for exactly as long as its file is open."""

    __slots__ = ("_closed_by", "_peer")

    def report_to(self, closed_by: "Acceptor", peer: Peer) -> None:
        """Report to an acceptor."""
        self._closed_by: Acceptor | None = closed_by
        self._peer = peer

    def close(self) -> None:
        super().close()
        self._report()

    def detach(self) -> int:
        """Leave the file to the loop; uvloop does so when it closes the file."""
        file = super().detach()
        self._report()
        return file

    def _report(self) -> None:
        closed_by, self._closed_by = self._closed_by, None
        if closed_by is not None:
            closed_by.closed(self._peer)


class Acceptor:
    """Accepts connections of listening sockets, while there are fewer than `limit` together.

    Args:
        connect: given a new connection's address and port, returns its protocol.
        shares: counts connections that have not logged in; the caller reports a login to it.
        is_trusted: whether an address stands for many, and has no share.
        log: a structlog logger.
    """

    def __init__(
        self,
        connect: Callable[[Peer], asyncio.BaseProtocol],
        limit: int,
        shares: NetworkShares,
        log: Any,
        is_trusted: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._connect = connect
        self._limit = limit
        self._shares = shares
        self._log = log
        self._is_trusted = is_trusted
        self._ports: list[tuple[socket.socket, dict[str, Any]]] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self.is_accepting = False
        """Whether new connections are accepted."""
        self.count = 0
        """Open connections, and those whose handshake of TLS is under way."""
        shares.changed = self._ignore_full_networks

    @property
    def backlog(self) -> int:
        """The kernel's queue: no longer than a share, since what is in it when a network has its share is accepted as well."""
        return min(BACKLOG, max(1, self._limit // 4))

    def start(self, listening: socket.socket, **tls: Any) -> None:
        """Accept connections of a socket that listens and does not block, with the arguments of the loop for TLS."""
        listening.listen(self.backlog)
        self._ports.append((listening, tls))
        self._ignore_full_networks()
        self._resume()

    async def end(self) -> None:
        """Accept all that have connected already, then close the sockets."""
        self._is_ending = True
        self._resume()
        await let_in_who_waits([listening for listening, _ in self._ports])
        if self._connecting:
            await asyncio.wait(self._connecting, timeout=LAST_ARRIVE_WITHIN)
        self._pause()
        self._ports.clear()

    def _resume(self) -> None:
        loop = asyncio.get_running_loop()
        self.is_accepting = True
        for listening, tls in self._ports:
            loop.add_reader(listening.fileno(), partial(self._accept, listening, tls))

    def _pause(self) -> None:
        self.is_accepting = False
        for listening, _ in self._ports:
            asyncio.get_running_loop().remove_reader(listening.fileno())

    def _ignore_full_networks(self) -> None:
        if self._is_ending:
            return  # no attempt to connect is answered then
        if self._shares.full:
            self._log.warning("network at its share of connections", networks=len(self._shares.full))
        for listening, _ in self._ports:
            ignore_new_connections(listening, self._shares.full)

    def _accept(self, listening: socket.socket, tls: dict[str, Any]) -> None:
        for _ in range(AT_ONCE):
            if self.count >= self._limit and not self._is_ending:
                self._log.warning("connection limit reached, new connections wait", connections=self.count)
                self._pause()
                return
            try:
                accepted, address = listening.accept()
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self._wait_for_files(error)
                return  # there is none any more
            self._take(accepted, (address[0], address[1]), tls)

    def _take(self, accepted: socket.socket, peer: Peer, tls: dict[str, Any]) -> None:
        # Stated, since Python would ask the system for each.
        counted = _Accepted(_FAMILIES[":" in peer[0]], socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=accepted.detach())
        counted.report_to(self, peer)
        self.count += 1
        if not self._is_trusted(peer[0]):
            self._shares.enter(peer)
        task = asyncio.get_running_loop().create_task(self._hand_over(counted, self._connect(peer), tls))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _hand_over(self, accepted: socket.socket, protocol: asyncio.BaseProtocol, tls: dict[str, Any]) -> None:
        has_connected = False
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, accepted, **tls)
            has_connected = True
        except OSError:
            pass  # the handshake of TLS has failed, or the peer has gone
        finally:
            if not has_connected:
                accepted.close()

    def closed(self, peer: Peer) -> None:
        """An accepted connection is closed."""
        self.count -= 1
        self._shares.leave(peer)
        if not self.is_accepting and self.count < self._limit * RESUME_AT:
            self._resume()

    def _wait_for_files(self, error: OSError) -> None:
        self._log.error("no file for a new connection, new connections wait", reason=error.strerror)
        self._pause()
        asyncio.get_running_loop().call_later(RETRY_AFTER, self._resume)
