"""One run: everything that is measured, in an order in which nothing disturbs what follows."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, ParamSpec, Self, TypeVar

from bench import limits
from bench.fleet import accounts
from bench.idle import measure_bare_idle, measure_idle
from bench.latency import Latency, measure_event_latency, measure_latency
from bench.logins import measure_logins
from bench.machine import facts
from bench.messages import MessageRun, measure_messages
from bench.process import raise_open_files
from bench.report import Figure, Report
from bench.requests import measure_requests, sign_in
from bench.stack import Stack, await_listener, running_stack
from ovms.local.ports import free_port
from ovms.local.process import spawn, stop

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done."""

    cars: int
    rounds: int
    logins: int
    idle: int
    request_seconds: float
    latency_cars: int
    latency_seconds: float
    time_limit: float
    """Seconds that one measurement may take."""


FULL: Final = Size(
    cars=1000, rounds=25, logins=10_000, idle=5000, request_seconds=5.0, latency_cars=200, latency_seconds=5.0, time_limit=60.0
)
SHORT: Final = Size(
    cars=100, rounds=10, logins=500, idle=500, request_seconds=0.5, latency_cars=50, latency_seconds=1.0, time_limit=20.0
)
EVENTS_WITHIN: Final = 20_000
"""Microseconds from a car to an event stream, 99 of 100."""
LATENCY_RATE: Final = 5.0
"""Messages a car a second."""


def measure(size: Size) -> Report:
    """Measure everything.

    Raises:
        BenchError: the server did something wrong.
        TimeoutError: a measurement took too long.
    """
    began, machine = time.perf_counter(), facts()
    raise_open_files()
    with Elsewhere(size.time_limit) as elsewhere:
        with running_stack(max(size.logins, size.idle)) as stack:
            # First, since it needs a process that has not worked yet.
            idle = elsewhere.call(measure_idle, stack.v2_ports[0], stack.car_protocols[0], accounts(size.idle))
            messages = elsewhere.call(measure_messages, stack, accounts(size.cars), size.rounds)
            requests, length = elsewhere.call(_measure_status, stack, size.request_seconds)
            logins = elsewhere.call(measure_logins, stack.v2_ports, accounts(size.logins))
        with running_stack(max(size.logins, size.cars + 3 * size.latency_cars), workers=2) as stack:
            of_two, notes = _second_worker(elsewhere, stack, size, messages.rate, logins)
        decoding = elsewhere.call(limits.decoding, size.cars, size.rounds)
        cryptography = elsewhere.call(limits.login_cryptography, size.logins)
        with _bare_server("cars") as (port, pid):
            bare_idle = elsewhere.call(measure_bare_idle, port, pid, size.idle)
        with _bare_server("http", str(length)) as (port, _):
            bare_requests, _ = elsewhere.call(measure_requests, port, "/bare", "ovmsapisession=none", size.request_seconds)
    figures = [
        Figure("messages stored and published", messages.rate, "messages/s", 30_000, decoding, "decoding alone"),
        Figure("logins, cold", logins, "logins/s", 2_000, cryptography, "their cryptography alone"),
        Figure("memory of an idle connection", idle, "bytes", 12_000, bare_idle, "a bare connection with its ciphers"),
        Figure("/api/status/<id> with a cookie", requests, "requests/s", 2_000, bare_requests, "a bare FastAPI Response"),
        *of_two,
    ]
    return Report(machine, figures, _notes(messages, "") | notes, time.perf_counter() - began)


class Elsewhere:
    """Calls functions in another process, so that what is being measured shares no interpreter with who measures."""

    def __init__(self, time_limit: float) -> None:
        self._time_limit = time_limit

    def __enter__(self) -> Self:
        self._processes = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:  # what it is doing is of no use any more
            for process in multiprocessing.active_children():
                process.terminate()
        self._processes.shutdown(cancel_futures=True)

    def call(self, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        """Call a function.

        Raises:
            TimeoutError: it has not returned after the time limit.
            Whatever it raises.
        """
        return self._processes.submit(work, *arguments, **named).result(self._time_limit)


def _second_worker(
    elsewhere: Elsewhere, stack: Stack, size: Size, messages: float, logins: float
) -> tuple[list[Figure], dict[str, float]]:
    """What two workers do, beside what one did, and how far it is from one to the other."""
    of_two = elsewhere.call(measure_messages, stack, accounts(size.cars), size.rounds)
    here, there = (elsewhere.call(_measure_latency, stack, size, worker) for worker in (0, 1))
    events = elsewhere.call(_measure_event_latency, stack, size)
    logins_of_two = elsewhere.call(measure_logins, stack.v2_ports, accounts(size.logins))
    figures = [
        Figure("messages, with a second worker", of_two.rate, "messages/s", None, messages, "one worker"),
        Figure("logins, with a second worker", logins_of_two, "logins/s", None, logins, "one worker"),
        Figure("car to app, 50 of 100 within", here.half, "µs"),
        Figure("car to app, 99 of 100 within", here.ninety_nine, "µs"),
        Figure("  app elsewhere, 50 of 100", there.half, "µs", None, here.half, "on the same replica"),
        Figure("  app elsewhere, 99 of 100", there.ninety_nine, "µs", None, here.ninety_nine, "on the same replica"),
        Figure("car to event stream, 50 of 100", events.half, "µs"),
        Figure("car to event stream, 99 of 100", events.ninety_nine, "µs", EVENTS_WITHIN),
    ]
    return figures, _notes(of_two, ", second worker")


def _notes(run: MessageRun, of: str) -> dict[str, float]:
    return {
        f"messages sent{of}": run.messages,
        f"rows written a message{of}": run.rows / run.messages,
        f"cores busy, car-protocol{of}": run.server_cpu,
        f"cores busy, PostgreSQL{of}": run.postgres_cpu,
        f"cores busy, Valkey{of}": run.valkey_cpu,
        f"cores busy, load{of}": run.load_cpu,
    }


def _measure_latency(stack: Stack, size: Size, worker: int) -> Latency:
    """From cars at the first worker to apps at one of the two; cars that no other measurement has used."""
    first = size.cars + worker * size.latency_cars
    cars = accounts(first + size.latency_cars)[first:]
    return measure_latency(stack.v2_ports[0], stack.v2_ports[worker], cars, LATENCY_RATE, size.latency_seconds)


def _measure_event_latency(stack: Stack, size: Size) -> Latency:
    first = size.cars + 2 * size.latency_cars
    cars = accounts(first + size.latency_cars)[first:]
    return measure_event_latency(stack.v2_ports[0], stack.http_port, cars, LATENCY_RATE, size.latency_seconds)


def _measure_status(stack: Stack, seconds: float) -> tuple[float, int]:
    path = f"/api/status/{accounts(1)[0].vehicle_id}"
    return measure_requests(stack.http_port, path, sign_in(stack.http_port), seconds)


@contextmanager
def _bare_server(kind: str, *arguments: str) -> Iterator[tuple[int, int]]:
    """Run a server of `bench.bare`: (its port, its process id)."""
    port = free_port()
    with TemporaryDirectory(prefix="ovms-bench-") as directory:
        log = Path(directory, "log")
        with log.open("wb") as output:
            command = [sys.executable, "-m", "bench.bare", kind, str(port), *arguments]
            process = spawn(command, dies_by=signal.SIGKILL, output=output)
        try:
            await_listener(process, port, log)
            yield port, process.pid
        finally:
            stop(process, signal.SIGTERM, within=5.0)
