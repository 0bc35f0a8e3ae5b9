"""Every command that a Markdown page names is tried: here, or as it stands there by a test of its page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from api_gateway.settings import Settings as GatewaySettings
from car_protocol.settings import Settings as CarSettings
from documented.checks import CHECKS, check_command
from documented.docker import arguments_of
from documented.kubernetes import wanted
from documented.pages import ROOT, Command, commands
from documented.place import Place
from fixtures.certificates import make_pair
from fixtures.stack import Stack
from ovms.errors import OvmsError
from ovms.local.postgres import Postgres

# Of a page (None), or of a part of it, the test that runs what stands in its blocks.
RUN: Final = {
    ("README.md", None): "e2e/test_readme.py",
    ("docs/backup.md", None): "e2e/test_backup.py",
    ("deploy/README.md", "By parts"): "e2e/test_by_parts.py",
    ("deploy/README.md", "See that it works"): "e2e/test_by_parts.py",
}
# What others bring along, and a sentence might name: something must say how that is tried.
OTHERS: Final = frozenset({"apt", "apt-get", "createdb", "createuser", "helm", "npm", "redis-cli", "sudo", "wget"})

COMMANDS: Final = commands(frozenset(CHECKS) | OTHERS)
DEPLOY: Final = (ROOT / "deploy/README.md").read_text()


def run_by(command: Command) -> str | None:
    """The test that runs a command as it stands there."""
    if not command.is_whole:
        return None
    return RUN.get((command.page, command.section)) or RUN.get((command.page, None))


TRIED_HERE: Final = {command.text: command for command in COMMANDS if run_by(command) is None}


@pytest.fixture(scope="module")
def place(demo_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Place:
    directory = tmp_path_factory.mktemp("documented")
    database = Postgres(demo_stack.data_directory / "postgres")
    database.attach()
    return Place(demo_stack, database.url, make_pair(directory / "tls"), directory)


@pytest.mark.parametrize("command", TRIED_HERE.values(), ids=TRIED_HERE)
def test_a_command_is_right(command: Command, place: Place) -> None:
    check_command(command, place)


def test_commands_are_found() -> None:
    found = {(command.page, command.text) for command in COMMANDS}
    assert found >= {
        ("deploy/README.md", "kubectl kustomize deploy/kubernetes/overlays/production"),
        ("docs/coming-from-the-reference.md", "ovms import-reference --dry-run"),
        ("docs/runbooks/OvmsWritesPileUp.md", "SELECT * FROM pg_locks WHERE NOT granted"),
    }
    assert {command.program for command in COMMANDS if command.page == "README.md" and command.is_whole} >= {"make", "curl"}


@pytest.mark.parametrize(("page", "test"), [(page, test) for (page, _), test in RUN.items()])
def test_what_runs_a_page_reads_it(page: str, test: str) -> None:
    assert f'"{Path(page).name}"' in (text := (ROOT / "tests" / test).read_text()) or f'"{page}"' in text


@pytest.mark.parametrize(
    "text",
    [
        "frobnicate --all",
        "make frobnicate",
        'make bench ARGS="--frobnicate"',
        "make bench FROBNICATE=1",
        "ovms owner frobnicate alice",
        "OVMS_FROBNICATE=1 ovms migrate",
        "docker build -f deploy/images/car-protocol.Dockerfile --build-arg FROBNICATE=1 -t car-protocol:0.1.0 .",
        "docker build -f deploy/images/car-protocol.Dockerfile -t car-protocol:0.0.0 .",
        "docker compose --file deploy/compose/compose.yaml run --rm frobnicate",
        "docker compose --file deploy/compose/compose.yaml run --rm --entrypoint ovms car-protocol frobnicate",
        "kubectl --namespace frobnicate get pods",
        "kubectl --namespace ovms get frobnicates",
        "kubectl --namespace ovms get pods --frobnicate",
        "kubectl --namespace ovms rollout status deployment/frobnicate",
        "kubectl --namespace ovms logs --selector app.kubernetes.io/name=frobnicate",
        "kubectl --namespace ovms logs --selector app.kubernetes.io/name=car-protocol | grep frobnicate",
        "kubectl --namespace ovms exec deployment/car-protocol -- ovms frobnicate",
        "kubectl --namespace ovms create secret generic ovms --from-literal=redis-url=x --from-literal=secret-keys=k1:x",
        "kubectl apply --kustomize deploy/kubernetes/overlays/frobnicate",
        "psql --command 'SELECT frobnicate FROM vehicles'",
        "curl https://ovms.example.org/frobnicate",
        "python -m frobnicate",
        "pip install --require-hashes -r requirements/frobnicate.txt",
        "systemctl restart ovms-frobnicate",
    ],
)
def test_a_wrong_one_is_found(text: str, place: Place) -> None:
    with pytest.raises((AssertionError, SystemExit, FileNotFoundError, OvmsError)):
        check_command(Command(text, "README.md", "Test it"), place)


# ---- what stands beside the commands of deploy/README.md


def test_the_secret_of_every_overlay_is_made() -> None:
    made = [command.text for command in COMMANDS if "create secret generic" in command.text]
    assert {frozenset(re.findall("^([a-z-]+)=", text, re.MULTILINE)) for text in made} == set(wanted().values())


@pytest.mark.parametrize("name", ["car-protocol", "api-gateway"])
def test_the_arguments_of_an_image_are_those_of_the_table(name: str) -> None:
    [rows] = re.findall(r"^\| argument \| what \|\n\|---\|---\|\n((?:\|.*\n)+)", DEPLOY, re.MULTILINE)
    listed = {each for row in rows.splitlines() for each in re.findall(r"`([A-Z_]+)", row.split("|")[1])}
    assert listed == arguments_of(f"deploy/images/{name}.Dockerfile")


def test_the_ports_are_those_of_the_settings() -> None:
    listed = {int(port) for port in re.findall(r"^\| (\d{4}) \|", DEPLOY, re.MULTILINE)}
    known = {field.default for settings in (CarSettings, GatewaySettings) for field in settings.model_fields.values()}
    # The gateway's metrics have no port unless they are given one, which Kubernetes does.
    assert listed - {6881} <= {value for value in known if isinstance(value, int)}
    assert listed >= {6867, 6868, 6869, 6870, 6880}
