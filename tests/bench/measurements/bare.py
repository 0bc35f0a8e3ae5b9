"""Servers that do nothing but what any would (`bench.bare_servers`), each in a process of its own, to compare with."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load.callers import ask, request
from bench.measurement import Readings, Scene, Size
from bench.measurements.status import CALLERS
from bench.stack import await_listener
from ovms.local.ports import free_port
from ovms.local.process import spawn, stop


def measure_bare_response(scene: Scene, size: Size) -> Readings:
    """As many callers as of the status."""
    with bare_server("http") as (port, _):
        return {"a second": ask(port, [request(port, "/bare")] * CALLERS, size.request_seconds).a_second}


@contextmanager
def bare_server(kind: str) -> Iterator[tuple[int, int]]:
    """Run one of these servers while the block runs: (its port, its process id)."""
    port = free_port()
    with TemporaryDirectory(prefix="ovms-bench-") as directory:
        log = Path(directory, "log")
        with log.open("wb") as output:
            command = [sys.executable, "-m", "bench.bare_servers", kind, str(port)]
            process = spawn(command, dies_by=signal.SIGKILL, output=output)
        try:
            await_listener(process, port, log)
            yield port, process.pid
        finally:
            stop(process, signal.SIGTERM, within=5.0)
