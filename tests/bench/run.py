"""One run: everything that is measured, in an order in which nothing disturbs what follows."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from bench import limits
from bench.fleet import accounts
from bench.idle import measure_bare_idle, measure_idle
from bench.logins import measure_logins
from bench.machine import facts
from bench.messages import MessageRun, measure_messages
from bench.process import raise_open_files
from bench.report import Figure, Report
from bench.requests import measure_requests, sign_in
from bench.stack import Stack, await_answer, running_stack
from ovms.local.ports import free_port
from ovms.local.process import spawn, stop

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done."""

    cars: int
    rounds: int
    window: int
    """Messages that may be under way: fewer than a round of all cars."""
    logins: int
    idle: int
    request_seconds: float
    time_limit: float
    """Seconds that one measurement may take."""


FULL = Size(cars=1000, rounds=25, window=6000, logins=10_000, idle=5000, request_seconds=5.0, time_limit=60.0)
SHORT = Size(cars=100, rounds=10, window=600, logins=500, idle=500, request_seconds=0.5, time_limit=20.0)


def measure(size: Size) -> Report:
    """Measure everything.

    Raises:
        BenchError: the server did something wrong.
        TimeoutError: a measurement took too long.
    """
    began, machine = time.perf_counter(), facts()
    raise_open_files()
    with running_stack(max(size.logins, size.idle)) as stack:
        # First, since it needs a process that has not worked yet.
        idle = _elsewhere(size, partial(measure_idle, stack.v2_port, stack.car_protocol, accounts(size.idle)))
        messages = _elsewhere(size, partial(measure_messages, stack, accounts(size.cars), size.rounds, size.window))
        requests, length = _elsewhere(size, partial(_measure_status, stack, size.request_seconds))
        logins = _elsewhere(size, partial(measure_logins, stack.v2_port, accounts(size.logins)))
    decoding = _elsewhere(size, partial(limits.decoding, size.cars, size.rounds))
    cryptography = _elsewhere(size, partial(limits.login_cryptography, size.logins))
    bare_idle = _elsewhere(size, partial(_measure_bare_idle, size.idle))
    bare_requests = _elsewhere(size, partial(_measure_bare_requests, length, size.request_seconds))
    figures = [
        Figure("messages stored and published", messages.rate, "messages/s", 30_000, decoding, "decoding alone"),
        Figure("logins, cold", logins, "logins/s", 2_000, cryptography, "their cryptography alone"),
        Figure("memory of an idle connection", idle, "bytes", 12_000, bare_idle, "a bare connection with its ciphers"),
        Figure("/api/status/<id> with a cookie", requests, "requests/s", 2_000, bare_requests, "a bare FastAPI Response"),
    ]
    return Report(machine, figures, _notes(messages), time.perf_counter() - began)


def _notes(run: MessageRun) -> dict[str, float]:
    return {
        "messages sent": run.messages,
        "rows written a message": run.rows / run.messages,
        "cores busy, car-protocol": run.server_cpu,
        "cores busy, PostgreSQL": run.postgres_cpu,
        "cores busy, Valkey": run.valkey_cpu,
        "cores busy, load": run.load_cpu,
    }


def _elsewhere(size: Size, work: Callable[[], Result]) -> Result:
    """Do something in a process of its own, so that what measures neither helps nor hinders what comes next."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        try:
            return processes.submit(work).result(size.time_limit)
        except TimeoutError:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _measure_status(stack: Stack, seconds: float) -> tuple[float, int]:
    path = f"/api/status/{accounts(1)[0].vehicle_id}"
    return measure_requests(stack.http_port, path, sign_in(stack.http_port), seconds)


def _measure_bare_requests(length: int, seconds: float) -> float:
    port = free_port()
    with _bare_server("http", str(port), str(length), ready=f"http://127.0.0.1:{port}/bare"):
        return measure_requests(port, "/bare", "ovmsapisession=none", seconds)[0]


def _measure_bare_idle(connections: int) -> float:
    port = free_port()
    with _bare_server("cars", str(port)) as pid:
        return measure_bare_idle(port, pid, connections)


@contextmanager
def _bare_server(*arguments: str, ready: str | None = None) -> Iterator[int]:
    with TemporaryDirectory(prefix="ovms-bench-") as directory:
        log = Path(directory, "log")
        with log.open("wb") as output:
            command = [sys.executable, "-m", "bench.bare", *arguments]
            process = spawn(command, dies_by=signal.SIGKILL, output=output)
        try:
            if ready is not None:
                await_answer(process, ready, log)
            yield process.pid
        finally:
            stop(process, signal.SIGTERM, within=5.0)
