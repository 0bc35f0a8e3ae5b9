"""Profiles a process while it is measured, with py-spy, which `make bench` installs."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.shares import table
from ovms.local.process import spawn, stop

RATE: Final = 250
"""Samples a second."""
STARTS_WITHIN: Final = 1.0
WRITES_WITHIN: Final = 30.0

_FORMATS: Final = {".svg": "flamegraph", ".json": "speedscope", ".txt": "raw", ".md": "raw"}


def check(path: Path) -> None:
    """Make sure that a profile can be written.

    Raises:
        BenchError: there is no py-spy, or the name has another ending than it knows.
    """
    if path.suffix not in _FORMATS:
        raise BenchError(f"a profile's name ends in one of {', '.join(_FORMATS)}")
    if _program() is None:
        raise BenchError("there is no py-spy: `make bench` installs it")


@contextmanager
def profiling(pid: int, path: Path) -> Iterator[None]:
    """Write a profile of what a process does while the block runs."""
    command = [_program() or "py-spy", "record", "--pid", str(pid), "--rate", str(RATE)]
    process = spawn([*command, "--format", _FORMATS[path.suffix], "--output", str(path)], dies_by=signal.SIGKILL)
    try:
        time.sleep(STARTS_WITHIN)
        if process.poll() is not None:
            raise BenchError("py-spy cannot look into the process: it may need to be run as root")
        yield
    finally:
        stop(process, signal.SIGINT, within=WRITES_WITHIN)
    if path.suffix == ".md":
        path.write_text("\n".join([*table(path.read_text().splitlines()), ""]))


def _program() -> str | None:
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")
