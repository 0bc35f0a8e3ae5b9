"""One socket to a replica, with protocol v2 on it; what happens on it is noted in the journal."""

import asyncio
import secrets
import socket
import struct
from binascii import b2a_base64
from collections.abc import Callable
from typing import Final, cast

from chaos.journal import Connected, Journal, Lost, Welcomed
from fixtures.replicas import HOST, VEHICLE_PASSWORD
from ovms.identity import Role
from ovms.protocol import ClientSession, Failed

CONNECT_TIMEOUT: Final = 5.0
_AT_ONCE: Final = struct.pack("ii", 1, 0)

Hear = Callable[["Link", bytes], None]


class Link(asyncio.Protocol):
    """A connection of a car, an app or a batch client.

    Args:
        hear: takes every message of the server.
    """

    def __init__(self, journal: Journal, role: Role, vehicle: str, replica: str, hear: Hear) -> None:
        self.number = journal.new_socket()
        self.replica = replica
        self.heard_at = journal.now()
        self.is_welcome = False
        self.is_closed = False
        self.is_deserted = False
        """Its owner has gone elsewhere, and has left it as it is."""
        self._journal = journal
        self._role = role
        self._vehicle = vehicle
        self._hear = hear
        self._changed = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        token = b2a_base64(secrets.token_bytes(16))[:22]
        self._session = ClientSession(role, vehicle, VEHICLE_PASSWORD, token)

    @property
    def is_in_use(self) -> bool:
        """Whether it was let in, and its owner is still at it."""
        return self.is_welcome and not (self.is_closed or self.is_deserted)

    async def open(self, port: int) -> bool:
        """Connect, and send the welcome; whether that was possible.

        Where it is cancelled or takes too long, asyncio closes what it has just connected: that is an end by this side.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await asyncio.get_running_loop().create_connection(lambda: self, HOST, port)
        except asyncio.CancelledError:
            self.end("cancelled")
            raise
        except (OSError, TimeoutError):
            self.end("not connected in time")
            return False
        return True

    async def changes(self, within: float) -> None:
        """Wait until it is let in, is closed or is deserted, or for so many seconds."""
        self._changed.clear()
        if not (self.is_closed or self.is_deserted):
            await _wait(self._changed, within)

    def send(self, *messages: bytes) -> bool:
        """Send messages; whether it was open, which is no promise that they arrive."""
        if self.is_closed or not self.is_welcome or self._transport is None or self._transport.is_closing():
            return False
        for message in messages:
            self._session.send(message)
        self._flush()
        return True

    def end(self, how: str) -> None:
        """Close it at once, by a reset: nothing of it is left."""
        if self._transport is None:
            self.is_closed = True
        elif not self.is_closed:
            self._lost(False, how)
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self._transport.abort()

    def desert(self) -> None:
        """Leave it as a car does that has lost its network: it stays open, and nobody is there."""
        self.is_deserted = True
        self._changed.set()

    # ---- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self.is_closed:
            self._transport.abort()
            return
        role = self._role.value
        self._journal.note(Connected(self._journal.now(), self.number, role, self._vehicle, self.replica))
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._journal.now()
        self._session.receive_data(data)
        for event in self._session.events():
            if isinstance(event, bytes):
                self._hear(self, event)
            elif isinstance(event, Failed):
                self._lost(True, f"garbled: {event.error}")
            else:
                self.is_welcome = True
                self._journal.note(Welcomed(self.heard_at, self.number))
                self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(True, "closed" if exc is None else f"broken: {type(exc).__name__}")

    def _lost(self, by_server: bool, how: str) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._journal.note(Lost(self._journal.now(), self.number, by_server, how))
            self._changed.set()

    def _flush(self) -> None:
        assert self._transport is not None
        self._transport.write(self._session.data_to_send())


async def _wait(changed: asyncio.Event, within: float) -> None:
    try:
        async with asyncio.timeout(within):
            await changed.wait()
    except TimeoutError:
        pass
