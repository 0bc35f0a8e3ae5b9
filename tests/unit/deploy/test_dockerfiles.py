"""The Dockerfiles: linted, and what they promise that a linter does not know."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from unit.deploy.policy import SETTINGS

ROOT = Path(__file__).parents[3]
NAMES = sorted(SETTINGS)


def dockerfile(name: str) -> str:
    return (ROOT / f"deploy/images/{name}.Dockerfile").read_text()


def stages(name: str) -> list[str]:
    """What each stage consists of, comments left out."""
    lines = [line for line in dockerfile(name).splitlines() if not line.startswith("#")]
    return re.split(r"^FROM ", "\n".join(lines), flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("name", NAMES)
def test_hadolint_finds_nothing(name: str) -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    if (hadolint := shutil.which("hadolint", path=path)) is None:
        pytest.skip("*** No hadolint here: the Dockerfiles are NOT LINTED. ***")
    done = subprocess.run([hadolint, "-"], input=dockerfile(name), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_what_runs_needs_no_shell_and_is_not_root(name: str) -> None:
    _, service, *_ = stages(name)
    assert not re.search("^(RUN|ADD|SHELL)", service, re.MULTILINE)
    assert re.search("^USER 10001:10001$", service, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["python", "-m", "\w+"\]$', service, re.MULTILINE)
    assert re.search(r'^    CMD \["python", ', service, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_told_what_it_knows_and_shows_its_ports(name: str) -> None:
    fields = SETTINGS[name].model_fields
    service = stages(name)[1]
    told = dict(re.findall(r"\b(OVMS_\w+)=(\S+)", service))
    assert {variable.removeprefix("OVMS_").lower() for variable in told} <= set(fields)
    exposed = re.search("^EXPOSE (.*)$", service, re.MULTILINE)
    assert exposed is not None
    ports = {field.default for setting, field in fields.items() if setting.endswith("_port")} & set(range(6860, 6890))
    assert {int(port) for port in exposed[1].split()} == ports


def pins(path: str) -> set[str]:
    return set(re.findall(r"^(\S+==\S+)", (ROOT / path).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", NAMES)
def test_the_list_is_pinned_as_for_make_run(name: str) -> None:
    listed = pins(f"requirements/{name}.txt")
    assert "redis" in {pin.partition("==")[0] for pin in listed}
    assert listed <= pins("requirements/run.txt")


@pytest.mark.parametrize("name", NAMES)
def test_what_traces_need_can_be_installed_with_it(name: str) -> None:
    """A package that is in both lists has one version."""
    together = pins(f"requirements/{name}.txt") | pins("requirements/traces.txt")
    assert len({pin.partition("==")[0] for pin in together}) == len(together)
    assert "opentelemetry-sdk" in {pin.partition("==")[0] for pin in pins("requirements/traces.txt")}
    assert pins("requirements/traces.txt") <= pins("requirements/test.txt") | pins("requirements/run.txt")


@pytest.mark.parametrize("name", NAMES)
def test_the_list_has_all_that_the_packages_ask_for(name: str) -> None:
    """`make requirements` renews it: a package that is asked for only here would be missing in the image."""
    projects = [
        tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"] for path in ("shared", f"services/{name}")
    ]
    asked = {re.split(r"[^\w-]", each)[0].lower() for project in projects for each in project["dependencies"]}
    listed = set(re.findall(r"^([\w-]+)==", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE))
    assert asked - listed - {"ovms-shared"} == set()


def test_the_context_has_nothing_but_what_is_named() -> None:
    named = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert named[0] == "*"


IMAGE = re.compile(r"(?:^ARG PYTHON=|^\s*(?:- )?image: )(\S+)", re.MULTILINE)
MANIFESTS = [*ROOT.glob("deploy/**/*.yaml"), *ROOT.glob("deploy/**/*.Dockerfile")]
OURS = ("ovms-", "registry.example.org/ovms/")


def test_every_image_of_another_project_is_pinned_by_digest() -> None:
    images = {image for path in MANIFESTS for image in IMAGE.findall(path.read_text()) if not image.startswith(OURS)}
    assert len(images) >= 3
    assert [image for image in images if not re.search(r":[^@:]+@sha256:[0-9a-f]{64}$", image)] == []
