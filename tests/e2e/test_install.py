"""The three packages without make: installed as deploy/README.md says, and run from there."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from fixtures.installed import Installation

ROOT = Path(__file__).parents[2]
PACKAGES = {"ovms": "shared", "car_protocol": "services/car-protocol", "api_gateway": "services/api-gateway"}
LIBRARY = "ovms-shared"


def test_three_packages_are_installed(installation: Installation) -> None:
    made = {entry.name.split("-")[0] for entry in installation.packages.glob("ovms*.dist-info")}
    assert made == {"ovms_api_gateway", "ovms_car_protocol", "ovms_shared"}


def test_they_hold_every_file_of_the_sources(installation: Installation) -> None:
    for folder in PACKAGES.values():
        source = ROOT / folder / "src"
        files = [file.relative_to(source) for file in source.rglob("*") if file.is_file()]
        made = re.compile(r"__pycache__|.*\.egg-info")
        wanted = [file for file in files if not any(map(made.fullmatch, file.parts))]
        assert wanted
        assert [file for file in wanted if not (installation.packages / file).exists()] == []


def test_the_command_is_there(installation: Installation) -> None:
    assert installation.run("ovms", "--help").startswith("usage: ovms")


def test_the_code_is_what_was_installed(installation: Installation) -> None:
    program = "import car_protocol.bootstrap as c, api_gateway.app as a, ovms as o; print(c.__file__, a.__file__, o.__file__)"
    files = installation.run("python", "-c", program).split()
    assert len(files) == 3
    assert all(Path(file).is_relative_to(installation.directory) for file in files)


@pytest.mark.parametrize("service", ["car_protocol", "api_gateway"])
def test_a_service_without_settings_says_what_it_lacks(installation: Installation, service: str) -> None:
    with pytest.raises(AssertionError, match="OVMS_DATABASE_URL"):
        installation.run("python", "-m", service)


def test_the_migrations_are_in_them(installation: Installation, empty_database_url: str) -> None:
    assert "form of this version" in installation.run("ovms", "migrate", OVMS_DATABASE_URL=empty_database_url)
    assert installation.run("ovms", "owner", "list", OVMS_DATABASE_URL=empty_database_url) == ""


def imported(folder: str) -> set[str]:
    """The first names of all modules that the sources of a package import."""
    found: set[str] = set()
    for file in (ROOT / folder / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names


def declared(folder: str) -> set[str]:
    """The distributions that a package asks for, its own name included."""
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    extras = [entry for extra in project.get("optional-dependencies", {}).values() for entry in extra]
    return {normal(re.split(r"[\[<>=!~; ]", entry)[0]) for entry in (project["name"], *project["dependencies"], *extras)}


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize("folder", PACKAGES.values())
def test_what_is_imported_is_declared(folder: str) -> None:
    """By the package, or by the library that both services stand on."""
    allowed = declared(folder)
    if LIBRARY in allowed:
        allowed |= declared("shared")
    distributions = packages_distributions()
    for module in imported(folder):
        assert {normal(name) for name in distributions[module]} & allowed, f"{folder} imports {module}"
