"""The listening socket. Past the most connections it is closed, so that a car is refused by TCP and comes back in a minute.

Accepting and then closing is what must never happen to a car: newer firmware takes that for wrong credentials.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

REOPEN_AT: Final = 0.95
BACKLOG: Final = 4096


class Listener:
    """Accepts connections while there are fewer than `limit`.

    Args:
        protocol: makes the protocol of a connection.
        connections: how many are open.
    """

    def __init__(
        self, protocol: Callable[[], asyncio.Protocol], connections: Callable[[], int], host: str, port: int, limit: int
    ) -> None:
        self._protocol = protocol
        self._connections = connections
        self._host = host
        self._port = port
        self._limit = limit
        self._server: asyncio.Server | None = None
        self._changing = asyncio.Event()
        self._is_ending = False
        self._log = structlog.get_logger("listener")

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, self._host, self._port, backlog=BACKLOG)

    @property
    def port(self) -> int:
        """The port listened on, also where 0 was asked for."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Listen no more; connections stay."""
        self._is_ending = True
        self._close()

    def connections_changed(self) -> None:
        """A connection has come or gone."""
        connections = self._connections()
        if connections >= self._limit or self._server is None:
            self._changing.set()

    async def run(self) -> None:
        """Close and open the port as connections come and go, until cancelled."""
        while True:
            await self._changing.wait()
            self._changing.clear()
            if self._is_ending:
                continue
            if self._server is not None and self._connections() >= self._limit:
                self._log.warning("too many connections; the port is closed", connections=self._connections())
                self._close()
            elif self._server is None and self._connections() < self._limit * REOPEN_AT:
                await self.open()

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
