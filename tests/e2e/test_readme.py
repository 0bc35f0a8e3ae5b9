"""Every command of the README, as it stands there."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from fixtures.stack import Stack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE) for line in block.splitlines()]

RUN = "make run"
ASK = "curl 'http://127.0.0.1:6868/api/status/DEMO?username=demo&password=demo'"
LISTEN = "OVMS_REDIS_URL=unix://$PWD/.ovms/valkey/valkey.sock .venv/bin/python docs/examples/subscriber.py DEMO"
RUN_FOR_OTHERS = "OVMS_DEMO=0 OVMS_HOST=0.0.0.0 make run"
ADD_OWNER = ".venv/bin/ovms owner add alice"
ADD_VEHICLE = ".venv/bin/ovms vehicle add MYCAR --owner alice"
TEST = "make test"

# What a make above this test would hand down, and a path that `make run` has to set itself.
NOT_OURS = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHONPATH")


@contextmanager
def started(command: str, directory: Path) -> Iterator[Stack]:
    """The stack that a command starts, on ports and in a data directory of its own, until Ctrl-C."""
    stack = Stack(directory, {})
    for name in NOT_OURS:
        stack.environment.pop(name, None)
    stack.start(["sh", "-c", f"cd {shlex.quote(str(ROOT))} && {command}"])
    assert stack.process is not None
    try:
        stack.await_ready()
        yield stack
        began = psutil.Process(stack.process.pid).children(recursive=True)
        os.killpg(stack.process.pid, signal.SIGINT)
        _, alive = psutil.wait_procs(began, timeout=40)
        assert not alive
    finally:
        kill(stack.process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End all that the shell has started in its own group; the databases and services die with `ovms run`."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with started(RUN, tmp_path_factory.mktemp("demo")) as stack:
        yield stack


@pytest.fixture(scope="module")
def for_others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with started(RUN_FOR_OTHERS, tmp_path_factory.mktemp("others")) as stack:
        yield stack


def run(command: str, stack: Stack, typed: str = "") -> str:
    """What a command prints, given at the top of the checkout."""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=ROOT,
        env=stack.environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer_of(command: str, stack: Stack) -> str:
    """What a curl line prints; where there is no curl, what its address answers."""
    if shutil.which("curl"):
        return run(command, stack)
    _, url = shlex.split(command)
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def make(*arguments: str) -> str:
    """What make prints, whatever the make above this test was told."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    done = subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_every_command_is_tried_below() -> None:
    assert COMMANDS == [RUN, ASK, LISTEN, RUN_FOR_OTHERS, ADD_OWNER, ADD_VEHICLE, TEST]


def test_the_demo_car_is_asked_for_its_state(demo: Stack) -> None:
    command = ASK.replace("6868", str(demo.http_port))
    deadline = time.monotonic() + 60
    while not (state := json.loads(answer_of(command, demo))):
        assert time.monotonic() < deadline, "the demo car does not come"
        time.sleep(0.05)
    assert 0 <= float(state["soc"]) <= 100
    assert command in demo.output


def test_the_manual_is_where_the_readme_says(demo: Stack) -> None:
    [address] = re.findall(r"<http://127\.0\.0\.1:6868(/[^>]*)>", README)
    with urllib.request.urlopen(demo.http_url + address, timeout=10) as answer:
        assert answer.status == 200


def test_a_program_hears_the_demo_car(demo: Stack) -> None:
    command = LISTEN.replace("$PWD/.ovms", str(demo.data_directory))
    program = subprocess.Popen(["sh", "-c", f"exec env {command}"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        assert any(re.match(r"ovms:{DEMO}:\d+:messages \w ", line) for line in program.stdout)
    finally:
        program.kill()
        program.communicate()


def test_an_owner_and_a_vehicle_are_made(for_others: Stack) -> None:
    assert run(ADD_OWNER, for_others, typed="geheim-1\n") == "owner alice added\n"
    assert run(ADD_VEHICLE, for_others, typed="NETPASS1\n") == "vehicle MYCAR of owner alice added\n"

    with urllib.request.urlopen(f"{for_others.http_url}/api/vehicles?username=alice&password=geheim-1", timeout=10) as answer:
        assert [vehicle["id"] for vehicle in json.load(answer)] == ["MYCAR"]
    assert run(".venv/bin/ovms owner list", for_others) == "alice\t\t1 vehicle\n"


def test_it_listens_on_all_addresses(for_others: Stack) -> None:
    addresses = {
        connection.laddr.ip
        for process in psutil.Process(for_others.process.pid).children(recursive=True)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port in (for_others.v2_port, for_others.http_port)
    }
    assert addresses == {"0.0.0.0"}


def test_continuous_integration_runs_the_same_tests() -> None:
    assert TEST in (ROOT / ".ci/run").read_text().splitlines()
    steps = [step.split("/pytest ", 1)[1] for step in make("--dry-run", "test").splitlines() if "/pytest " in step]
    left_out = {folder for step in steps for folder in re.findall(r"--ignore (\S+)", step)}
    assert left_out, "all that one step leaves out another runs"
    assert left_out == {folder for step in steps if "--ignore" not in step for folder in step.split()}


def test_make_help_knows_every_command_that_is_named() -> None:
    known = make("help")
    named = set(re.findall(r"`(make [a-z]+)`", README))
    assert named
    for command in named | {RUN, TEST}:
        assert re.search(rf"^{command} ", known, re.MULTILINE), command
