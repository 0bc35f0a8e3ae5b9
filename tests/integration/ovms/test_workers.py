"""Workers and what looks after them, as real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fixtures import worker_program


class Program:
    """A running `worker_program`."""

    def __init__(self, directory: Path, *arguments: int) -> None:
        self._directory = directory
        self._output = directory / "output"
        with self._output.open("wb") as output:
            command = [sys.executable, worker_program.__file__, directory, *map(str, arguments)]
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def output(self) -> str:
        return self._output.read_text()

    def events(self, number: int) -> list[str]:
        """What has happened to a worker, in whatever processes."""
        return [line.split()[0] for line in self._notes(number)]

    def pid(self, number: int) -> int:
        """Its newest process."""
        return int(self._notes(number)[-1].split()[1])

    def wait_for(self, wanted: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not wanted():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.01)

    def wait_for_start(self, count: int) -> None:
        self.wait_for(lambda: all(self.events(number) for number in range(count)))

    def end(self) -> int:
        return self.process.wait(timeout=30)

    def _notes(self, number: int) -> list[str]:
        path = self._directory / f"worker-{number}"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def make(*arguments: int) -> Program:
        programs.append(Program(tmp_path, *arguments))
        return programs[-1]

    yield make
    for program in programs:
        for process in [*descendants(program), psutil.Process()][:-1]:
            process.kill()
        program.process.kill()
        program.process.wait()


def descendants(program: Program) -> list[psutil.Process]:
    try:
        return psutil.Process(program.process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def test_one_worker_needs_nobody_to_look_after_it(start: Callable[..., Program]) -> None:
    program = start(1)
    program.wait_for_start(1)
    assert program.pid(0) == program.process.pid
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_handed_on_and_all_ends_well(start: Callable[..., Program], number: signal.Signals) -> None:
    program = start(3)
    program.wait_for_start(3)
    program.process.send_signal(signal.SIGHUP)
    program.wait_for(lambda: all(program.events(worker) == ["serves", "SIGHUP"] for worker in range(3)))
    program.process.send_signal(number)
    assert program.end() == 0
    assert [program.events(worker) for worker in range(3)] == [["serves", "SIGHUP", number.name]] * 3


def test_told_to_end_before_anybody_serves_it_ends_well(start: Callable[..., Program]) -> None:
    program = start(4)
    program.wait_for(lambda: descendants(program))
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_one_that_dies_is_started_again(start: Callable[..., Program], number: signal.Signals) -> None:
    program = start(2)
    program.wait_for_start(2)
    dead, other = program.pid(1), program.pid(0)
    for _ in range(2):  # at once, then after a second
        dead = program.pid(1)
        os.kill(dead, number)
        program.wait_for(lambda dead=dead: program.events(1)[-1] == "serves" and program.pid(1) != dead)
    assert program.pid(0) == other
    assert program.output.count("a worker has ended; another is started") == 2
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == 0


def test_one_that_is_told_to_end_is_started_again(start: Callable[..., Program]) -> None:
    program = start(2)
    program.wait_for_start(2)
    os.kill(program.pid(0), signal.SIGTERM)
    program.wait_for(lambda: program.events(0) == ["serves", "SIGTERM", "serves"])
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == 0


def test_one_that_cannot_start_ends_all_with_its_status(start: Callable[..., Program]) -> None:
    program = start(3, 2, 7)
    assert program.end() == 7
    assert "a worker cannot start" in program.output
    assert all(program.events(number) in ([], ["serves", "SIGTERM"]) for number in range(2))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_without_their_parent_they_end(start: Callable[..., Program]) -> None:
    program = start(2)
    program.wait_for_start(2)
    workers = descendants(program)
    program.process.kill()
    program.end()
    assert not psutil.wait_procs(workers, timeout=30)[1]
    assert [program.events(number)[-1] for number in range(2)] == ["SIGTERM", "SIGTERM"]
