"""One version, wherever it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from api_gateway.app import DISTRIBUTION

ROOT = Path(__file__).parents[3]
VERSION = version(DISTRIBUTION)
WRITTEN = re.compile(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.]*\d)")
# Lists of other people's packages have versions too.
PLACES = ("*.md", "*/pyproject.toml", "services/*/pyproject.toml", "deploy/**/*", "docs/**/*")


def places(root: Path) -> dict[str, int]:
    """How often each file names the version; CHANGELOG.md tells of former ones."""
    files = {file for pattern in PLACES for file in root.glob(pattern) if file.is_file() and file.suffix != ".whl"}
    counts = {file.relative_to(root).as_posix(): len(WRITTEN.findall(file.read_text())) for file in files}
    return {name: count for name, count in counts.items() if count and name != "CHANGELOG.md"}


@pytest.mark.parametrize("name", ["shared", "services/car-protocol", "services/api-gateway"])
def test_the_packages_have_it(name: str) -> None:
    assert f'\nversion = "{VERSION}"\n' in (ROOT / name / "pyproject.toml").read_text()


@pytest.mark.parametrize("name", ["car-protocol", "api-gateway"])
def test_an_image_has_it_in_its_labels(name: str) -> None:
    text = (ROOT / f"deploy/images/{name}.Dockerfile").read_text()
    assert f"\nARG VERSION={VERSION}\n" in text
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text.partition("# A car to try")[0]))
    assert labels["title"] == name
    assert (labels["version"], labels["revision"]) == ("${VERSION}", "${REVISION}")
    assert labels["description"].startswith("OVMS server: ")


def test_overlays_name_images_of_it() -> None:
    for overlay in (ROOT / "deploy/kubernetes/overlays").glob("*/kustomization.yaml"):
        assert re.findall(r"newTag: ([^}]*)", overlay.read_text()) == [VERSION, VERSION], overlay


def test_the_changelog_begins_with_what_is_not_released_and_then_it() -> None:
    first, *released = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+, \d{4}-\d\d-\d\d", each) for each in released)
    assert not released or released[0].startswith(f"{VERSION}, ")


def test_make_version_finds_every_place(tmp_path: Path) -> None:
    before = places(ROOT)
    for name in [*before, "Makefile", "CHANGELOG.md"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    environment = {"PATH": os.environ["PATH"]}
    command = ["make", "version", "VERSION=98.7.6"]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=True)

    assert places(tmp_path) == {}
    assert {name: (tmp_path / name).read_text().count("98.7.6") for name in before} == before
    assert re.search(r"^## Unreleased\n\n## 98\.7\.6, \d{4}-\d\d-\d\d$", (tmp_path / "CHANGELOG.md").read_text(), re.MULTILINE)
