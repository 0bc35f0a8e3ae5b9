"""A fresh stack as in production: PostgreSQL with fsync, Valkey, both services, on sockets and free ports."""

import asyncio
import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.fleet import provision
from ovms.db.migrate import upgrade
from ovms.local.ports import free_port
from ovms.local.postgres import Postgres
from ovms.local.process import spawn, stop
from ovms.local.valkey import Valkey

HOST: Final = "127.0.0.1"
READY_TIMEOUT: Final = 30.0
STOP_TIMEOUT: Final = 15.0


class BenchError(Exception):
    """The run is worth nothing: something did not start, or answered what it must not."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where everything of a running stack is."""

    database_url: str
    valkey_socket: str
    v2_ports: Sequence[int]
    """Of each process of car-protocol, as the next two."""
    health_ports: Sequence[int]
    car_protocols: Sequence[int]
    """Process ids, as the next ones."""
    api_gateway: int
    postgres: int
    valkey: int
    http_port: int


@contextmanager
def running_stack(vehicles: int, *, workers: int = 1) -> Iterator[Stack]:
    """Run a stack with so many cars provisioned while the block runs.

    Workers are replicas of car-protocol like any others, here on ports of their own, so that who measures knows which one he
    talks to.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="ovms-bench-")))
        postgres, valkey = Postgres(directory / "postgres"), Valkey(directory / "valkey")
        stack.callback(postgres.stop)
        postgres.start()
        stack.callback(valkey.stop)
        valkey.start()
        keys = f"bench:{base64.b64encode(secrets.token_bytes(32)).decode()}"
        asyncio.run(upgrade(postgres.url))
        asyncio.run(provision(postgres.url, keys, vehicles))
        v2_ports, health_ports = ([free_port() for _ in range(workers)] for _ in range(2))
        http_port = free_port()
        environment = {
            **os.environ,
            "OVMS_HTTP_PORT": str(http_port),
            "OVMS_HOST": HOST,
            "OVMS_DATABASE_URL": postgres.url,
            "OVMS_REDIS_URL": valkey.url,
            "OVMS_SECRET_KEYS": keys,
            "OVMS_EVENT_STREAMS_OF_CALLER": str(vehicles),
        }
        car_protocols = []
        for v2_port, health_port in zip(v2_ports, health_ports, strict=True):
            ports = {"OVMS_V2_PORT": str(v2_port), "OVMS_HEALTH_PORT": str(health_port)}
            car_protocols.append(_serve(stack, "car_protocol", environment | ports, health_port, directory))
        api_gateway = _serve(stack, "api_gateway", environment, http_port, directory)
        yield Stack(
            database_url=postgres.url,
            valkey_socket=valkey.url.removeprefix("unix://"),
            v2_ports=v2_ports,
            health_ports=health_ports,
            car_protocols=car_protocols,
            api_gateway=api_gateway,
            postgres=postgres.pid,
            valkey=valkey.pid,
            http_port=http_port,
        )


def _serve(stack: ExitStack, package: str, environment: Mapping[str, str], port: int, directory: Path) -> int:
    log = directory / f"{package}-{port}.log"
    with log.open("wb") as output:
        process = spawn([sys.executable, "-m", package], dies_by=signal.SIGKILL, environment=environment, output=output)
    stack.callback(stop, process, signal.SIGTERM, within=STOP_TIMEOUT)
    await_listener(process, port, log)
    _await_readiness(process, port, log)
    return process.pid


def await_listener(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a program listens.

    Raises:
        BenchError: it ended, or does not within half a minute.
    """
    _await(lambda: socket.create_connection((HOST, port), timeout=2.0).close(), process, log)


def _await_readiness(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine is never reached through a proxy
    _await(lambda: opener.open(f"http://{HOST}:{port}/readyz", timeout=2.0).close(), process, log)


def _await(look: Callable[[], None], process: subprocess.Popen[bytes], log: Path) -> None:
    """Look until that raises no OSError, as an answer of 503 does as well."""
    deadline = time.monotonic() + READY_TIMEOUT
    while True:
        try:
            return look()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"not ready: {log.read_text(errors='replace')[-500:]}") from None
            time.sleep(0.02)
