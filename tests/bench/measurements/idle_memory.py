"""What services that have nothing to do cost in memory, and each connected car that says nothing."""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.load.fleet import Account
from bench.load.sessions import AT_ONCE, close, log_in, own_address, welcomes
from bench.measurement import Readings, Scene, Size
from bench.measurements.bare import bare_server
from bench.process import cpu_seconds, in_memory, resident, settled
from bench.stack import HOST, with_replicas
from ovms.local.certificate import development_certificate
from ovms.local.ports import free_port

WARM_UP: Final = 100
WARM_UP_OVER_TLS: Final = 20
PATIENCE: Final = 10.0


def measure_rest(scene: Scene, size: Size) -> Readings:
    """Megabytes of each service, programs and libraries with it, before anybody has come."""
    services = {"car-protocol": scene.stack.car_protocols[0], "api-gateway": scene.stack.api_gateway}
    return {name: in_memory(pid) / 1e6 for name, pid in services.items()}


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


def measure_idle_memory_over_tls(scene: Scene, size: Size) -> Readings:
    """The same over TLS, of a replica of its own; and milliseconds of a core for each login."""
    certificate, key = development_certificate(scene.stack.directory / "tls", datetime.now(UTC))
    port = free_port()
    told = {"OVMS_TLS_CERTIFICATE": str(certificate), "OVMS_TLS_KEY": str(key), "OVMS_V2_TLS_PORT": str(port)}
    with with_replicas(replace(scene.stack, environment={**scene.stack.environment, **told}), 1) as stack:
        [pid] = stack.car_protocols
        for car in _log_in_over_tls(port, scene.accounts[:WARM_UP_OVER_TLS], certificate):
            car.close()
        before = settled(lambda: resident(pid))
        began = cpu_seconds(pid)
        cars = _log_in_over_tls(port, scene.accounts, certificate)
        taken = cpu_seconds(pid) - began
        grown = settled(lambda: resident(pid)) - before
        for car in cars:
            car.close()
    return {"bytes": grown / len(cars), "milliseconds": 1000 * taken / len(cars)}


def _log_in_over_tls(port: int, accounts: Sequence[Account], certificate: Path) -> list[ssl.SSLSocket]:
    trusting = ssl.create_default_context(cafile=certificate)
    cars = []
    for start in range(0, len(accounts), AT_ONCE):
        prepared = welcomes(accounts[start : start + AT_ONCE])
        # As many log in at once as in clear: the server finds the vehicles of all of them by one query.
        connected = [_connect_over_tls(port, trusting) for _ in prepared]
        for car, (_, welcome) in zip(connected, prepared, strict=True):
            car.sendall(welcome)
        for car in connected:
            car.recv(4096)
        cars += connected
    return cars


def _connect_over_tls(port: int, trusting: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection((HOST, port), timeout=PATIENCE, source_address=own_address())
    return trusting.wrap_socket(plain, server_hostname="localhost")


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
