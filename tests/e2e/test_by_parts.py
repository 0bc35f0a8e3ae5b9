"""deploy/README.md, "By parts" and "See that it works": its commands as they stand there, until the new owner sees his car."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from documented.pages import ROOT, blocks_under, joined
from fixtures.installed import Installation
from fixtures.relay import relayed
from fixtures.servers import fetch
from ovms.local.ports import free_port
from ovms.local.postgres import Postgres
from ovms.local.programs import postgresql_programs

PAGE: Final = "deploy/README.md"
WITHIN: Final = 60.0
TESTS: Final = ROOT / "tests"
NAME: Final = "by_parts"
"""In the place of `ovms`, which is who the tests' PostgreSQL belongs to already."""
# What commands ask for, by what they are.
TYPED: Final = {"createuser": "5tranger\n5tranger\n", "owner add": "geheim-1\n", "vehicle add": "NETPASS1\n"}
CAR: Final = f"env PYTHONPATH={TESTS} OVMS_DEMO_VEHICLE=MYCAR OVMS_DEMO_PASSWORD=NETPASS1 {sys.executable} -m simulator"
PORTS: Final = {"V2": 6867, "HTTP": 6868, "HEALTH": 6880}


class Machine:
    """A place for all that the page puts on a machine."""

    def __init__(self, directory: Path, installed: Path, database: str, database_port: int, redis_port: int) -> None:
        self._directory = directory
        self._database = urlsplit(database)
        self.ports = {name: free_port() for name in PORTS}
        # What a command leaves to those after it.
        self._before = ""
        self._places = {
            "/opt/ovms": str(installed),
            "/etc/ovms.env": str(directory / "ovms.env"),
            "ovms:PASSWORD@127.0.0.1/ovms": f"{NAME}:5tranger@127.0.0.1:{database_port}/{NAME}",
            "createuser --pwprompt ovms": f"createuser --pwprompt {NAME}",
            "createdb --owner=ovms ovms": f"createdb --owner={NAME} {NAME}",
            "127.0.0.1:6379": f"127.0.0.1:{redis_port}",
            "OVMS_HOST=0.0.0.0": "OVMS_HOST=127.0.0.1",
            "alice:PASSWORD": "alice:geheim-1",
        } | {f"127.0.0.1:{port}": f"127.0.0.1:{self.ports[name]}" for name, port in PORTS.items()}

    def run(self, command: str) -> str:
        """What a command prints, on this machine."""
        if command.startswith("set "):
            self._before += self._here(command) + "\n"
            return ""
        typed = next((answer for asks, answer in TYPED.items() if asks in command), "")
        done = subprocess.run(
            ["sh", "-uc", self._before + self._here(command)],
            cwd=self._directory,
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
            start_new_session=True,  # without a terminal to ask at
        )
        if done.returncode != 0 and "telnet:" not in command:  # which ends with the time that it was given
            raise AssertionError(f"{command}: {done.stderr or done.stdout}")
        return done.stdout

    @contextmanager
    def serving(self, command: str) -> Iterator[subprocess.Popen[str]]:
        """A service, until the end of the block."""
        process = subprocess.Popen(
            ["sh", "-uc", f"{self._before}exec {self._here(command)}"],
            cwd=self._directory,
            env=self.environment | {f"OVMS_{name}_PORT": str(port) for name, port in self.ports.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
            process.terminate()
            output, _ = process.communicate(timeout=WITHIN)
            assert (process.returncode, output.count("Traceback")) == (0, 0), output
        finally:
            process.kill()
            process.communicate()

    @property
    def environment(self) -> dict[str, str]:
        """That of whoever gives the commands: PostgreSQL's superuser."""
        path = f"{Path(sys.executable).parent}:{postgresql_programs()}:{os.environ['PATH']}"
        return {
            "PATH": path,
            "HOME": str(self._directory),
            "PGHOST": parse_qs(self._database.query)["host"][0],
            "PGUSER": self._database.username or "",
            "PGPASSWORD": self._database.password or "",
        }

    def _here(self, command: str) -> str:
        for there, ours in self._places.items():
            command = command.replace(there, ours)
        return command


@pytest.fixture
def machine(installation: Installation, postgres: Postgres, redis_url: str, tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as stack:
        host = parse_qs(urlsplit(postgres.url).query)["host"][0]
        database_port = stack.enter_context(relayed(Path(host, ".s.PGSQL.5432")))
        redis_port = stack.enter_context(relayed(Path(urlsplit(redis_url).path)))
        yield Machine(tmp_path, installation.directory, postgres.url, database_port, redis_port)
    fetch(postgres.url, f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    fetch(postgres.url, f"DROP ROLE IF EXISTS {NAME}")


def until(machine: Machine, command: str, wanted: str) -> str:
    """What a command prints, once that is in it."""
    deadline = time.monotonic() + WITHIN
    while wanted not in (said := machine.run(command)):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    return said


def test_a_stranger_sees_his_car(machine: Machine) -> None:
    text = (ROOT / PAGE).read_text()
    _installed, *later = blocks_under(PAGE, "By parts")
    for block in later:
        for command in joined(block):
            machine.run(command)
    [ready, vehicles, speaks] = [command for block in blocks_under(PAGE, "See that it works") for command in joined(block)]
    car_protocol, api_gateway = re.findall(r"`(/opt/ovms/bin/python -m \w+)`", text)
    [state] = [span for span in re.findall(r"`(curl [^`]+)`", text) if span.endswith("/state")]

    with machine.serving(car_protocol), machine.serving(api_gateway):
        for port in ("6868", "6880"):
            until(machine, ready.replace("6868", port).replace("curl ", "curl --fail --silent ") + " || true", '"redis"')
        assert '"MYCAR"' in machine.run(vehicles)
        assert machine.run(speaks).split() == ["AP-X"]
        with machine.serving(CAR):
            until(machine, state, '"soc"')


@pytest.mark.parametrize("service", ["car-protocol", "api-gateway"])
def test_systemd_starts_what_the_page_says(service: str) -> None:
    unit = (ROOT / f"deploy/systemd/ovms-{service}.service").read_text()
    page = (ROOT / PAGE).read_text()
    [command] = re.findall("^ExecStart=(.*)$", unit, re.MULTILINE)
    [settings] = re.findall("^EnvironmentFile=(.*)$", unit, re.MULTILINE)
    assert f"`{command}`" in page
    assert f"cat >{settings} <<END" in page
    [user] = re.findall("^User=(.*)$", unit, re.MULTILINE)
    assert re.search(rf"^useradd .* {user}$", page, re.MULTILINE)
    if (verify := shutil.which("systemd-analyze")) is not None:
        # The program of the service is not here.
        command = [verify, "verify", ROOT / f"deploy/systemd/ovms-{service}.service"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr
        assert [line for line in said.splitlines() if "ovms" in line and "is not executable" not in line] == []
