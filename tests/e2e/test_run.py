"""`ovms run`, which `make run` runs: the whole server on one machine, with everything real."""

import json
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fixtures.certificates import make_pair
from fixtures.stack import OVMS, Stack, running_stack


def descendants(stack: Stack) -> list[psutil.Process]:
    assert stack.process is not None
    return psutil.Process(stack.process.pid).children(recursive=True)


def cpu_seconds(stack: Stack) -> float:
    """What it and all that it has started have computed: the time of a start on a machine that does nothing else, at most."""
    assert stack.process is not None
    times = [process.cpu_times() for process in (psutil.Process(stack.process.pid), *descendants(stack))]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


def await_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive


def ask(url: str, *, trusted: Path | None = None) -> dict[str, object]:
    """The answer of a URL, once there is something in it: the car may be about to connect."""
    context = ssl.create_default_context(cafile=trusted) if trusted is not None else None
    deadline = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            if found := json.load(answer):
                return dict(found)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def await_track(url: str) -> None:
    """Wait until the car has been somewhere."""
    deadline = time.monotonic() + 30
    while not ask(url)["features"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Stacks that the test starts and ends itself; none outlives it."""
    made: list[Stack] = []

    def make(**environment: str) -> Stack:
        made.append(Stack(tmp_path, environment))
        return made[-1]

    yield make
    for stack in made:
        stack.kill()


def test_a_first_start_shows_a_car_and_leaves_nothing_behind(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    stack.start()
    stack.await_ready()
    shown = re.search(r"curl '(.*)'", wait_for_output(stack, "curl "))
    assert shown
    assert ask(shown[1])
    assert f"{stack.https_url}/api\n" in stack.output
    assert ask(shown[1].replace(stack.http_url, stack.https_url), trusted=stack.certificate)
    assert stack.is_heard_over_tls()
    await_track(f"{stack.http_url}/api/v1/vehicles/DEMO/track?username=demo&password=demo")
    started = descendants(stack)
    assert len(started) >= 4

    assert stack.stop(signal.SIGTERM) == 0

    await_gone(started)
    assert stat_mode(stack.data_directory / "secret-keys") == 0o600
    assert stat_mode(stack.data_directory / "postgres/password") == 0o600
    assert stat_mode(stack.data_directory / "tls/key.pem") == 0o600


def test_a_certificate_of_ones_own_is_used(tmp_path: Path) -> None:
    own = make_pair(tmp_path / "own")
    with running_stack(tmp_path, OVMS_DEMO="0", **own.environment) as stack:
        for port in (stack.v2_tls_port, stack.https_port):
            assert ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port))) == own.der
        assert not stack.certificate.exists()


def test_a_certificate_that_cannot_be_used_is_said_before_anything_starts(tmp_path: Path) -> None:
    own, other = make_pair(tmp_path / "own"), make_pair(tmp_path / "other")
    stack = Stack(tmp_path, {**own.environment, "OVMS_TLS_KEY": str(other.key)})
    refused = stack.ovms("run")

    assert refused.returncode == 1
    assert refused.stderr == f"ovms: OVMS_TLS_KEY={other.key}: not the key of the first certificate in {own.certificate}\n"
    assert not (stack.data_directory / "postgres").exists()


def test_a_second_start_takes_less_than_ten_seconds(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    stack.start()
    stack.await_ready()
    keys, certificate = (stack.data_directory / "secret-keys").read_text(), stack.certificate.read_text()
    assert stack.stop() == 0

    stack.start()
    stack.await_ready()
    assert cpu_seconds(stack) < 10
    assert stack.certificate.read_text() == certificate
    assert (stack.data_directory / "secret-keys").read_text() == keys
    assert stack.ovms("vehicle", "list").stdout == "DEMO\tdemo\n"
    assert stack.stop(signal.SIGINT) == 0


def test_a_second_start_on_one_data_directory_is_refused(tmp_path: Path) -> None:
    with running_stack(tmp_path, OVMS_DEMO="0") as stack:
        second = subprocess.run([OVMS, "run"], env=stack.environment, capture_output=True, text=True, timeout=30, check=False)

        assert second.returncode == 1
        assert second.stdout == ""
        assert second.stderr == (
            f"ovms: {stack.data_directory}: this data directory is already in use (process {stack.process.pid})\n"
        )


@pytest.mark.parametrize(
    "setting", ["OVMS_V2_PORT", "OVMS_HTTP_PORT", "OVMS_V2_TLS_PORT", "OVMS_HTTPS_PORT", "OVMS_HEALTH_PORT"]
)
def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        stack = Stack(tmp_path, {setting: str(port)})
        refused = stack.ovms("run")

    assert refused.returncode == 1
    assert refused.stderr == (f"ovms: port {port} is in use by another program: stop it, or set {setting} to a free port\n")
    assert not (stack.data_directory / "postgres").exists()


def test_without_the_demo_nobody_is_there_and_commands_work_while_it_runs(tmp_path: Path) -> None:
    with running_stack(tmp_path, OVMS_DEMO="0") as stack:
        assert stack.ovms("owner", "list").stdout == ""
        assert "curl" not in stack.output

        assert stack.ovms("owner", "add", "anna", typed="geheim-1\n").returncode == 0
        assert stack.ovms("vehicle", "add", "EV1", "--owner", "anna", typed="NETPASS1\n").returncode == 0
        token = stack.ovms("token", "add", "anna").stdout.strip()

        url = f"{stack.http_url}/api/vehicles?username=anna&password={token}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"EV1" in answer.read()


def test_a_database_that_ends_ends_everything(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(OVMS_DEMO="0")
    stack.start()
    stack.await_ready()
    started = descendants(stack)
    for process in started:
        if process.name() == "valkey-server":
            process.kill()

    assert stack.process.wait(timeout=40) == 1
    assert stack.output.endswith("ovms: Valkey: it has ended\n")
    await_gone(started)


def test_killed_it_takes_everything_along_and_starts_again(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(OVMS_DEMO="0", OVMS_WORKERS="2")
    stack.start()
    stack.await_ready()
    started = descendants(stack)
    names = [" ".join(process.cmdline()) for process in started]
    assert [sum(service in name for name in names) for service in ("-m car_protocol", "-m api_gateway")] == [3, 3]

    assert stack.stop(signal.SIGKILL) == -signal.SIGKILL

    await_gone(started)
    stack.start()
    stack.await_ready()
    assert stack.stop() == 0


def test_ctrl_c_on_a_terminal_reaches_it_and_not_what_started_it(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(OVMS_DEMO="0")
    controller, terminal = pty.openpty()
    shell = subprocess.Popen(
        ["sh", "-c", f"'{OVMS}' run; echo status $?"],
        env=stack.environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        # The first terminal that the leader of a session opens becomes its controlling terminal.
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509
    )
    os.close(terminal)
    try:
        seen = read_until(controller, b"Ctrl-C stops it")
        os.write(controller, b"\x03")
        seen = read_until(controller, b"status ")
        assert b"status 0" in seen + read_until(controller, b"\n")
        assert shell.wait(timeout=10) == 0
    finally:
        shell.kill()
        shell.wait()
        os.close(controller)


def read_until(controller: int, wanted: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 60
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        try:
            seen += os.read(controller, 4096)
        except OSError:  # the last program on this terminal has ended
            return seen
    return seen


def wait_for_output(stack: Stack, wanted: str) -> str:
    deadline = time.monotonic() + 30
    while wanted not in stack.output:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return stack.output


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
