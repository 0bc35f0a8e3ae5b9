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
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.errors import BenchError
from bench.load.fleet import provision
from ovms.local.ports import free_port
from ovms.local.postgres import Postgres
from ovms.local.process import spawn, stop
from ovms.local.valkey import Valkey

HOST: Final = "127.0.0.1"
READY_TIMEOUT: Final = 30.0
STOP_TIMEOUT: Final = 15.0

PACKAGES: Final = ("shared", "services/car-protocol", "services/api-gateway")

# Limits that one address or one credential has in production, where the load has few of both. They stay in force.
_ROOM_FOR_THE_LOAD: Final = {
    "OVMS_RATE_LIMIT": "100000000",
    "OVMS_RATE_LIMIT_LEGACY": "100000000",
    "OVMS_EVENT_STREAMS_OF_CALLER": "5000",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """Where everything of a running stack is."""

    directory: Path
    environment: Mapping[str, str]
    """What a service is told."""
    python: str
    database_url: str
    valkey_socket: str
    http_port: int
    api_gateway: int
    """A process id, as the next ones."""
    postgres: int
    valkey: int
    car_protocols: Sequence[int] = ()
    v2_ports: Sequence[int] = ()
    """Of each process of car-protocol, as the next ones."""
    health_ports: Sequence[int] = ()


@contextmanager
def running_stack(vehicles: int, tree: Path | None = None) -> Iterator[Stack]:
    """Run everything but car-protocol, with so many cars provisioned, while the block runs.

    Args:
        tree: the services are those of this work tree; None: those that are installed here.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="ovms-bench-")))
        postgres, valkey = Postgres(directory / "postgres"), Valkey(directory / "valkey")
        stack.callback(postgres.stop)
        postgres.start()
        stack.callback(valkey.stop)
        valkey.start()
        keys = f"bench:{base64.b64encode(secrets.token_bytes(32)).decode()}"
        python, path = _of_tree(tree)
        environment = {
            **os.environ,
            **_ROOM_FOR_THE_LOAD,
            **path,
            "OVMS_HOST": HOST,
            "OVMS_DATABASE_URL": postgres.url,
            "OVMS_REDIS_URL": valkey.url,
            "OVMS_SECRET_KEYS": keys,
        }
        _migrate(python, environment)
        asyncio.run(provision(postgres.url, keys, vehicles))
        http_port = free_port()
        ports = {"OVMS_HTTP_PORT": str(http_port)}
        yield Stack(
            directory=directory,
            environment=environment,
            python=python,
            database_url=postgres.url,
            valkey_socket=valkey.url.removeprefix("unix://"),
            http_port=http_port,
            api_gateway=_serve(stack, [python, "-m", "api_gateway"], environment | ports, http_port, directory),
            postgres=postgres.pid,
            valkey=valkey.pid,
        )


@contextmanager
def with_replicas(stack: Stack, count: int) -> Iterator[Stack]:
    """Run replicas of car-protocol in a stack while the block runs.

    They are workers like any others, here on ports of their own, so that who measures knows which one he talks to.
    """
    with ExitStack() as replicas:
        v2_ports, health_ports = ([free_port() for _ in range(count)] for _ in range(2))
        processes = []
        for v2_port, health_port in zip(v2_ports, health_ports, strict=True):
            ports = {"OVMS_V2_PORT": str(v2_port), "OVMS_HEALTH_PORT": str(health_port)}
            command = [stack.python, "-m", "car_protocol"]
            processes.append(_serve(replicas, command, {**stack.environment, **ports}, health_port, stack.directory))
        yield replace(stack, car_protocols=processes, v2_ports=v2_ports, health_ports=health_ports)


def _of_tree(tree: Path | None) -> tuple[str, dict[str, str]]:
    """Which Python runs the services of a work tree, and what it must be told to find them."""
    if tree is None:
        return sys.executable, {}
    own = tree / ".venv" / "bin" / "python"
    path = os.pathsep.join(str(tree / package / "src") for package in PACKAGES)
    return str(own) if own.exists() else sys.executable, {"PYTHONPATH": path}


def _migrate(python: str, environment: Mapping[str, str]) -> None:
    command = [python, "-c", "import sys; from ovms.admin.cli import main; sys.exit(main())", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the database cannot be migrated: {done.stderr[-500:]}")


def _serve(stack: ExitStack, command: Sequence[str], environment: Mapping[str, str], port: int, directory: Path) -> int:
    log = directory / f"{command[-1]}-{port}.log"
    with log.open("wb") as output:
        process = spawn(command, dies_by=signal.SIGKILL, environment=environment, output=output)
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
