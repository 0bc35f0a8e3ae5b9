"""Schemathesis with all its checks against a stack of its own: a car that drives and answers commands, and two owners."""

import base64
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from fixtures.stack import OVMS, Stack, running_stack
from ovms.admin.demo import OWNER, OWNER_PASSWORD

CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
DOCUMENT: Final = Path(__file__).parents[2] / "docs/openapi.json"
SCHEMATHESIS: Final = OVMS.with_name("schemathesis")

OWNERS: Final = {OWNER: OWNER_PASSWORD, "other": "hunter22"}
# What is typed, then what is asked.
OTHER: Final = (("hunter22", "owner", "add", "other"), ("x", "vehicle", "add", "OTHER", "--owner", "other"))


@contextmanager
def two_owners(directory: Path) -> Iterator[Stack]:
    """The stack of `make run` with one more owner, whose vehicle is OTHER."""
    with running_stack(directory) as stack:
        for typed, *arguments in OTHER:
            done = stack.ovms(*arguments, typed=f"{typed}\n")
            assert done.returncode == 0, done.stderr
        yield stack


def check(stack: Stack, directory: Path, arguments: Sequence[str], *, output: int | None = None) -> tuple[int, str]:
    """Run Schemathesis; its exit status, and what it said where `output` is PIPE."""
    users = directory / "users.yaml"
    users.write_text(yaml.safe_dump({"auth": [_user(*owner) for owner in OWNERS.items()]}))
    where = ("--url", stack.http_url, "--auth-wfc", users)
    done = subprocess.run(
        [SCHEMATHESIS, "--config-file", CONFIG, "run", DOCUMENT, *where, *arguments],
        cwd=directory,
        stdout=output,
        stderr=output and subprocess.STDOUT,
        check=False,
    )
    return done.returncode, (done.stdout or b"").decode("utf-8", "replace")


def _user(name: str, password: str) -> dict[str, object]:
    basic = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Basic {basic}"}]}
