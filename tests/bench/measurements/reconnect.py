"""How long it takes until a whole fleet is back whose connections have all gone at once, and which comes back at once.

That is harder than what modules do, which come back ten seconds after their connections have gone: here the sessions that have
ended are cleared away while their cars log in.
"""

import select
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from bench.errors import BenchError
from bench.load.fleet import Account
from bench.load.sessions import LoggedIn, close, log_in, own_address, welcomes
from bench.measurement import Readings, Scene, Size
from bench.process import metric
from bench.stack import HOST

PATIENCE: Final = 30.0


def measure_reconnect(scene: Scene, size: Size) -> Readings:
    """From the end of the first connection to the last answer."""
    port = scene.stack.v2_ports[0]
    cars = log_in([port], welcomes(scene.accounts), stay=True)
    prepared = welcomes(scene.accounts)
    began = time.perf_counter()
    close(cars)
    back = _come(port, prepared)
    seconds = time.perf_counter() - began
    for car in back:
        car.cipher()
    _look_whether_all_are_here(scene.stack.health_ports[0], len(back))
    close(back)
    return {"seconds": seconds, "cars a second": len(back) / seconds}


def _come(port: int, prepared: Sequence[tuple[Account, bytes]]) -> list[LoggedIn]:
    """Connect all without waiting for any."""
    asking: dict[int, tuple[Account, bytes, socket.socket]] = {}
    done: list[LoggedIn] = []
    with closing(select.epoll()) as poll:
        for account, welcome in prepared:
            connection = socket.socket()
            connection.setblocking(False)
            connection.bind(own_address())
            connection.connect_ex((HOST, port))
            asking[connection.fileno()] = (account, welcome, connection)
            poll.register(connection, select.EPOLLOUT)
        while asking:
            ready = poll.poll(PATIENCE)
            if not ready:
                raise BenchError(f"{len(asking)} cars are not back after {PATIENCE:g} s")
            for handle, event in ready:
                account, welcome, connection = asking[handle]
                if not event & select.EPOLLIN and event & select.EPOLLOUT:
                    connection.sendall(welcome)
                    poll.modify(connection, select.EPOLLIN)
                else:
                    del asking[handle]
                    poll.unregister(connection)
                    answer, _, rest = connection.recv(4096).partition(b"\n")
                    done.append(LoggedIn(account, connection, answer, rest))
    return done


def _look_whether_all_are_here(health_port: int, count: int) -> None:
    """Sessions that were answered and then closed would not be."""
    deadline = time.monotonic() + PATIENCE
    while (connected := metric(health_port, "ovms_vehicles_connected")) != count:
        if time.monotonic() > deadline:
            raise BenchError(f"{count} cars have come back, and {connected:.0f} are here")
        time.sleep(0.05)
