"""What a connected car that says nothing costs in memory."""

import socket
from collections.abc import Sequence
from typing import Final

from bench.fleet import Account
from bench.logins import log_in, welcomes
from bench.process import resident, settled
from bench.stack import HOST

WARM_UP: Final = 100
PATIENCE: Final = 10.0


def measure_idle(port: int, pid: int, accounts: Sequence[Account]) -> float:
    """Bytes by which a process grows with each of these cars, on the fresh process that this must be called with.

    A process that has worked before has free memory in its heap, and grows by less than it uses.
    """
    log_in([port], welcomes(accounts[:WARM_UP]), stay=False)
    before = settled(lambda: resident(pid))
    cars = log_in([port], welcomes(accounts), stay=True)
    grown = settled(lambda: resident(pid)) - before
    for car in cars:
        car.connection.close()
    return grown / len(cars)


def measure_bare_idle(port: int, pid: int, connections: int) -> float:
    """The same of a server that only answers and holds two ciphers (`bench.bare cars`)."""
    for _ in range(WARM_UP):
        _meet(port).close()
    before = settled(lambda: resident(pid))
    cars = [_meet(port) for _ in range(connections)]
    grown = settled(lambda: resident(pid)) - before
    for car in cars:
        car.close()
    return grown / connections


def _meet(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=PATIENCE)
    connection.sendall(b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv\r\n")
    connection.recv(64)
    return connection
