"""The three packages without make: built as wheels, installed, and run from there."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"ovms": "shared", "car_protocol": "services/car-protocol", "api_gateway": "services/api-gateway"}
MADE_BY_TOOLS = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
LIBRARY = "ovms-shared"


@dataclass(frozen=True)
class Installation:
    """A virtual environment that has the wheels, and all else from the one of the tests."""

    directory: Path
    wheels: tuple[Path, ...]

    def run(self, program: str, *arguments: str, **environment: str) -> str:
        """What a program of it prints."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("OVMS_", "PYTHON"))}
        command = [self.directory / "bin" / program, *arguments]
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=ours | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Built from copies: what an earlier build left in the checkout would get into the wheels."""
    top = tmp_path_factory.mktemp("install")
    for folder in PACKAGES.values():
        shutil.copytree(ROOT / folder, top / "source" / folder, ignore=MADE_BY_TOOLS)
    sources = [top / "source" / folder for folder in PACKAGES.values()]
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", top / "wheels", *sources)
    wheels = tuple(sorted((top / "wheels").glob("*.whl")))

    directory = top / "venv"
    venv.create(directory, symlinks=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(directory)}))
    # A folder that a .pth file adds comes last, and its own .pth files, those of the editable packages, are not read.
    (own / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip("--python", directory / "bin/python", "install", "--no-index", "--no-deps", *wheels)
    return Installation(directory, wheels)


def test_three_wheels_are_built(installation: Installation) -> None:
    assert [wheel.name.split("-")[0] for wheel in installation.wheels] == [
        "ovms_api_gateway",
        "ovms_car_protocol",
        "ovms_shared",
    ]


def test_they_hold_every_file_of_the_packages(installation: Installation) -> None:
    installed = {name for wheel in installation.wheels for name in zipfile.ZipFile(wheel).namelist()}
    for folder in PACKAGES.values():
        source = ROOT / folder / "src"
        files = [file.relative_to(source) for file in source.rglob("*") if file.is_file()]
        made = re.compile(r"__pycache__|.*\.egg-info")
        assert {str(file) for file in files if not any(map(made.fullmatch, file.parts))} <= installed


def test_the_command_is_there(installation: Installation) -> None:
    assert installation.run("ovms", "--help").startswith("usage: ovms")


def test_the_code_is_that_of_the_wheels(installation: Installation) -> None:
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
