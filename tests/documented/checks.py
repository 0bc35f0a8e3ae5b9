"""How a command is tried: for real where this machine can, else all that can be seen of it without a cluster or an engine."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from typing import Final

import pytest
import redis

from documented import docker, kubernetes
from documented.pages import ROOT, Command, commands_of, program_of
from documented.place import Place, log_of
from ovms.admin.arguments import parser
from ovms.db.reference.address import read_address

Check = Callable[[Command, Place], None]

SETTINGS: Final = set(re.findall(r"^#(OVMS_[A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
COMPOSE_VARIABLES: Final = set(re.findall(r"\$\{(OVMS_[A-Z_]+):", (ROOT / "deploy/compose/tls.yaml").read_text()))
MAKEFILE: Final = (ROOT / "Makefile").read_text()
# What takes the ARGS of a target.
_TAKES_ARGS: Final = {
    "bench": ("-m", "bench"),
    "bench-compare": ("-m", "bench.compare"),
    "chaos": ("-m", "chaos"),
    "contract": ("-m", "contract"),
    "fuzz": ("-m", "fuzz"),
    "conformance": ("tests/conformance/run_stack.py",),
}


def words(text: str) -> list[str]:
    """Those of a shell, without assignments before and redirections behind."""
    found = shlex.split(text, comments=True)
    while found and re.fullmatch(r"[A-Z_][A-Z0-9_]*=.*", found[0], re.DOTALL):
        del found[0]
    return found[: found.index(">")] if ">" in found else found


def options(given: Sequence[str]) -> set[str]:
    return {word.partition("=")[0] for word in given if word.startswith("--")}


# ---- of this project


def make(command: Command, _: Place) -> None:
    """The target is one that `make help` lists; it reads the variables, and its program knows the options."""
    _, target, *rest = words(command.text)
    recipe = re.search(rf"^{target}:[^\n]* ## .*?(?=\n\n|\Z)", MAKEFILE, re.DOTALL | re.MULTILINE)
    assert recipe, f"there is no target {target}"
    for variable in rest:
        name, _, value = variable.partition("=")
        assert re.search(rf"\$\({name}\)|\bifdef {name}$|or \$\({name}\)", recipe[0], re.MULTILINE), f"{target} reads no {name}"
        if name == "ARGS" and target in _TAKES_ARGS:
            unknown = options(value.split()) - set(re.findall(r"--[a-z-]+", _help(_TAKES_ARGS[target])))
            assert not unknown, unknown


@cache
def _help(program: Sequence[str]) -> str:
    command = [sys.executable, *program, "--help"]
    environment = {"PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "500"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def ovms(command: Command, _: Place) -> None:
    """A whole one is what the parser takes; of a mention the subject, the verb and the options are there."""
    given = words(command.text)[1:]
    if command.is_whole:
        parser().parse_args(given)
        return
    with redirect_stdout(StringIO()) as printed, pytest.raises(SystemExit) as ended:
        parser().parse_args([*given, "--help"])
    assert ended.value.code == 0
    assert options(given) <= set(re.findall(r"--[a-z-]+", printed.getvalue()))


def python(command: Command, place: Place) -> None:
    """A module that is there, and the files that it is given; a program of one line is run."""
    match words(command.text)[1:]:
        case ["-m", module, *files]:
            assert importlib.util.find_spec(module), module
            assert all((ROOT / file).exists() for file in files)
        case ["-c", _]:
            assert place.shell(place.here(command.text))
        case other:
            raise AssertionError(other)


def pip(command: Command, place: Place) -> None:
    """Nothing is left to install here, where it is all installed: without an index."""
    place.shell(f"{command.text} --dry-run --no-index --quiet")


def detect_secrets(command: Command, _: Place) -> None:
    """Not installed for tests: it is pinned, and the file is there."""
    assert "\ndetect-secrets==" in (ROOT / "requirements/audit.txt").read_text()
    assert all((ROOT / word).exists() for word in words(command.text) if word.startswith(".secrets"))


# ---- of PostgreSQL and Redis


def sql(command: Command, place: Place) -> None:
    """A statement that PostgreSQL takes."""
    place.shell("psql --quiet --set=ON_ERROR_STOP=1", command.text.replace("…", "1"))


def psql(command: Command, place: Place) -> None:
    """As it stands."""
    assert place.shell(command.text)


def pg_dump(command: Command, place: Place) -> None:
    """It knows the options."""
    name, *given = words(command.text)
    assert options(given) <= set(re.findall(r"--[a-z-]+", place.shell(f"{name} --help")))


def valkey_cli(command: Command, place: Place) -> None:
    """As it stands, where there is one; what it says without."""
    first, _, rest = command.text.partition(" | ")
    _, flag, address, *asked = words(first)
    assert (flag, address) == ("-h", "redis.example.org")
    with redis.Redis(unix_socket_path=str(place.stack.data_directory / "valkey/valkey.sock")) as client:
        said = client.execute_command(*asked)
    place.through(rest, "".join(f"{name}:{value}\n" for name, value in said.items()))


def redis_command(command: Command, place: Place) -> None:
    """One that Redis knows; it is not sent, since some have no reply."""
    name = "|".join(words(command.text)[:2]).lower()
    with redis.Redis(unix_socket_path=str(place.stack.data_directory / "valkey/valkey.sock")) as client:
        assert client.execute_command("COMMAND DOCS", name), name


# ---- of the machine


def as_it_stands(command: Command, place: Place) -> None:
    """On the stack, where the machine has the program."""
    if shutil.which(command.program):
        place.shell(place.here(command.text).replace("curl ", "curl --fail ", 1))


def git(command: Command, place: Place) -> None:
    """On a repository that is made up, after those of its page that come before it."""
    page = [each.text for each in commands_of(command.page, frozenset()) if each.program == "git"]
    repository = place.directory / command.page.replace("/", "-") / str(page.index(command.text))
    before = [
        f"git init --quiet --bare --initial-branch=main {repository}/origin",
        f"git clone --quiet {repository}/origin {repository}/checkout 2>/dev/null && cd {repository}/checkout",
        "git checkout --quiet -B main && git config user.name a && git config user.email a@example.org",
        "echo 1 >file && git add file && git commit --quiet --message one && echo 2 >file",
    ]
    place.shell("\n".join([*before, *page[: page.index(command.text) + 1]]))


def copies(command: Command, _: Place) -> None:
    """What is copied is there."""
    *sources, _to = words(command.text)[1:]
    assert sources
    for source in sources:
        assert list(ROOT.glob(source)), source


def exports(command: Command, _: Place) -> None:
    """An address that the import can read."""
    name, _, value = words(command.text)[1].partition("=")
    assert name == "OVMS_REFERENCE_URL"
    read_address(value)


def units(command: Command, _: Place) -> None:
    """Of systemd, that are here."""
    named = [word for word in words(command.text) if word.startswith("ovms-")]
    assert named
    assert all((ROOT / f"deploy/systemd/{unit}.service").exists() for unit in named), named


def useradd(command: Command, _: Place) -> None:
    """Whom the units run as."""
    user = words(command.text)[-1]
    assert all(f"\nUser={user}\n" in unit.read_text() for unit in (ROOT / "deploy/systemd").glob("*.service"))


def kubectl(command: Command, place: Place) -> None:
    """Parsed by kubectl; what it names is in the manifests; what follows `--` or a pipe is run."""
    first, _, rest = command.text.partition(" | ")
    said = kubernetes.check(place.here(first), place)
    selected = re.search(r" logs .*app\.kubernetes\.io/name=([a-z-]+)", first)
    place.through(rest, log_of(selected[1]) if selected else said or "something\n")
    if inner := first.partition(" -- ")[2]:
        check_command(Command(inner, command.page, command.section), place)


def docker_command(command: Command, place: Place) -> None:
    """Its files, arguments and services are there; what a container is to run is a command of ours."""
    inner = docker.check(words(command.text)[1:], is_whole=command.is_whole)
    if inner:
        check_command(Command(shlex.join(inner), command.page, command.section), place)


CHECKS: Final[Mapping[str, Check]] = {
    "ALTER": sql,
    "CLIENT": redis_command,
    "SELECT": sql,
    "cp": copies,
    "curl": as_it_stands,
    "detect-secrets": detect_secrets,
    "docker": docker_command,
    "export": exports,
    "git": git,
    "journalctl": units,
    "kubectl": kubectl,
    "make": make,
    "nc": as_it_stands,
    "openssl": as_it_stands,
    "ovms": ovms,
    "pg_dump": pg_dump,
    "pip": pip,
    "psql": psql,
    "python": python,
    "ss": as_it_stands,
    "systemctl": units,
    "useradd": useradd,
    "valkey-cli": valkey_cli,
}


def check_command(command: Command, place: Place) -> None:
    """Try a command; nobody's is a failure."""
    program = program_of(command.text)
    assert program in CHECKS, f"{command.page}: nothing tries `{command.text}`: tests/documented/checks.py says how to"
    told = set(re.findall(r"\b(OVMS_[A-Z0-9_]+)=", command.text)) - COMPOSE_VARIABLES
    assert told <= SETTINGS, told - SETTINGS
    CHECKS[program](command, place)
