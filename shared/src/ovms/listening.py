"""Listening sockets: ports that several processes share, and an end that keeps nobody out."""

import asyncio
import ctypes
import os
import select
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, Self

HANDSHAKES_WITHIN: Final = 2.0
"""Seconds that connections under way are waited for: a round trip of a mobile network, with a packet lost."""

_SO_ATTACH_FILTER: Final = 26  # Linux, asm-generic/socket.h
# Classic BPF; at a TCP socket a packet begins with the header of TCP, whose byte 13 holds the flags. With SYN (2) it is
# dropped, else taken whole. A connection inherits this from the socket that accepts it, and hears no SYN anyway.
_NO_NEW_CONNECTIONS: Final = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF_FFFF))
_SYN_RECEIVED: Final = "03"


class Listening(Protocol):
    """A listening socket."""

    def fileno(self) -> int:
        """Its descriptor."""

    def getsockname(self) -> tuple[str, int]:
        """Its address."""


class HeldPort:
    """A port that this process and its children may listen on with SO_REUSEPORT, and nobody else.

    SO_REUSEPORT alone would let a second server of the same user share the port by mistake.

    Raises:
        OSError: another program listens on it, or it cannot be had.
    """

    def __init__(self, host: str, port: int) -> None:
        self.number = port
        """Also where any was asked for, with 0."""
        self._sockets: list[socket.socket] = []
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                self._hold(socket.socket(family, kind, protocol), address)
        except OSError as error:
            self.close()
            raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from None

    def _hold(self, held: socket.socket, address: tuple[Any, ...]) -> None:
        self._sockets.append(held)
        if held.family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Bound as one that shares with nobody, except with connections of an earlier run in TIME_WAIT: it fails where somebody
        # listens. Then it shares with ours, and no more with what is bound as it was itself.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((address[0], self.number, *address[2:]))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.number = held.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hold it no more."""
        for held in self._sockets:
            held.close()


async def let_in_who_waits(listening: Sequence[Listening], within: float = HANDSHAKES_WITHIN) -> None:
    """Let the loop accept all who have connected; close the sockets at once afterwards, before the loop runs again.

    Closing a listening socket resets whom the kernel has connected and nobody has accepted, and whoever has heard SYN-ACK but
    was not heard to answer it. So nobody new is answered any more (he tries again a second later, and meets another replica or
    is refused), those who were are waited for, and all are accepted. What remains: who takes longer than `within`; where this
    system takes no such filter (others than Linux), who is just answered at the end.
    """
    ends_at = time.monotonic() + within
    for one in listening:
        with suppress(OSError):
            _answer_nobody_new(one)
    # In this order: whoever answers our answer becomes one who waits.
    while _is_somebody_answered(listening) or _is_somebody_waiting(listening):
        if time.monotonic() > ends_at:
            return
        await asyncio.sleep(0.001)


def _answer_nobody_new(listening: Listening) -> None:
    program = b"".join(struct.pack("=HBBI", *step) for step in _NO_NEW_CONNECTIONS)
    steps = ctypes.create_string_buffer(program)
    with socket.socket(fileno=os.dup(listening.fileno())) as same:
        same.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_NO_NEW_CONNECTIONS), ctypes.addressof(steps))
        )


def _is_somebody_waiting(listening: Iterable[Listening]) -> bool:
    poll = select.poll()
    for one in listening:
        poll.register(one.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _is_somebody_answered(listening: Iterable[Listening]) -> bool:
    """Whether a connection is under way; only Linux says so."""
    ports = {f"{one.getsockname()[1]:04X}" for one in listening}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines():
                if f" {_SYN_RECEIVED} " not in line:
                    continue
                fields = line.split()
                if fields[3] == _SYN_RECEIVED and fields[1].rpartition(":")[2] in ports:
                    return True
    return False
