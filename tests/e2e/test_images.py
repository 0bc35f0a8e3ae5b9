"""The container images that `make images` has built: as their user, on a root filesystem that is read only, without a shell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from api_gateway.app import DISTRIBUTION
from fixtures.relay import relayed
from ovms.admin.cli import main
from ovms.local.ports import free_port

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PASSWORD = "of-this-test"
WITHIN = 60.0

pytestmark = pytest.mark.skipif(
    "OVMS_TEST_IMAGES" not in os.environ, reason="*** The images are NOT TESTED here: `make images` builds and tests them. ***"
)

# The mounts are gone with the process: nobody else sees them.
_RUN = """
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" || exit 99
cd "$0" && exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """An image, laid out in a directory."""

    root: Path
    config: dict[str, Any]

    @property
    def health_check(self) -> list[str]:
        kind, *command = self.config["Healthcheck"]["Test"]
        assert kind == "CMD"  # without a shell
        return command

    def start(self, environment: Mapping[str, str], *command: str) -> subprocess.Popen[str]:
        """Run a command in it as a container would, without its own network; without one, what it is for."""
        told = dict(variable.split("=", 1) for variable in self.config["Env"]) | environment
        chroot = [shutil.which("chroot") or "chroot", f"--userspec={self.config['User']}", str(self.root)]
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _RUN, str(self.root), *chroot, *(command or self.config["Entrypoint"])],
            env={"PATH": os.defpath} | told,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, environment: Mapping[str, str], *command: str) -> tuple[int, str]:
        """Run a command in it to its end: its status, and what it printed."""
        with self.start(environment, *command) as process:
            output, _ = process.communicate(timeout=WITHIN)
        return process.returncode, output

    @contextmanager
    def serving(self, environment: Mapping[str, str], is_ready: Callable[[], bool]) -> Iterator[subprocess.Popen[str]]:
        """What it is for, for the time of the block; ends in good order."""
        with self.start(environment) as process:
            try:
                until(lambda: is_ready() or process.poll() is not None)
                assert process.poll() is None, process.communicate()
                yield process
                process.terminate()
                assert (process.wait(timeout=WITHIN), process.communicate()[0].count("Traceback")) == (0, 0)
            finally:
                process.kill()


def buildah(*arguments: str) -> str:
    command = [ROOT / "deploy/images/buildah.sh", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.strip()


@contextmanager
def laid_out(name: str) -> Iterator[Image]:
    container = buildah("from", "--pull-never", f"localhost/ovms-{name}")
    try:
        config = json.loads(buildah("inspect", "--type", "image", f"localhost/ovms-{name}"))["Docker"]["config"]
        yield Image(Path(buildah("mount", container)), config)
    finally:
        buildah("rm", container)


@pytest.fixture(scope="module")
def car_protocol() -> Iterator[Image]:
    with laid_out("car-protocol") as image:
        yield image


@pytest.fixture(scope="module")
def api_gateway() -> Iterator[Image]:
    with laid_out("api-gateway") as image:
        yield image


@pytest.fixture
def environment(database_url: str, redis_url: str, secret_keys: str) -> Iterator[dict[str, str]]:
    """The stores of the tests, over TCP: their sockets are not for the user of the images."""
    with ExitStack() as stack:
        postgresql = stack.enter_context(relayed(Path(parse_qs(urlsplit(database_url).query)["host"][0], ".s.PGSQL.5432")))
        redis = stack.enter_context(relayed(Path(urlsplit(redis_url).path)))
        at = urlsplit(database_url)
        yield {
            "OVMS_DATABASE_URL": f"postgresql://{at.username}:{at.password}@{HOST}:{postgresql}{at.path}",
            "OVMS_REDIS_URL": f"redis://{HOST}:{redis}",
            "OVMS_SECRET_KEYS": secret_keys,
            "OVMS_HOST": HOST,
            "OVMS_HEALTH_HOST": HOST,
        } | {f"OVMS_{name}_PORT": str(free_port()) for name in ("V2", "HEALTH", "HTTP")}


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def get(url: str) -> tuple[int, str]:
    """The status and the body of an answer; 0 where there is none."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


@pytest.mark.parametrize("name", ["car_protocol", "api_gateway"])
def test_nothing_can_be_run_or_changed_but_the_service(name: str, request: pytest.FixtureRequest) -> None:
    image: Image = request.getfixturevalue(name)
    assert not any((image.root / path).exists() for path in ("bin/sh", "bin/bash", "bin/dash", "opt/ovms/bin/pip"))
    assert image.config["User"] == "10001:10001"

    write = "import os; print(os.getuid()); open('/opt/ovms/new', 'w')"
    ended, output = image.run({}, "python", "-c", write)
    assert (ended, output.splitlines()[0]) == (1, "10001")
    assert "Read-only file system" in output


@pytest.mark.parametrize("name", ["car_protocol", "api_gateway"])
def test_its_labels_say_what_it_is(name: str, request: pytest.FixtureRequest) -> None:
    image: Image = request.getfixturevalue(name)
    said = {label.rpartition(".")[2]: value for label, value in image.config["Labels"].items() if ".opencontainers." in label}
    assert (said["title"], said["version"]) == (name.replace("_", "-"), version(DISTRIBUTION))
    assert re.fullmatch("[0-9a-f]{7,40}", said["revision"])


def test_it_says_what_is_missing(car_protocol: Image, api_gateway: Image) -> None:
    assert "OVMS_DATABASE_URL" in car_protocol.run({})[1]
    assert "OVMS_DATABASE_URL" in api_gateway.run({})[1]


def test_it_migrates(car_protocol: Image, environment: dict[str, str]) -> None:
    assert car_protocol.run(environment, "ovms", "migrate") == (0, "the database has the form of this version\n")
    assert car_protocol.run(environment, "ovms", "migrate", "--check")[0] == 0


def test_a_demo_car_is_seen(car_protocol: Image, api_gateway: Image, environment: dict[str, str], tmp_path: Path) -> None:
    document = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())["configs"]["demo"]["content"]
    (tmp_path / "demo.json").write_text(document.replace("${DEMO_PASSWORD-}", PASSWORD))
    assert main(["provision", str(tmp_path / "demo.json")], environment) == 0
    http, health = (f"http://{HOST}:{environment[f'OVMS_{name}_PORT']}" for name in ("HTTP", "HEALTH"))

    with (
        laid_out("demo-car") as demo_car,
        car_protocol.serving(environment, lambda: get(f"{health}/readyz")[0] == 200),
        api_gateway.serving(environment, lambda: get(f"{http}/readyz")[0] == 200),
    ):
        assert car_protocol.run(environment, *car_protocol.health_check) == (0, "")
        assert api_gateway.run(environment, *api_gateway.health_check) == (0, "")
        car = {"OVMS_DEMO_HOST": HOST, "OVMS_DEMO_PASSWORD": PASSWORD, "OVMS_V2_PORT": environment["OVMS_V2_PORT"]}
        with demo_car.serving(car, lambda: '"soc"' in get(f"{http}/api/status/DEMO?username=demo&password={PASSWORD}")[1]):
            assert get(f"{http}/api/status/DEMO?username=demo&password=wrong") == (401, "")


def test_a_service_that_does_not_answer_is_not_healthy(car_protocol: Image, environment: dict[str, str]) -> None:
    assert car_protocol.run(environment, *car_protocol.health_check)[0] == 1
