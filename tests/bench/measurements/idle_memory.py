"""What a connected car that says nothing costs in memory."""

import socket
from typing import Final

from bench.load.sessions import close, log_in, welcomes
from bench.measurement import Readings, Scene, Size
from bench.measurements.bare import bare_server
from bench.process import resident, settled
from bench.stack import HOST

WARM_UP: Final = 100
PATIENCE: Final = 10.0


def measure_idle_memory(scene: Scene, size: Size) -> Readings:
    """Bytes by which a process grows with each car; must be called with one that has not worked yet.

    A process that has worked before has free memory in its heap, and grows by less than it uses.
    """
    port, pid = scene.stack.v2_ports[0], scene.stack.car_protocols[0]
    log_in([port], welcomes(scene.accounts[:WARM_UP]), stay=False)
    before = settled(lambda: resident(pid))
    cars = log_in([port], welcomes(scene.accounts), stay=True)
    grown = settled(lambda: resident(pid)) - before
    close(cars)
    return {"bytes": grown / len(cars)}


def measure_bare_idle_memory(scene: Scene, size: Size) -> Readings:
    """The same of a server that only answers and holds two ciphers."""
    with bare_server("cars") as (port, pid):
        for _ in range(WARM_UP):
            _meet(port).close()
        before = settled(lambda: resident(pid))
        cars = [_meet(port) for _ in range(size.idle)]
        grown = settled(lambda: resident(pid)) - before
        for car in cars:
            car.close()
    return {"bytes": grown / len(cars)}


def _meet(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=PATIENCE)
    connection.sendall(b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv\r\n")
    connection.recv(64)
    return connection
