"""TCP ports of this machine."""

import errno
import os
import secrets
import socket
from collections import deque
from collections.abc import Collection
from contextlib import ExitStack
from typing import Final

from ovms.local.errors import LocalError, PortBusy

_FOR_SERVERS: Final = range(16_384, 32_768)
"""Below those that the kernel gives to who connects: one of them could be gone again before its server opens it."""
_SHARES: Final = 16
"""Programs that look for ports at the same time, as those do that run tests beside each other, look in different parts."""

_given: Final[deque[int]] = deque(maxlen=len(_FOR_SERVERS) // _SHARES // 2)
"""What was given lately: who has it may not listen yet."""


def check_port(host: str, port: int, setting: str) -> None:
    """Make sure that a service can listen here.

    Raises:
        PortBusy: another program does; `setting` is the variable that names the port.
        LocalError: this machine has no such address, or the port is not for this user.
    """
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                # As the services do: connections of an earlier run may still be in TIME_WAIT.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortBusy(port, setting) from None
        raise LocalError(f"{host} port {port}: {error.strerror}") from None


def free_ports(count: int, host: str = "127.0.0.1", *, besides: Collection[int] = ()) -> int:
    """Return the first of so many ports in a row that nothing listens on at the moment.

    Args:
        besides: ports that something is about to listen on.
    """
    size = len(_FOR_SERVERS) // _SHARES
    share = _FOR_SERVERS[size * (os.getpid() % _SHARES) :][: size - count]
    while True:
        first = secrets.choice(share)
        if not set(range(first, first + count)).isdisjoint((*_given, *besides)):
            continue
        try:
            with ExitStack() as probes:
                for port in range(first, first + count):
                    probes.enter_context(socket.socket()).bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            _given.extend(range(first, first + count))
            return first


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on at the moment."""
    return free_ports(1, host)
