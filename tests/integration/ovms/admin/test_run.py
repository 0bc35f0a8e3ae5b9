"""`ovms run` around small programs: order, signals at any time, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fixtures import stand_ins
from fixtures.servers import fetch
from ovms.local.ports import free_port


class Run:
    """One `ovms run` with stand-ins."""

    def __init__(self, directory: Path, kinds: tuple[str, ...], environment: dict[str, str]) -> None:
        self.log = directory / "log"
        self.log.touch()
        self._output = directory / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, stand_ins.__file__, self.log, *kinds],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def notes(self) -> list[str]:
        return self.log.read_text().splitlines()

    def wait_for(self, wanted: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not wanted():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def end(self) -> int:
        return self.process.wait(timeout=30)


@pytest.fixture
def start(tmp_path: Path, database_url: str, redis_url: str, secret_keys: str) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def make(*kinds: str) -> Run:
        environment = os.environ | {
            "PYTHONPATH": str(Path(stand_ins.__file__).parents[1]),
            "OVMS_DATA_DIR": str(tmp_path / "data"),
            "OVMS_DATABASE_URL": database_url,
            "OVMS_REDIS_URL": redis_url,
            "OVMS_SECRET_KEYS": secret_keys,
            "OVMS_V2_PORT": str(free_port()),
            "OVMS_HTTP_PORT": str(free_port()),
            "OVMS_V2_TLS_PORT": str(free_port()),
            "OVMS_HTTPS_PORT": str(free_port()),
        }
        runs.append(Run(tmp_path, kinds, environment))
        return runs[-1]

    yield make
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_programs_start_in_order_and_end_in_reverse(start: Callable[..., Run], number: signal.Signals) -> None:
    run = start("ready", "ready", "ready")
    run.wait_for(lambda: "is ready" in run.output)

    run.process.send_signal(number)

    assert run.end() == 0
    assert run.notes == [
        *("started 1-ready", "started 2-ready", "started 3-ready"),
        *("ended 3-ready", "ended 2-ready", "ended 1-ready"),
    ]


def test_a_signal_while_a_program_gets_ready_ends_what_has_started(start: Callable[..., Run]) -> None:
    run = start("ready", "never", "ready")
    run.wait_for(lambda: "started 2-never" in run.notes)

    run.process.send_signal(signal.SIGTERM)

    assert run.end() == 0
    assert run.notes == ["started 1-ready", "started 2-never", "ended 2-never", "ended 1-ready"]
    assert "is ready" not in run.output


@pytest.mark.parametrize("last_seen", ["lock", "started 1-ready", "started 2-ready"])
def test_a_signal_at_any_step_of_the_start_leaves_nothing_behind(
    start: Callable[..., Run], tmp_path: Path, last_seen: str
) -> None:
    run = start("ready", "ready")
    run.wait_for((tmp_path / "data/lock").exists if last_seen == "lock" else lambda: last_seen in run.notes)
    children = psutil.Process(run.process.pid).children(recursive=True)

    run.process.send_signal(signal.SIGTERM)

    assert run.end() == 0
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_program_that_ends_is_named_and_ends_all(start: Callable[..., Run]) -> None:
    run = start("ready", "ready", "ready")
    run.wait_for(lambda: "is ready" in run.output)
    [second] = [child for child in psutil.Process(run.process.pid).children() if "2-ready" in child.cmdline()]
    second.send_signal(signal.SIGUSR1)

    assert run.end() == 1
    assert run.output.splitlines()[-1] == "ovms: 2-ready: ended with status 3"
    assert [note for note in run.notes if note.startswith("ended")] == ["ended 3-ready", "ended 1-ready"]


def test_a_program_that_is_killed_is_named(start: Callable[..., Run]) -> None:
    run = start("ready")
    run.wait_for(lambda: "is ready" in run.output)
    [child] = psutil.Process(run.process.pid).children()
    child.kill()

    assert run.end() == 1
    assert run.output.endswith("ovms: 1-ready: killed by SIGKILL\n")


def test_killed_it_takes_its_programs_along(start: Callable[..., Run]) -> None:
    run = start("ready", "ready")
    run.wait_for(lambda: "is ready" in run.output)
    children = psutil.Process(run.process.pid).children()
    assert len(children) == 2

    run.process.kill()

    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_secrets_are_in_no_command_line(start: Callable[..., Run], database_url: str, secret_keys: str) -> None:
    run = start("ready")
    run.wait_for(lambda: "is ready" in run.output)
    commands = [" ".join(p.cmdline()) for p in psutil.Process(run.process.pid).children()]
    assert commands
    assert not [line for line in commands if secret_keys in line or database_url in line]


def test_the_demo_owner_comes_with_the_first_start_only(start: Callable[..., Run], database_url: str) -> None:
    run = start("ready")
    run.wait_for(lambda: "is ready" in run.output)
    assert [row["name"] for row in fetch(database_url, "SELECT name FROM owners")] == ["demo"]
    run.process.terminate()
    assert run.end() == 0

    fetch(database_url, "UPDATE owners SET name = 'anna'")
    run = start("ready")
    run.wait_for(lambda: "is ready" in run.output)
    assert [row["name"] for row in fetch(database_url, "SELECT name FROM owners")] == ["anna"]
