"""Listening sockets: ports that several processes share, networks that may not connect, and an end that keeps nobody out."""

import asyncio
import ctypes
import ipaddress
import os
import select
import socket
import struct
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, Self

HANDSHAKES_WITHIN: Final = 2.0
"""Seconds that connections under way are waited for: a round trip of a mobile network, with a packet lost."""

_SO_ATTACH_FILTER: Final = 26  # Linux, asm-generic/socket.h
_SO_DETACH_FILTER: Final = 27
_SYN_RECEIVED: Final = "03"

# Classic BPF (linux/bpf_common.h): a step is an operation, how many steps to jump where it is true and where not, and a number.
# At a TCP socket a packet begins with the header of TCP, whose byte 13 holds the flags; that of IP is found from `_NET_OFF`.
_LOAD_BYTE, _LOAD_WORD, _AND, _IS, _HAS, _RETURN = 0x30, 0x20, 0x54, 0x15, 0x45, 0x06
_NET_OFF: Final = 0xFFF0_0000  # -0x10_0000
_SYN: Final = 0x02
_MOST_NETWORKS: Final = 32
"""A program jumps 255 steps at most."""
_Step = tuple[int, int, int, int]


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


def listen_on(host: str, port: int, *, backlog: int, is_shared: bool) -> list[socket.socket]:
    """Return listening sockets, one for each address of a host, that do not block; an empty host is every address.

    Raises:
        OSError: an address cannot be bound.
    """
    made: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            listening = socket.socket(family, kind, protocol)
            made.append(listening)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_shared:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind(address)
            listening.listen(backlog)
            listening.setblocking(False)
    except OSError as error:
        for listening in made:
            listening.close()
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from None
    return made


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


def ignore_new_connections(listening: Listening, networks: Collection[str]) -> None:
    """Leave attempts to connect from these networks (/24 of IPv4, /64 of IPv6) unanswered from now on, and those of others not.

    TCP repeats them after 1 s, 2 s, 4 s …; connections that are under way or open stay. Other systems than Linux answer all.
    """
    is_ipv6 = ":" in listening.getsockname()[0]
    wanted = [one for one in map(ipaddress.ip_network, networks) if (one.version == 6) == is_ipv6][:_MOST_NETWORKS]
    steps = [step for one in wanted for step in _ignore(one.network_address.packed)]
    with suppress(OSError):
        _attach(listening, [(_LOAD_BYTE, 0, 0, 13), (_HAS, 1, 0, _SYN), _TAKE, *steps, _TAKE] if steps else [])


_TAKE: Final[_Step] = (_RETURN, 0, 0, 0xFFFF_FFFF)
_DROP: Final[_Step] = (_RETURN, 0, 0, 0)


def _ignore(address: bytes) -> list[_Step]:
    """Drop a packet whose source is in the network that begins with this address; go on with any other."""
    if len(address) == 4:
        return [(_LOAD_WORD, 0, 0, _NET_OFF + 12), (_AND, 0, 0, 0xFFFF_FF00), (_IS, 0, 1, _word(address, 0)), _DROP]
    high, low = ((_LOAD_WORD, 0, 0, _NET_OFF + 8 + at) for at in (0, 4))
    return [high, (_IS, 0, 3, _word(address, 0)), low, (_IS, 0, 1, _word(address, 4)), _DROP]


def _word(address: bytes, at: int) -> int:
    return int.from_bytes(address[at : at + 4], "big")


def _answer_nobody_new(listening: Listening) -> None:
    _attach(listening, [(_LOAD_BYTE, 0, 0, 13), (_HAS, 0, 1, _SYN), _DROP, _TAKE])


def _attach(listening: Listening, program: Sequence[_Step]) -> None:
    """Let a program decide which packets a socket takes; an empty one: all. Connections inherit it, and get no SYN anyway."""
    with socket.socket(fileno=os.dup(listening.fileno())) as same:
        if not program:
            same.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            return
        steps = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
        same.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(steps)))


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
